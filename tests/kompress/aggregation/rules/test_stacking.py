"""Stacking: what gold says about weights, and what it does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from kompress.aggregation.patterns import count_patterns, merge_patterns
from kompress.aggregation.rules.stacking import Stacking
from kompress.errors import InvalidVotes
from kompress.types import NUM_CODES, STRATA, UNKNOWN, decode_votes, encode_votes
from tests.truth_codes import coded

ONE = np.zeros(1, int)


def codes_of(x_NM):
    return encode_votes(expit(x_NM).ravel()).reshape(x_NM.shape)


def drawn_panel(rng, size, gains, noise=1.5, num_strata=3):
    """Draw truths and codes: a voter's logit is gain · ±1 plus noise."""
    truth_N = rng.random(size) < 0.5
    x_NM = rng.normal(0, noise, (size, len(gains)))
    x_NM += np.where(truth_N, 1, -1)[:, None] * np.array(gains)
    return codes_of(x_NM), rng.integers(0, num_strata, size), truth_N.astype(np.uint8)


def fitted(codes_NM, stratum_N, truth_N, **params):
    strength = np.ones(codes_NM.shape[1])
    return Stacking(**params).fit(
        count_patterns(codes_NM, strength, stratum_N, coded(truth_N))
    )


def test_without_gold_the_score_is_the_mean_logit_and_data_says_so():
    # Two votes a word, so each logit weighs 1/2. (ln 9 + ln 4) / 2 = ln 6: 6/7. And
    # .9 beside its mirror image .1 is 1/2.
    p_NM = [[0.9, 0.8], [0.9, 0.1]]

    posterior = Stacking().aggregate(p_NM, [1, 5], [0, 1])
    learned = Stacking().fit(count_patterns(p_NM, [1, 5], [0, 1]))

    assert posterior.mean_N == pytest.approx([6 / 7, 0.5])
    assert learned.data["has_gold"] is False
    assert learned.data["num_gold_words"] == 0
    assert learned.data["weight"] == [0.5, 0.5]
    # Weights that nobody checked are worth less than a vote: Beta(1, 1) has size 2.
    assert (posterior.alpha_N + posterior.beta_N < 3).all()


def test_the_fit_is_the_optimum_of_the_model_as_it_is_written():
    # The same model with b, e_s, w and d_m each spelled out, by another optimiser.
    rng = np.random.default_rng(1)
    codes_NM, stratum_N, truth_N = drawn_panel(rng, 300, (1.0, 0.6, -0.5), num_strata=2)
    codes_NM[rng.random(codes_NM.shape) < 0.2] = 255
    p_NM = decode_votes(codes_NM)
    x_NM = np.where(codes_NM == 255, 0, np.log(p_NM / (1 - p_NM)))
    heard_N = (codes_NM < 255).any(axis=1)
    equal = heard_N.sum() / (codes_NM < 255).sum()
    size = len(STRATA)
    one_hot_NS = np.eye(size)[stratum_N]
    whole_N1 = np.ones((300, 1))
    z = np.hstack([whole_N1, one_hot_NS, x_NM.sum(axis=1, keepdims=True), x_NM])
    z, truth = z[heard_N], truth_N[heard_N]
    sd = np.array([2.0, *[0.7] * size, 1.0, *[0.4] * 3])
    offset = equal * x_NM.sum(axis=1)[heard_N]

    def loss(at):
        score = offset + z @ at
        return np.logaddexp(0, score).sum() - truth @ score + ((at / sd) ** 2).sum() / 2

    found = minimize(loss, np.zeros(sd.size), method="BFGS", options={"gtol": 1e-5}).x
    share = expit(offset + z @ found)
    hessian = (z * (share * (1 - share))[:, None]).T @ z + np.diag(1 / sd**2)
    adds = np.zeros((size + 3, sd.size))  # b_s = b + e_s, w_m = w + d_m
    adds[:size, 0], adds[:size, 1 : size + 1] = 1, np.eye(size)
    adds[size:, size + 1], adds[size:, size + 2 :] = 1, np.eye(3)
    stack = fitted(codes_NM, stratum_N, truth_N, weight_sd=0.4, stratum_sd=0.7)

    at = adds @ found
    assert stack.intercept_S == pytest.approx(at[:size], abs=1e-4)
    assert stack.weight_M == pytest.approx(at[size:] + equal, abs=1e-4)
    expected_KK = adds @ np.linalg.inv(hessian) @ adds.T
    assert stack.covariance_KK == pytest.approx(expected_KK, abs=1e-4)


def test_much_gold_finds_the_weights_that_made_the_truth():
    rng = np.random.default_rng(2)
    codes_NM = codes_of(rng.normal(0, 2, (40_000, 3)))
    stratum_N = rng.integers(0, 2, 40_000)
    p_NM = decode_votes(codes_NM)
    score_N = (
        np.log(p_NM / (1 - p_NM)) @ [1.2, 0.4, -0.8] + np.array([-1, 0.5])[stratum_N]
    )
    truth_N = (rng.random(40_000) < expit(score_N)).astype(np.uint8)

    stack = fitted(codes_NM, stratum_N, truth_N)

    # Two standard errors at 40 000 words are .04.
    assert stack.weight_M == pytest.approx([1.2, 0.4, -0.8], abs=0.05)
    assert stack.intercept_S[:2] == pytest.approx([-1, 0.5], abs=0.05)
    assert stack.data["has_gold"] is True


def test_little_gold_stays_near_equal_weights():
    rng = np.random.default_rng(3)
    codes_NM, stratum_N, truth_N = drawn_panel(rng, 4_000, (2.0, 0.5, 0.5))

    spreads = [
        np.ptp(fitted(codes_NM[:n], stratum_N[:n], truth_N[:n]).weight_M)
        for n in (4, 40, 4_000)
    ]

    assert spreads[0] < 0.1
    assert spreads[0] < spreads[1] < spreads[2]


@pytest.mark.parametrize("gold", [[1], [0], []])
def test_gold_of_one_class_teaches_nothing_and_data_says_so(gold):
    # Four voters right at .8, all to keep or all to drop of 200 words of gold: without
    # gold .87 of the words are right, and with it no word is worth more to be kept.
    rng = np.random.default_rng(9)
    truth_N = (rng.random(4_000) < 0.35).astype(np.uint8)
    right_NM = rng.random((4_000, 4)) < 0.8
    codes_NM = 254 * np.where(right_NM, truth_N[:, None], 1 - truth_N[:, None])
    codes_NM = codes_NM.astype(np.uint8)
    stratum_N = rng.integers(0, 9, 4_000)
    known_N = np.isin(truth_N, gold)
    known_N &= np.cumsum(known_N) <= 200
    told_N = np.where(known_N, truth_N, UNKNOWN)

    stack = fitted(codes_NM, stratum_N, told_N)
    blind = fitted(codes_NM, stratum_N, np.full(4_000, UNKNOWN))

    own = stack.aggregate(codes_NM, np.ones(4), stratum_N)
    other = blind.aggregate(codes_NM, np.ones(4), stratum_N)
    assert np.array_equal(own.alpha_N, other.alpha_N)
    assert np.array_equal(own.beta_N, other.beta_N)
    assert ((own.mean_N > 0.5) == truth_N).mean() > 0.85
    assert stack.data["has_gold"] is False
    assert stack.data["num_gold_words"] == 0
    assert stack.data["num_gold_words_set_aside"] == 200 * len(gold)
    assert Stacking().load(stack.data).data == stack.data


def test_one_word_of_the_other_class_makes_gold_of_use():
    rng = np.random.default_rng(10)
    codes_NM, stratum_N, truth_N = drawn_panel(rng, 400, (1.0, 1.0))
    known_N = truth_N == 1
    known_N[np.flatnonzero(truth_N == 0)[0]] = True

    stack = fitted(codes_NM, stratum_N, np.where(known_N, truth_N, UNKNOWN))

    assert stack.data["num_gold_words"] == known_N.sum()
    assert stack.data["num_gold_words_set_aside"] == 0


def test_a_voter_against_the_truth_is_turned_around():
    rng = np.random.default_rng(4)
    codes_NM, stratum_N, truth_N = drawn_panel(rng, 3_000, (1.0, 0.0, -1.0))

    stack = fitted(codes_NM, stratum_N, truth_N)

    # Normal with means ±g and variance 1.5²: log-odds 2 g x / 2.25.
    assert stack.weight_M == pytest.approx([0.89, 0, -0.89], abs=0.12)


def test_a_better_than_chance_voter_never_speaks_against_itself():
    # The second hears the first's noise and little else: subtracting it would help.
    rng = np.random.default_rng(5)
    truth_N = rng.random(3_000) < 0.5
    noise_N = rng.normal(0, 2, 3_000)
    side_N = np.where(truth_N, 1, -1)
    x_NM = np.column_stack([side_N + noise_N, 0.1 * side_N + noise_N])

    stack = fitted(codes_of(x_NM), np.zeros(3_000, int), truth_N.astype(np.uint8))

    assert x_NM[truth_N, 1].mean() > x_NM[~truth_N, 1].mean()
    assert stack.weight_M[0] > 0
    assert stack.weight_M[1] == 0


def test_a_stratum_without_gold_takes_the_intercept_of_all():
    # Votes of 1/2 (code 127) tell nothing; the others keep 3 of 4 words.
    truth_N = np.tile([1, 1, 1, 0], 100)
    stratum_N = np.repeat([0, 1], 200)

    stack = fitted(np.full((400, 1), 127, np.uint8), stratum_N, truth_N)

    assert stack.intercept_S[:2] == pytest.approx([np.log(3)] * 2, abs=0.05)
    assert 0.8 < stack.intercept_S[2] < np.log(3)
    variance_S = np.diag(stack.covariance_KK)
    assert variance_S[2] > 1  # its own standard deviation is 1
    assert variance_S[0] < 0.1


def test_votes_count_as_more_draws_with_more_gold_but_never_beyond_their_number():
    rng = np.random.default_rng(6)
    codes_NM, stratum_N, truth_N = drawn_panel(rng, 5_000, (1.0, 1.0, 1.0))
    sizes = []
    for num_gold in (0, 20, 200, 5_000):
        known_N = np.where(np.arange(5_000) < num_gold, truth_N, UNKNOWN)
        stack = fitted(codes_NM, stratum_N, known_N)
        posterior = stack.aggregate(codes_NM, np.ones(3), stratum_N)
        size_N = posterior.alpha_N + posterior.beta_N
        sizes.append(size_N.mean())
        assert (size_N <= 3 + 2 + 1e-9).all()  # V + 2

    assert np.all(np.diff(sizes) > 0)
    assert sizes[-1] > 4.9


def test_the_size_follows_from_the_variance_of_the_score():
    rng = np.random.default_rng(7)
    codes_NM, stratum_N, truth_N = drawn_panel(rng, 100, (1.0, 0.5))
    stack = fitted(codes_NM, stratum_N, truth_N)
    p_NM = decode_votes(codes_NM)
    z = np.hstack([np.eye(len(STRATA))[stratum_N], np.log(p_NM / (1 - p_NM))])
    variance_N = np.einsum("nk,kl,nl->n", z, stack.covariance_KK, z)

    posterior = stack.aggregate(codes_NM, np.ones(2), stratum_N)

    mean_N = expit(z @ np.append(stack.intercept_S, stack.weight_M))
    assert posterior.mean_N == pytest.approx(mean_N)
    size_N = 2 + 1 / (1 / 2 + mean_N * (1 - mean_N) * variance_N)
    assert posterior.alpha_N + posterior.beta_N == pytest.approx(size_N)


@given(st.integers(0, 2**32 - 1), st.integers(1, 19))
def test_shards_merge_to_the_same_fit(seed, cut):
    rng = np.random.default_rng(seed)
    codes_NM = rng.integers(0, 256, (20, 3)).astype(np.uint8)
    stratum_N = rng.integers(0, 3, 20)
    truth_N = coded(rng.choice([0, 1, UNKNOWN], 20))
    parts = [
        count_patterns(codes_NM[part], np.ones(3), stratum_N[part], truth_N[part])
        for part in (slice(cut, None), slice(None, cut))
    ]

    stack = fitted(codes_NM, stratum_N, truth_N)

    assert Stacking().fit(merge_patterns(parts)).data == stack.data


def test_certainty_says_no_more_than_the_surest_byte():
    stack = fitted(np.full((9, 1), 254, np.uint8), np.zeros(9, int), np.ones(9, int))

    sure = stack.aggregate([[1.0]], [1], ONE)
    byte = stack.aggregate(np.array([[254]], np.uint8), [1], ONE)

    assert NUM_CODES == 255
    assert sure.mean_N == pytest.approx(byte.mean_N)
    assert sure.mean_N[0] < 1


def test_other_voters_than_those_of_the_fit_are_refused():
    stack = fitted(np.full((2, 2), 9, np.uint8), np.zeros(2, int), np.ones(2, int))

    with pytest.raises(InvalidVotes, match="3 voters; expected 2"):
        stack.aggregate([[0.5, 0.5, 0.5]], [1, 1, 1], ONE)
    with pytest.raises(InvalidVotes, match="lacks 'weight'"):
        Stacking().load({"num_gold_words": 0, "intercept": [], "covariance": []})
    with pytest.raises(InvalidVotes, match="fit again"):
        Stacking().load({**stack.data, "weight": [1.0]})
