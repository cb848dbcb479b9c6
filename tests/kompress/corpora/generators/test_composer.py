"""Word numbers are exact by construction."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kompress.corpora.generators.composer import compose, fact, filler, glue, line


def test_words_are_numbered_across_lines_and_one_name_is_one_fact():
    lines = [
        line(filler("12:00 INFO"), fact("who", "Ada Byron"), indent="  "),
        line(glue("{"), fact("why", "the disk is full"), filler("x=1")),
        line(fact("who", "again")),
    ]

    composed = compose(lines)

    assert composed.text == "  12:00 INFO Ada Byron\n{ the disk is full x=1\nagain"
    # 0 12:00  1 INFO  2 Ada  3 Byron  4 {  5 the  6 disk  7 is  8 full  9 x=1  10 again
    assert composed.codes_N.tolist() == [
        0, 0, 254, 254, 255, 255, 254, 255, 254, 0, 254,
    ]  # fmt: skip
    assert [(f.name, f.words) for f in composed.facts] == [
        ("who", (2, 3, 10)),
        ("why", (6, 8)),
    ]


def test_a_line_counts_its_words_and_those_that_are_needed():
    row = line(filler("a b"), fact("f", "the end of it all"))

    assert row.num_words == 7
    assert row.num_facts == 2  # end, all


@given(
    st.lists(
        st.tuples(
            st.sampled_from([filler, glue, lambda text: fact("f", text)]),
            st.text(alphabet="ab \t", max_size=8),
        ),
        max_size=12,
    )
)
def test_there_is_one_code_for_every_word_whatever_the_segments(segments):
    lines = [line(make(text)) for make, text in segments]

    composed = compose(lines)

    assert len(composed.codes_N) == len(composed.text.split())
    assert composed.codes_N.dtype == np.uint8
