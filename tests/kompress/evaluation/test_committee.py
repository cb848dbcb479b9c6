import itertools
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.config import EvaluationConfig
from kompress.errors import InvalidConfig
from kompress.evaluation.committee import make_committee, score_committees
from kompress.evaluation.predictions import make_predictions
from kompress.evaluation.suites import Suite, SuiteText
from kompress.types import Gold

CONFIG = EvaluationConfig(num_bootstraps=100, keep_rates=(0.5,))
NUM_TEXTS = 6


def suite_text(text, gold=None):
    return SuiteText(text, "log", "", sha256(text.encode()).hexdigest(), gold)


# Must-keep (farm): both numbers. Gold keeps the numbers and `disk`.
TEXTS = [f"disk {n} full {n + 50} ok now" for n in range(10, 10 + NUM_TEXTS)]
TRUTH = Gold("test", "evaluate", np.uint8(254) * np.array([1, 1, 0, 1, 0, 0], np.uint8))
GOLD = Suite("planted", tuple(suite_text(text, TRUTH) for text in TEXTS))
BARE = Suite("dense", tuple(map(suite_text, TEXTS)))
# Each keeps two of the three words to keep and drops two of the three to drop.
A = np.array([0.9, 0.8, 0.1, 0.2, 0.6, 0.3])  # keeps disk n ok
B = np.array([0.9, 0.2, 0.7, 0.8, 0.1, 0.3])  # keeps disk m full
C = np.array([0.2, 0.9, 0.1, 0.8, 0.3, 0.7])  # keeps n m now


def members(suite, *scores):
    return {
        name: make_predictions([score] * NUM_TEXTS, suite, CONFIG)
        for name, score in zip("abc", scores, strict=False)
    }


def find(found, subject, stratum="all", truth="gold"):
    (one,) = [
        s for s in found if (s.subject, s.stratum, s.truth) == (subject, stratum, truth)
    ]
    return one


def test_a_committee_keeps_what_fewer_than_k_members_drop():
    three = members(GOLD, A, B, C)

    kept = {
        k: make_committee(three, k).own_W[:6].astype(int).tolist() for k in (1, 2, 3)
    }

    # Drops by word: disk c; n b; full a c; m a; ok b c; now a b.
    assert kept == {1: [0] * 6, 2: [1, 1, 0, 1, 0, 0], 3: [1] * 6}


def test_a_committee_s_score_is_the_k_th_lowest_and_cuts_where_it_decides():
    committee = make_committee(members(GOLD, A, B, C), 2)

    assert committee.score_W[:6].tolist() == [0.9, 0.8, 0.1, 0.8, 0.3, 0.3]
    # Half of six words: disk, n, m.
    assert committee.keep_top(0.5)[:6].tolist() == [
        True,
        True,
        False,
        True,
        False,
        False,
    ]


def test_against_gold_the_members_stand_beside_the_committee_for_every_k():
    found = score_committees(members(GOLD, A, B, C))

    gold = [s for s in found if (s.truth, s.stratum) == ("gold", "all")]
    assert [(s.subject, s.k) for s in gold] == [
        ("a", None), ("b", None), ("c", None), ("1 of 3", 1), ("2 of 3", 2),
        ("3 of 3", 3),
    ]  # fmt: skip
    # recall 2/3, precision 2/3, keep_rate 3/6, specificity 2/3.
    a = gold[0]
    assert (a.recall, a.precision, a.keep_rate) == (2 / 3, 2 / 3, 0.5)
    assert a.balanced_accuracy == pytest.approx(2 / 3)
    assert (a.difference, a.best, a.collapsed) == (None, "", False)
    # Nothing is kept: balanced accuracy 1/2, a sixth below a, the first of equals.
    first, second, third = gold[3:]
    assert (first.recall, first.precision, first.keep_rate) == (0, None, 0)
    assert (first.best, first.best_value) == ("a", pytest.approx(2 / 3))
    assert first.difference == pytest.approx(-1 / 6)
    # All texts agree, so all resamples do.
    assert (first.ci_low, first.ci_high) == pytest.approx((-1 / 6, -1 / 6))
    assert [s.collapsed for s in (first, second, third)] == [True, False, True]
    assert second.balanced_accuracy == 1.0
    assert second.difference == pytest.approx(1 / 3)
    # All is kept: recall alone would call it the best.
    assert (third.recall, third.balanced_accuracy) == (1.0, 0.5)
    assert (first.num_keep, first.num_drop) == (18, 18)


@pytest.mark.parametrize(("num_known", "is_said"), [(3, False), (4, True)])
def test_words_of_three_documents_make_no_verdict(num_known, is_said):
    # Only the first texts have gold: three words to keep and to drop in each.
    suite = Suite(
        "planted",
        tuple(
            suite_text(text, TRUTH if number < num_known else None)
            for number, text in enumerate(TEXTS)
        ),
    )

    first = find(score_committees(members(suite, A, B, C)), "1 of 3")

    # Nothing is kept: 1/2 beside a's 2/3, in every resample.
    assert first.difference == pytest.approx(-1 / 6)
    assert (first.ci_high is not None) is is_said
    assert first.collapsed is is_said


def test_only_strata_with_words_to_keep_are_shown():
    found = score_committees(members(GOLD, A, B, C))

    gold = {s.stratum for s in found if s.truth == "gold"}
    must = {s.stratum for s in found if s.truth == "must_keep"}
    assert gold == {"all", "plain", "number"}
    assert must == {"all", "number"}
    # Gold drops no number: nothing to balance.
    number = find(found, "1 of 3", "number")
    assert (number.recall, number.balanced_accuracy, number.difference) == (
        0,
        None,
        None,
    )
    assert not number.collapsed
    assert number.num_drop == 0


def test_a_stratum_that_gold_drops_altogether_is_left_out():
    no_number = Gold("test", "evaluate", np.array([254, 0, 0, 0, 0, 0], np.uint8))
    suite = Suite("planted", tuple(suite_text(text, no_number) for text in TEXTS))

    found = score_committees(members(suite, A, B))

    assert {s.stratum for s in found if s.truth == "gold"} == {"all", "plain"}


def test_without_gold_must_keep_recall_is_compared_at_equal_keep_rate():
    found = score_committees(members(BARE, A, B, C))

    assert {s.truth for s in found} == {"must_keep"}
    a, second = (find(found, s, truth="must_keep") for s in ("a", "2 of 3"))
    # At its own threshold a keeps one number of two, and half of all words.
    assert (a.recall, a.keep_rate, a.precision) == (0.5, 0.5, None)
    assert a.balanced_accuracy is None
    # 2 of 3 keeps both numbers in three words; of c the top three are n, m, now.
    assert (second.recall, second.best, second.best_value) == (1.0, "c", 1.0)
    assert (second.difference, second.collapsed) == (0.0, False)
    # 3 of 3 keeps all; a member that keeps all has every number, too.
    assert find(found, "3 of 3", truth="must_keep").difference == 0.0
    # 1 of 3 keeps nothing, and so does a member that keeps as much.
    assert find(found, "1 of 3", truth="must_keep").difference == 0.0


def test_keeping_more_must_not_win_without_gold():
    # `b` keeps five words of six at its own threshold, the numbers last of all.
    greedy = np.array([0.9, 0.55, 0.8, 0.54, 0.7, 0.1])
    sharp = np.array([0.2, 0.9, 0.1, 0.8, 0.1, 0.1])

    found = score_committees(members(BARE, sharp, greedy))

    last = find(found, "2 of 2", truth="must_keep")
    assert last.recall == 1.0
    # Cut to five words a text, either member has both numbers.
    assert last.best_value == 1.0
    assert find(found, "1 of 2", truth="must_keep").best == "a"
    # One drop is enough: n and m remain, and of `b` the top two are disk and full.
    assert find(found, "1 of 2", truth="must_keep").keep_rate == pytest.approx(2 / 6)


masks = st.lists(
    st.lists(st.booleans(), min_size=6, max_size=6), min_size=2, max_size=4
)


@given(masks)
@settings(max_examples=30, deadline=None)
def test_any_member_keeps_is_a_superset_and_every_k_is_nested_in_the_next(kept):
    subjects = {
        str(m): make_predictions([np.where(mask, 0.9, 0.1)] * NUM_TEXTS, GOLD, CONFIG)
        for m, mask in enumerate(kept)
    }

    committees = [make_committee(subjects, k).own_W for k in range(1, len(kept) + 1)]

    for fewer_W, more_W in itertools.pairwise(committees):
        assert (more_W | ~fewer_W).all()
    for subject in subjects.values():
        assert (committees[-1] | ~subject.own_W).all()
        assert (subject.own_W | ~committees[0]).all()
    for one, own_W in enumerate(committees, start=1):
        committee = make_committee(subjects, one)
        assert ((committee.score_W > 0.5) == own_W).all()


@pytest.mark.parametrize(("names", "k"), [("a", 1), ("abc", 0), ("abc", 4)])
def test_what_is_no_committee_is_refused(names, k):
    three = members(GOLD, A, B, C)

    with pytest.raises(InvalidConfig, match=rf"k is {k} for {len(names)} members"):
        make_committee({name: three[name] for name in names}, k)
