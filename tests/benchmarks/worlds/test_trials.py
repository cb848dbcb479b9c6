import numpy as np
import pytest

from benchmarks.worlds import WORLDS
from benchmarks.worlds.trials import BAYES, NO_GOLD, learn, run_trial, run_trials
from kompress.types import STRATA, UNKNOWN, Posterior

NAME = "a drifting voter, between rounds"


class Recorder:
    """Learns nothing, and remembers what it was told."""

    def __init__(self):
        self.told = []
        self.data = {"undetectable": ["hex"]}

    def fit(self, patterns):
        self.told.append(patterns)
        return self

    def load(self, data):
        return self

    def aggregate(self, p_NM, strength, stratum_N):
        one_N = np.ones(len(p_NM))
        weight_SM = np.zeros((len(STRATA), p_NM.shape[1]))
        return Posterior(one_N, one_N, weight_SM)


def num_gold(patterns):
    return int(patterns.count_P[patterns.truth_P != UNKNOWN].sum())


def test_each_round_is_fitted_by_itself_with_its_own_gold():
    draw = WORLDS[NAME].make(0)
    rule = Recorder()

    score = learn(rule, draw)

    assert [told.num_words for told in rule.told] == [10_000] * 3
    assert [num_gold(told) for told in rule.told] == (
        np.bincount(draw.round_N, draw.gold_N).tolist()
    )
    assert score.log_loss == pytest.approx(np.log(2))
    assert score.undetectable == ("hex",)


def test_plain_rules_are_scored_beside_bayes():
    trial = run_trial((NAME, 0, ("majority", "k_of_n")))

    expected = [BAYES, "majority", *(f"k_of_n({k})" for k in range(1, 6))]
    assert list(trial.scores) == expected
    assert trial.scores[BAYES].log_loss < trial.scores["majority"].log_loss
    assert not any(NO_GOLD in label for label in trial.scores)


def test_three_of_five_is_majority():
    scores = run_trial((NAME, 0, ("majority", "k_of_n"))).scores

    assert np.array_equal(
        scores["majority"].confusion_S4, scores["k_of_n(3)"].confusion_S4
    )


def test_an_unknown_rule_is_refused():
    with pytest.raises(SystemExit, match="expected some of"):
        run_trial((NAME, 0, ("plurality",)))


@pytest.mark.slow
def test_two_processes_find_what_one_does():
    one, two = (
        list(run_trials(["one voter only"], ["beta"], 2, processes))
        for processes in (1, 2)
    )

    assert [t.seed for t in two] == [0, 1]
    for a, b in zip(one, two, strict=True):
        assert a.scores["beta"].log_loss == b.scores["beta"].log_loss
