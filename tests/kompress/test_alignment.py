import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.alignment import (
    Alignment,
    AlignmentFilter,
    align,
    bag_of_words,
    find_variation_rate,
    fit_filter,
)
from kompress.errors import InvalidConfig
from kompress.words import join_kept, word_list

GOLDEN = Path(__file__).parents[1] / "golden" / "llmlingua2_alignment.json"
TEXTS = st.lists(st.sampled_from(["a", "b", "c", "a\n", "b\n"]), max_size=40).map(
    " ".join
)


def kept(text, reference):
    return "".join("01"[keep] for keep in align(text, reference).keep_N.tolist())


def rated(variation_rate, gap=0.0):
    return Alignment(np.zeros(0, dtype=np.bool_), variation_rate, 0.5, 0.5 - gap, gap)


@given(text=TEXTS, data=st.data())
def test_any_subsequence_aligns_exactly(text, data):
    words = word_list(text)
    keep = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    reference = join_kept(text, keep)

    found = align(text, reference)

    assert found.is_exact
    kept_words = [w for w, k in zip(words, found.keep_N, strict=True) if k]
    assert kept_words == word_list(reference)
    assert (found.variation_rate, found.gap) == (0, 0)


@given(text=st.text(), reference=st.text())
def test_any_strings_align_and_the_rates_fit_together(text, reference):
    found = align(text, reference)

    assert found.keep_N.shape == (len(word_list(text)),)
    assert 0 <= found.variation_rate <= 1
    assert 0 <= found.matching_rate <= 1
    assert found.gap == pytest.approx(found.hitting_rate - found.matching_rate)
    assert found.gap >= 0


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        # Both b's leave one gap: the earlier one.
        ("a b c b d", "a b d", "11001"),
        # Words of one line stay together: fail x … y has a gap, fail y has none.
        ("fail x\nfail y", "fail y", "0011"),
        # The reference broke the line, so b comes from the second: 1 against 2.
        ("a b\nb c", "a\nb", "1010"),
        # A reference of one line says nothing of lines.
        ("a b\nb c", "a b", "1100"),
        # Its second line is one line of the text, though the first b is nearer.
        ("a b\nx c\nb c", "a\nb c", "100011"),
        ("", "", ""),
        ("a b", "", "00"),
    ],
)
def test_of_several_embeddings_lines_stay_whole_and_gaps_are_few(
    text, reference, expected
):
    assert kept(text, reference) == expected


def test_a_rewriting_reference_is_matched_by_stem_case_and_punctuation():
    found = align("The disks, were failing . Twice", "disk failed twice")

    # disks, -> disk; failing, failed -> fail; Twice -> twic(e).
    assert found.keep_N.tolist() == [False, True, False, True, False, True]
    assert not found.is_exact
    assert found.variation_rate == 0
    # Three reference words of a text of six.
    assert (found.hitting_rate, found.matching_rate, found.gap) == (0.5, 0.5, 0)


def test_words_that_the_text_does_not_have_are_variation():
    found = align("the disk failed", "disk exploded")

    # One of two; one of the text's three is kept.
    assert found.keep_N.tolist() == [False, True, False]
    assert found.variation_rate == 0.5
    assert found.hitting_rate == found.matching_rate == pytest.approx(1 / 3)
    assert find_variation_rate("the disk failed", "disk exploded") == 0.5


def test_words_without_a_place_are_the_gap():
    found = align("a b", "b b a")

    # b, no second b, then back to a: three words are known, two are kept, of two.
    assert found.keep_N.tolist() == [True, True]
    assert (found.variation_rate, found.hitting_rate) == (0, 1.5)
    assert found.gap == 0.5


@pytest.mark.parametrize("pair", [("12", "13"), ("O2", "O3"), ("0x1f", "0x1e")])
def test_figures_are_never_almost_equal(pair):
    found = align(f"took {pair[0]} s", f"took {pair[1]} s")

    assert found.keep_N.tolist() == [True, False, True]
    assert found.variation_rate == pytest.approx(1 / 3)


def test_a_match_lies_less_than_a_window_from_the_last():
    text = " ".join(f"w{number}" for number in range(151))

    assert kept(text, "new w149").count("1") == 1
    assert kept(text, "new w150").count("1") == 0


@pytest.mark.parametrize("row", json.loads(GOLDEN.read_text()))
def test_the_windowed_match_is_that_of_llmlingua_2(row):
    # Labels by microsoft/LLMLingua's label_word.py, on words instead of lemmas.
    found = align(row["text"], row["reference"])

    assert kept(row["text"], row["reference"]) == row["keep"]
    for name in ("variation_rate", "hitting_rate", "matching_rate", "gap"):
        assert getattr(found, name) == pytest.approx(row[name])


@pytest.mark.parametrize("reference", ["a " * 5_000, "a " * 5_000 + "b"])
def test_a_text_of_one_word_is_no_burden(reference):
    found = align("a " * 10_000, reference)

    assert found.keep_N.sum() == 5_000


@pytest.mark.parametrize("word", ["x" * 200_000, "." * 200_000, "x" + "." * 200_000])
def test_an_endless_word_is_no_burden(word):
    assert kept(f"{word} end", f"{word[:-1]} end.") == "01"


def test_the_worst_are_left_out_and_ties_stay():
    # 20 of them: one is 5 %, and of the 19 left one is 10 %, rounded down.
    rates = [rated(0.0)] * 17 + [rated(0.1, gap=0.2), rated(0.2, gap=0.1), rated(0.9)]

    bounds = fit_filter(rates)
    reasons = [bounds.refusal(one) for one in rates]

    assert [bool(reason) for reason in reasons] == [False] * 17 + [True, False, True]
    assert reasons[17].startswith("alignment gap 0.200 is above 0.100")
    assert reasons[19].startswith("variation rate 0.900 is above 0.200")
    equal = rated(0.3, gap=0.1)
    assert fit_filter([equal] * 30).refusal(equal) == ""
    assert fit_filter([]) == AlignmentFilter()


def test_absolute_bounds_hold_whatever_the_shares():
    fitted = fit_filter(
        [rated(0.4, gap=0.3)] * 3, max_variation_rate=0.25, max_gap=0.125
    )

    assert fitted == AlignmentFilter(0.25, 0.125)
    assert fitted.refusal(rated(0.25, gap=0.125)) == ""
    assert fitted.refusal(rated(0.3))
    assert fitted.refusal(rated(0.0, gap=0.13))


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_to_leave_out_is_a_share(share):
    with pytest.raises(InvalidConfig, match="0 or more and less than 1"):
        fit_filter([rated(0.1)], worst_gap=share)


def test_a_bag_keeps_every_occurrence_short_words_and_must_keep():
    text = "Disk sda1 failed , disk is at 93% of /dev/sda full"

    keep_N = bag_of_words(text, "disk full.", rule_set="kompress-r0")

    # Disk and disk by the bag; "," "is" "at" "of" are short; sda1 93% (numbers) and
    # /dev/sda (path) are must-keep; full equals full.
    words = [w for w, keep in zip(word_list(text), keep_N, strict=True) if not keep]
    assert words == ["failed"]


@given(text=TEXTS, reference=TEXTS)
def test_a_bag_never_keeps_less_than_a_subsequence(text, reference):
    found = align(text, reference)

    if found.is_exact:
        assert (bag_of_words(text, reference) >= found.keep_N).all()
