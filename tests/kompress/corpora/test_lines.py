"""Lines are those of the stream, wherever it is cut."""

from hypothesis import given
from hypothesis import strategies as st

from kompress.corpora.lines import BadLine, iter_lines


@given(
    st.lists(st.binary(max_size=6).filter(lambda line: b"\n" not in line), max_size=6),
    st.integers(1, 5),
)
def test_lines_do_not_depend_on_where_the_stream_is_cut(lines, size):
    # A stream that begins so is neither packed nor UTF-16; for those see test_decoding.
    whole = b"{}" + b"\n".join(lines)
    chunks = [whole[at : at + size] for at in range(0, len(whole), size)]

    expected = whole.split(b"\n")
    if not expected[-1]:
        expected.pop()  # what follows the last line feed is no line

    assert list(iter_lines(chunks)) == list(enumerate(expected, start=1))


def test_a_damaged_stream_ends_with_a_line_that_says_so():
    (line,) = iter_lines([b"\x1f\x8b\x08\x00 no gzip"])

    number, bad = line
    assert number == 1
    assert isinstance(bad, BadLine)
    assert "gzip and damaged" in bad.reason
