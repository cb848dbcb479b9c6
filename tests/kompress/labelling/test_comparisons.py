import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import PAIRWISE, PairwiseConfig
from kompress.labelling.comparisons import (
    ReferenceComparisons,
    choose_references,
    plan_comparisons,
    winner_fingerprint,
)
from kompress.labelling.references import CompetingReferences
from kompress.types import Candidate, CandidateRow, ComparisonRow

CONFIG = PairwiseConfig(cycles=1)
TEXT = " ".join("abcdefgh")


def competing(num, *, qualities=None, student=None):
    """Candidates 100, 101 …; number n keeps the words 0 .. n."""
    rows = [
        CandidateRow(
            100 + n,
            7,
            Candidate(f"o{n}", TEXT[: 2 * n + 1], np.arange(8) <= n),
            None if qualities is None else qualities[n],
            0.1,
            is_sound=True,
        )
        for n in range(num)
    ]
    return CompetingReferences(
        tuple(rows), {row.id: n for n, row in enumerate(rows)}, student
    )


def known(*pairs):
    return [ComparisonRow(100 + a, 100 + b, 1, 0, 1.0, 0.0, 0.0) for a, b in pairs]


def test_every_pair_is_asked_in_both_orders():
    assert sorted(plan_comparisons(TEXT, competing(3), [], CONFIG)) == [
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 2),
        (2, 0),
        (2, 1),
    ]


def test_the_text_decides_the_pairs():
    one = plan_comparisons(TEXT, competing(8), [], CONFIG)

    assert one == plan_comparisons(TEXT, competing(8), [], CONFIG)
    assert one != plan_comparisons("another text", competing(8), [], CONFIG)
    # One cycle of 8: every candidate meets two others, twice.
    assert np.bincount(np.array(one).ravel()).tolist() == [4] * 8


def test_what_was_judged_is_not_asked_again_and_a_lost_order_is():
    first = plan_comparisons(TEXT, competing(8), [], CONFIG)

    assert plan_comparisons(TEXT, competing(8), known(*first), CONFIG) == []
    assert plan_comparisons(TEXT, competing(8), known(*first[1:]), CONFIG) == first[:1]


def test_one_candidate_has_nobody_to_meet():
    assert plan_comparisons(TEXT, competing(1), [], CONFIG) == []


def test_pairs_that_the_student_turns_round_are_added():
    first = plan_comparisons(TEXT, competing(8), [], CONFIG)
    # By the fit longer is worse; the student is the longest and likes the long ones.
    turned = competing(8, qualities=[0.9 - n / 10 for n in range(8)], student=7)
    agreeing = competing(8, qualities=[0.1 + n / 10 for n in range(8)], student=7)

    added = plan_comparisons(TEXT, turned, known(*first), CONFIG)

    assert (0, 7) in {*added, *first}
    # 8 pairs at most, the widest first, both orders; known ones are not asked again.
    assert 0 < len(added) <= 16
    assert not set(added) & set(first)
    assert plan_comparisons(TEXT, agreeing, known(*first), CONFIG) == []


def test_judgments_on_candidates_that_no_longer_compete_are_passed_over():
    strangers = [ComparisonRow(100, 999, 1, 0, 1.0, 0.0, 0.0)]

    assert len(plan_comparisons(TEXT, competing(2), strangers, CONFIG)) == 2


@given(st.integers(2, 9), st.integers(1, 3), st.text(max_size=9))
def test_every_reference_meets_another_and_both_orders_are_asked(num, cycles, text):
    asked = plan_comparisons(text, competing(num), [], PairwiseConfig(cycles=cycles))

    assert {place for pair in asked for place in pair} == set(range(num))
    assert {(j, i) for i, j in asked} == set(asked)
    assert len(set(asked)) == len(asked)


def given_of(said, **changes):
    """Two texts' references, of which judge 1 speaks."""
    config = PairwiseConfig(
        judges=[{"name": "judge", "kind": "teacher"}],
        max_keep_rate=1.0,
        min_must_keep=0.0,
    )
    return ReferenceComparisons(
        **{
            "config": config,
            "texts": {7: TEXT},
            "competing": {7: competing(3)},
            "said": {7: said},
            "judges": {1: 0},
            "calibrate": {},
            "evaluate": {},
            **changes,
        }
    )


def orders(better, worse):
    """A judge's answers in both orders."""
    return [
        ComparisonRow(100 + better, 100 + worse, 1, 0, 0.9, 0.1, 0.0),
        ComparisonRow(100 + worse, 100 + better, 1, 0, 0.1, 0.9, 0.0),
    ]


def test_the_reference_that_wins_its_comparisons_votes_for_its_words():
    said = [*orders(2, 0), *orders(2, 1), *orders(1, 0)]

    choice = choose_references(given_of(said))

    ((text_id, replicate, vote),) = choice.votes
    assert (text_id, replicate) == (7, 0)
    # Number 2 keeps the words 0 .. 2 of 8.
    assert vote.codes_N.tolist() == [254] * 3 + [0] * 5
    qualities = {v.candidate_id: v.quality for v in choice.verdicts}
    assert qualities[102] > qualities[101] > qualities[100]
    assert choice.report["num_winners"] == 1
    assert choice.report["num_judgments"] == 6
    bias = choice.report["judges"]["judge"]["position_bias"]
    assert bias == pytest.approx(0, abs=1e-9)


def test_what_is_said_of_strangers_and_equals_chooses_nothing():
    said = [
        ComparisonRow(100, 999, 1, 0, 1.0, 0.0, 0.0),
        ComparisonRow(100, 103, 1, 0, 1.0, 0.0, 0.0),
    ]
    found = competing(3)
    found.place_of[103] = 0  # keeps the same words as 100

    choice = choose_references(given_of(said, competing={7: found}))

    assert choice.votes == []
    assert choice.report["num_unjudged"] == 1
    assert choice.report["judges"] == {}


def test_ways_of_choosing_are_held_against_gold():
    said = [*orders(2, 0), *orders(2, 1), *orders(1, 0)]
    gold = np.array([254, 254, 0, 0, 0, 0, 0, 255], dtype=np.uint8)

    choice = choose_references(given_of(said, evaluate={7: gold}))

    # The winner keeps both words of gold and one to drop; 7 words are known.
    assert choice.report["choices"]["won"]["verified"] == [2.0, 1.0, 0.0, 7.0]
    assert choice.report["choices"]["won"]["oracle"] == [2.0, 0.0, 0.0, 7.0]


def test_a_winner_is_named_by_its_round_and_judges():
    config = given_of([]).config

    one = winner_fingerprint(1, config, ["aa"])

    assert one.name == PAIRWISE
    assert one.parts == winner_fingerprint(1, config, ["aa"]).parts
    assert one.parts != winner_fingerprint(2, config, ["aa"]).parts
    assert one.parts != winner_fingerprint(1, config, ["bb"]).parts
