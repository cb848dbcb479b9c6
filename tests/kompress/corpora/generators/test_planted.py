"""The length and the share of facts are met, and blocks keep their order."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from kompress.corpora.generators.composer import fact, filler, line
from kompress.corpora.generators.planted import draw_filler, interleave


@given(st.integers(0, 10_000), st.integers(20, 40), st.integers(1, 12))
def test_filler_fills_up_to_the_aimed_share_of_facts(seed, num_facts, num_words):
    rng = Random(seed)
    anchors = [[line(fact("f", "x " * num_facts))]]

    blocks = draw_filler(rng, anchors, lambda: [line(filler("y " * num_words))])

    total = num_facts + num_words * len(blocks)
    assert 60 <= total <= 150
    # A share of at most 0.43 is aimed at, and the last block may overshoot it.
    assert num_facts / total <= 0.44 or total >= 128


def test_words_that_lines_gain_later_are_counted():
    anchors = [[line(fact("f", "x " * 30))]]

    def make():
        return [line(filler("y y"))]

    plain = draw_filler(Random(0), anchors, make)
    stamped = draw_filler(Random(0), anchors, make, words_per_line=2)

    # the same aim, blocks of 4 words instead of 2, and 2 words less to fill
    assert abs(len(plain) - 2 * len(stamped)) <= 2


@given(st.integers(0, 1000), st.integers(0, 5), st.integers(0, 8))
def test_interleaving_keeps_every_row_and_the_order_of_both(seed, first, second):
    anchors = [[line(fact("f", f"a{n}"))] for n in range(first)]
    blocks = [[line(filler(f"b{n}"))] for n in range(second)]

    rows = interleave(Random(seed), anchors, blocks)

    texts = [row.segments[0].text for row in rows]
    assert [t for t in texts if t[0] == "a"] == [f"a{n}" for n in range(first)]
    assert [t for t in texts if t[0] == "b"] == [f"b{n}" for n in range(second)]
