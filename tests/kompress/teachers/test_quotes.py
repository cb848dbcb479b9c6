import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import VoteFailed
from kompress.teachers import make_protocol
from kompress.teachers.protocol import ProtocolParams
from kompress.teachers.quotes import anchor, parse_quotes
from kompress.teachers.request import Answer, Capabilities, Sample
from kompress.types import decode_votes

CAPABILITIES = Capabilities(
    forced_tokens=False, logprobs=False, samples=True, prefix_cache=False
)
#       0     1  2      3    4  5       6    7     8       9    10
TEXT = "build at 10:02: disk full\nbuild at 10:03: (disk full) again"


def make(**params):
    return make_protocol(ProtocolParams(protocol="quotes", **params), CAPABILITIES)


def answer(*texts, reason="stop"):
    return Answer(tuple(Sample(text, reason) for text in texts), 1, 1)


def kept(vote):
    return [n for n, p in enumerate(decode_votes(vote.codes_N)) if p > 0.5]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('"10:02: disk full"', [2, 3, 4]),
        # Said twice: its first place, then the next one.
        ('"build at"\n"build at"', [0, 1, 5, 6]),
        # Once in the text, so it lies there; what comes after it is after it.
        ('"10:03:"\n"build at"\n"again"', [7, 10]),
        ('"10:02:"\n"build at"', [2, 5, 6]),
        # It never goes back: the second `build at` lies before what was found.
        ('"10:03:"\n"10:02:"\n"build at"', [2, 7]),
        # Words are the same but for what stands around them, if nowhere exactly.
        ('"10:03: disk full again"', [7, 8, 9, 10]),
        ('"disk full"', [3, 4]),
        ("NOTHING", []),
        (' "again" \n\n"build"\n', [10]),
    ],
)
def test_quotes_are_found_by_their_words_and_repeated_ones_in_order(said, words):
    # Every second quote may be missing: the places are what is looked at here.
    vote = make(max_unfound=0.5).read(TEXT, [answer(said)])

    assert kept(vote) == words
    assert vote.num_samples == 1


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", "expected one quote a line"),
        ("10:02: disk full", "expected one quote a line"),
        ('Here you are:\n"disk full"', "expected one quote a line"),
        ('["disk full"]', "expected one quote a line"),
        ('""', "expected one quote a line"),
        ('"', "expected one quote a line"),
        ('NOTHING\n"again"', "expected one quote a line"),
        ('"disk empty"', "1 of 1 quotes are not in the text"),
        # The text has `build` twice and `again` once: one quote too many.
        ('"build"\n"build"\n"again"\n"again"', "1 of 4 quotes"),
        ('"build"\n"build"\n"build"', "1 of 3 quotes"),
    ],
)
def test_what_is_no_list_of_quotes_of_the_text_is_a_failure(said, why):
    with pytest.raises(VoteFailed, match=why):
        make().read(TEXT, [answer(said)])


def test_a_cut_answer_is_a_failure():
    with pytest.raises(VoteFailed, match="greatest length"):
        make().read(TEXT, [answer('"again"', reason="length")])


def test_a_bad_sample_lowers_the_count_and_never_votes():
    protocol = make(samples=3)
    answers = [answer('"again"', "sorry", '"10:02:"\n"again"')]

    vote = protocol.read(TEXT, answers)

    # Of two usable samples both quote word 10, one word 2: 1 and 1/2, to the code.
    assert vote.num_samples == 2
    assert vote.codes_N.tolist() == [0, 0, 127, 0, 0, 0, 0, 0, 0, 0, 254]
    assert [mask.nonzero()[0].tolist() for mask in protocol.references(TEXT, answers)]
    assert len(protocol.references(TEXT, answers)) == 2


def test_each_chunk_has_quotes_of_its_own():
    protocol = make(chunk_words=6)

    first, second = protocol.requests(TEXT)
    vote = protocol.read(TEXT, [answer('"build"'), answer('"build"')])

    assert "10:03" not in first.user
    assert "10:02" not in second.user
    assert kept(vote) == [0, 5]


def test_quotation_marks_within_a_quote_are_the_texts():
    assert parse_quotes('"say "no" now"') == [["say", '"no"', "now"]]
    assert parse_quotes(r'"a\"b"') == [['a\\"b']]


@given(
    words=st.lists(st.sampled_from(["a", "b", "(a)", "c"]), min_size=1, max_size=12),
    data=st.data(),
)
def test_what_is_quoted_from_the_text_in_order_is_all_found(words, data):
    spans = []
    start = 0
    while start < len(words):
        start = data.draw(st.integers(start, len(words) - 1))
        end = data.draw(st.integers(start + 1, len(words)))
        spans.append((start, end))
        start = end
    quotes = [words[start:end] for start, end in spans]

    keep_N, num_unfound = anchor(words, quotes)

    # The first free place after the last one is never later than where it was taken.
    assert num_unfound == 0
    assert keep_N.sum() <= sum(map(len, quotes))
    assert all(word in {w for q in quotes for w in q} for word in _at(words, keep_N))


def _at(words, keep_N):
    return [word for word, keep in zip(words, keep_N, strict=True) if keep]
