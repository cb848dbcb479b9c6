import numpy as np

from db.queries.candidates import CandidateRow
from db.queries.comparisons import ComparisonRow
from kompress.config import PairwiseConfig
from kompress.types import Candidate
from worker.references import Field
from worker.stages.compare import plan_text

CONFIG = PairwiseConfig(cycles=1)
TEXT = " ".join("abcdefgh")


def field(num, *, qualities=None, student=None):
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
    return Field(tuple(rows), {row.id: n for n, row in enumerate(rows)}, student)


def known(*pairs):
    return [ComparisonRow(100 + a, 100 + b, 1, 0, 1.0, 0.0, 0.0) for a, b in pairs]


def test_every_pair_is_asked_in_both_orders():
    assert sorted(plan_text(TEXT, field(3), [], CONFIG)) == [
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 2),
        (2, 0),
        (2, 1),
    ]


def test_the_text_decides_the_pairs():
    one = plan_text(TEXT, field(8), [], CONFIG)

    assert one == plan_text(TEXT, field(8), [], CONFIG)
    assert one != plan_text("another text", field(8), [], CONFIG)
    # One cycle of 8: every candidate meets two others, twice.
    assert np.bincount(np.array(one).ravel()).tolist() == [4] * 8


def test_what_was_judged_is_not_asked_again_and_a_lost_order_is():
    first = plan_text(TEXT, field(8), [], CONFIG)

    assert plan_text(TEXT, field(8), known(*first), CONFIG) == []
    assert plan_text(TEXT, field(8), known(*first[1:]), CONFIG) == first[:1]


def test_one_candidate_has_nobody_to_meet():
    assert plan_text(TEXT, field(1), [], CONFIG) == []


def test_pairs_that_the_student_turns_round_are_added():
    first = plan_text(TEXT, field(8), [], CONFIG)
    # By the fit longer is worse; the student is the longest and likes the long ones.
    turned = field(8, qualities=[0.9 - n / 10 for n in range(8)], student=7)
    agreeing = field(8, qualities=[0.1 + n / 10 for n in range(8)], student=7)

    added = plan_text(TEXT, turned, known(*first), CONFIG)

    assert (0, 7) in {*added, *first}
    # 8 pairs at most, the widest first, both orders; known ones are not asked again.
    assert 0 < len(added) <= 16
    assert not set(added) & set(first)
    assert plan_text(TEXT, agreeing, known(*first), CONFIG) == []


def test_judgments_on_candidates_that_no_longer_compete_are_passed_over():
    strangers = [ComparisonRow(100, 999, 1, 0, 1.0, 0.0, 0.0)]

    assert len(plan_text(TEXT, field(2), strangers, CONFIG)) == 2
