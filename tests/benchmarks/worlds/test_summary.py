import numpy as np
import pytest

from benchmarks.worlds.draws import World
from benchmarks.worlds.scores import Score
from benchmarks.worlds.summary import check, summarise
from benchmarks.worlds.trials import BAYES, NO_GOLD, Trial
from kompress.types import STRATA


def counts(*rows):
    """(S, 4) counts, the strata that are not given empty."""
    confusion_S4 = np.zeros((len(STRATA), 4), dtype=np.int64)
    confusion_S4[: len(rows)] = rows
    return confusion_S4


def score(*rows, loss=0.1, ece=0.01, warned=None):
    return Score(counts(*rows), loss, ece, 0.9, 0.5, 0.1, warned)


def trial(scores, *voters, seed=0):
    return Trial("w", seed, scores, np.stack([counts(*rows) for rows in voters]))


def world(**params):
    return World("w", (), "", **params)


def findings(scores, *voters, gold=True, **params):
    found = check(
        world(**params), summarise([trial(scores, *voters)]), "own", gold=gold
    )
    return {finding.name: finding for finding in found}


WELL = (90, 10, 10, 90)  # balanced accuracy .9, F1 .9
VOTER = [(80, 20, 20, 80)]  # .8


def test_a_rule_as_good_as_bayes_meets_everything():
    same = score(WELL)

    found = findings({BAYES: same, "own": same, "majority": same}, VOTER)

    assert len(found) == 6
    assert all(finding.passed for finding in found.values())


@pytest.mark.parametrize(("own", "name"), [
    (score((88, 12, 10, 90)), "F1"),  # 176/198 = .889 < .99 · .9
    (score(WELL, loss=0.106), "log-loss"),  # > 1.05 · .1
    (score(WELL, ece=0.031), "ECE"),
    (score((78, 22, 20, 80)), "margin over the best voter"),  # .79 < .8 - .005
])  # fmt: skip
def test_each_requirement_can_be_missed(own, name):
    found = findings({BAYES: score(WELL), "own": own}, VOTER)

    assert not found[name].passed


def test_a_stratum_where_bayes_itself_falls_short_is_not_required():
    weak, strong = (70, 30, 10, 90), (90, 10, 10, 90)

    found = findings({BAYES: score(weak), "own": score(weak)}, [strong])

    assert found["margin over the best voter"].passed


def test_the_best_voter_is_the_best_in_the_mean_not_the_luckiest():
    lucky, unlucky = (100, 0, 0, 100), (80, 20, 20, 80)
    own = score(WELL)
    trials = [
        trial({BAYES: own}, [lucky], [unlucky], seed=0),
        trial({BAYES: own}, [unlucky], [lucky], seed=1),
    ]

    # Both voters have (1 + .8)/2 = .9 in the mean; the luckiest of each draw has 1.
    assert summarise(trials)[BAYES].margin_S[0] == pytest.approx(0)


def test_below_majority_is_found_unless_nobody_could_be_above():
    high, low = score((91, 9, 10, 90)), score(WELL)

    fair = findings({BAYES: high, "own": low, "majority": high}, VOTER)
    unfair = findings({BAYES: low, "own": low, "majority": high}, VOTER)

    assert not fair["F1 of majority"].passed
    assert not fair["balanced accuracy of majority"].passed
    assert unfair["F1 of majority"].passed


def test_nothing_is_required_where_the_truth_cannot_be_found():
    bad = score((1, 99, 99, 1), loss=9.0)
    scores = {BAYES: score(WELL), "own": bad, "own" + NO_GOLD: bad}

    assert findings(scores, VOTER, with_gold="why", gold=True) == {}
    assert findings(scores, VOTER, without_gold="why", gold=False) == {}
    assert len(findings(scores, VOTER, without_gold="why", gold=True)) == 4


WRONG = {"wrong_stratum": 0, "with_gold": "why", "without_gold": "why"}


@pytest.mark.parametrize(("warned", "passed"), [
    (("plain",), True),
    (("hex",), False),
    (None, False),
])  # fmt: skip
def test_without_gold_a_rule_must_warn_of_a_stratum_that_may_be_wrong(warned, passed):
    own = score(WELL, warned=warned)

    found = findings({BAYES: score(WELL), "own": own}, VOTER, **WRONG)

    assert [finding.passed for finding in found.values()] == [passed]


@pytest.mark.parametrize(("own", "passed"), [
    (score((89, 11, 11, 89), warned=()), True),  # .89 >= .9 - .02
    (score((87, 13, 13, 87), warned=()), False),
    (score(WELL, warned=("plain",)), False),  # it has gold there
])  # fmt: skip
def test_with_gold_the_wrong_stratum_must_be_found(own, passed):
    found = findings(
        {BAYES: score(WELL), "own": own}, VOTER, **WRONG | {"wrong_gold": 50}
    )

    assert [finding.passed for finding in found.values()] == [passed]


def test_only_the_best_and_the_worst_k_are_kept():
    scores = {
        BAYES: score(WELL),
        "k_of_n(1)": score((50, 50, 50, 50)),
        "k_of_n(2)": score((90, 10, 10, 90)),
        "k_of_n(3)": score((70, 30, 30, 70)),
    }

    found = summarise([trial(scores, VOTER)])

    assert list(found) == [BAYES, "best k_of_n(2)", "worst k_of_n(1)"]


def test_a_stratum_counts_as_reported_only_if_every_seed_says_so():
    said = [("plain", "hex"), ("hex",)]
    trials = [
        trial({BAYES: score(WELL, warned=warned)}, VOTER, seed=seed)
        for seed, warned in enumerate(said)
    ]

    assert summarise(trials)[BAYES].undetectable == ("hex",)
    assert summarise([trial({BAYES: score(WELL)}, VOTER)])[BAYES].undetectable is None
