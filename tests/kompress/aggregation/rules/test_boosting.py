"""Boosting: steps worked by hand, and what it may not learn."""

import numpy as np
import pytest
from scipy.special import expit

from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.rules.boosting import Boosting
from kompress.errors import InvalidConfig, InvalidVotes
from kompress.types import encode_votes
from tests.truth_codes import coded

# Of 20 words that the voter would keep 15 are to keep, of 20 others 5.
VOTES = np.repeat([0.9, 0.1], 20)
TRUTH = np.tile(np.repeat([1, 0, 1, 0], [15, 5, 5, 15]), 1).astype(np.uint8)


def fit(p_NM, truth_N, stratum_N=None, **params):
    p_NM = np.asarray(p_NM, dtype=float)
    strata = np.zeros(len(p_NM), int) if stratum_N is None else stratum_N
    patterns = count_patterns(p_NM, np.ones(p_NM.shape[1]), strata, coded(truth_N))
    return Boosting(**params).fit(patterns)


def score_of(learned, voter, p):
    (code,) = encode_votes(np.array([p]))
    return learned.score_MK[voter, code]


def test_a_step_is_a_tenth_of_newtons_with_five_words_of_doubt():
    # Half of gold is to keep: the score starts at 0, p at 1/2. Of each 20 words the
    # slope is 20/2 - kept = -5 and 5, the bend 20/4 = 5: steps 5 / (5 + 5) = ±1/2.
    learned = fit(VOTES[:, None], TRUTH, max_steps=1)

    assert learned.intercept_S[0] == pytest.approx(0)
    assert score_of(learned, 0, 0.9) == pytest.approx(0.05)
    assert score_of(learned, 0, 0.1) == pytest.approx(-0.05)
    # Between the two the threshold lies in the middle, .5: nobody voted there.
    assert score_of(learned, 0, 0.55) == pytest.approx(0.05)
    assert score_of(learned, 0, 0.45) == pytest.approx(-0.05)


def test_many_steps_come_near_the_share_of_gold_and_not_beyond():
    learned = fit(np.tile(VOTES, 20)[:, None], np.tile(TRUTH, 20))

    found = learned.aggregate([[0.9], [0.1]], [1], [0, 0])

    assert 0.7 < found.mean_N[0] < 0.75
    assert 0.25 < found.mean_N[1] < 0.3
    assert found.alpha_N + found.beta_N == pytest.approx([3, 3])  # 2 + one vote


def test_copies_share_the_steps():
    one = fit(VOTES[:, None], TRUTH)
    two = fit(np.stack([VOTES, VOTES], axis=1), TRUTH)

    assert two.score_MK[0] == pytest.approx(two.score_MK[1])
    assert two.score_MK.sum(axis=0) == pytest.approx(one.score_MK[0])


def test_an_abstention_adds_nothing_and_a_stratum_of_its_own_moves_alone():
    # The second stratum is all to keep, whatever the voter says.
    p = np.append(VOTES, np.full(40, np.nan))
    truth = np.append(TRUTH, np.ones(40, np.uint8))
    other = np.append(np.full(40, 0.5), np.full(40, 0.5))
    strata = np.repeat([0, 1], 40)

    learned = fit(np.stack([p, other], axis=1), truth, strata)
    found = learned.aggregate([[np.nan, 0.5], [np.nan, 0.5]], [1, 1], [0, 1])

    assert expit(learned.intercept_S[1]) > 0.85
    assert found.mean_N[1] > 0.85
    assert found.mean_N[0] == pytest.approx(
        expit(learned.intercept_S[0] + score_of(learned, 1, 0.5))
    )


def test_a_threshold_never_turns_a_voter_round():
    # Above .8 the voter is wrong again, but over all it goes with the truth.
    p = np.repeat([0.1, 0.6, 0.95], [40, 40, 10])
    truth = np.repeat([0, 1, 0], [40, 40, 10]).astype(np.uint8)

    learned = fit(p[:, None], truth)

    assert (np.diff(learned.score_MK[0]) >= 0).all()


def test_noise_is_not_followed():
    rng = np.random.default_rng(0)

    learned = fit(rng.random((400, 1)).round(1), rng.integers(0, 2, 400))

    assert np.abs(learned.score_MK).max() < 0.3


def test_without_gold_of_both_classes_votes_weigh_the_same():
    learned = fit([[0.9, 0.8]], [1])

    assert learned.data["has_gold"] is False
    # (ln 9 + ln 4) / 2 = ln 6.
    found = learned.aggregate([[0.9, 0.8]], [1, 1], [0])
    assert found.mean_N == pytest.approx([6 / 7], abs=2e-3)


@pytest.mark.parametrize("steps", [0, -1, 10_001, 2.5, True, "9"])
def test_a_number_of_steps_out_of_range_is_refused(steps):
    with pytest.raises(InvalidConfig, match="expected a whole number from 1 to 10000"):
        Boosting(max_steps=steps)


def test_a_broken_fit_is_refused():
    data = fit(VOTES[:, None], TRUTH, max_steps=1).data

    with pytest.raises(InvalidVotes, match="'score'"):
        Boosting().load({key: data[key] for key in data if key != "score"})
    with pytest.raises(InvalidVotes, match="has 1 intercepts"):
        Boosting().load(data | {"intercept": [0.0]})
    with pytest.raises(InvalidVotes, match="fit again"):
        Boosting().load(data | {"score": [0.0, 1.0]})
