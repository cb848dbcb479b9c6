"""The registry, and what its entries declare."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.aggregation import AGGREGATORS, make_aggregator, rules_of
from kompress.aggregation.learned import Learner
from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.reliability.rule import ReliabilityFit
from kompress.config import AggregationConfig
from kompress.errors import InvalidConfig
from kompress.types import DROP, KEEP, STRATA, UNKNOWN, CodeArray, FloatArray

RULES = [
    *[(name, {}) for name in AGGREGATORS],
    ("k_of_n", {"k": 1}),
    ("k_of_n", {"k": 4}),
]
LEARNERS = [rule() for rule in AGGREGATORS.values() if isinstance(rule(), Learner)]
# For each rule; a learner is fitted four times an example, in milliseconds each.
FEW = settings(max_examples=25, deadline=None)
PROBABILITY = st.floats(0, 1) | st.just(np.nan) | st.sampled_from([0.0, 0.5, 1.0])


@dataclass(frozen=True)
class Case:
    """Votes, and what a learner may know of them."""

    p_NM: FloatArray
    strength_NM: FloatArray
    stratum_N: FloatArray
    truth_N: CodeArray

    @property
    def votes(self):
        return self.p_NM, self.strength_NM, self.stratum_N

    def with_votes(self, p_NM, strength_NM):
        return replace(self, p_NM=p_NM, strength_NM=strength_NM)


@st.composite
def few_words(draw):
    """Votes, strengths, strata and truths of up to 6 words by up to 5 voters."""
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 5)))
    strata = st.integers(0, len(STRATA) - 1)
    return Case(
        draw(arrays(np.float64, shape, elements=PROBABILITY)),
        draw(arrays(np.float64, shape, elements=st.floats(0.01, 1e4))),
        draw(arrays(np.int64, shape[0], elements=strata)),
        draw(
            arrays(np.uint8, shape[0], elements=st.sampled_from([DROP, KEEP, UNKNOWN]))
        ),
    )


@st.composite
def much_gold(draw):
    """Enough words of known truth to start from them: 24 of 40 at least."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (40, draw(st.integers(1, 5)))
    truth_N = rng.choice([DROP, KEEP], shape[0]).astype(np.uint8)
    # From always wrong to always right; on hard words some are wrong together.
    wrong_NM = rng.random(shape) > rng.uniform(0, 1, shape[1])
    wrong_NM[rng.random(shape[0]) < draw(st.sampled_from([0, 0.4]))] = True
    sharp_NM = rng.choice([0.6, 0.9, 1.0], shape)
    p_NM = np.where(wrong_NM == (truth_N[:, None] == DROP), sharp_NM, 1 - sharp_NM)
    p_NM[rng.random(shape) < draw(st.sampled_from([0, 0.3]))] = np.nan
    truth_N[24:][rng.random(16) < 0.8] = UNKNOWN
    return Case(
        p_NM,
        rng.choice([0.5, 1.0, 5.0], shape),
        rng.integers(0, draw(st.integers(1, len(STRATA))), shape[0]),
        truth_N,
    )


def cases():
    return few_words() | much_gold()


@st.composite
def sighted_panels(draw, least_half=2):
    """Gold of two strata on which each of up to 4 voters is better than chance."""
    num_voters = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    half = draw(st.integers(least_half, least_half + 10))  # words of stratum and truth
    stratum_N = np.repeat([0, 0, 1, 1], half)
    truth_N = np.repeat([DROP, KEEP, DROP, KEEP], half).astype(np.uint8)
    p_NM = np.empty((4 * half, num_voters))
    is_nested = draw(st.booleans())  # on hard words all err, or each on its own
    order = rng.permutation(half)
    for m in range(num_voters):
        # A voter of yes and no, or one that states how sure it is.
        sharp_L = rng.uniform(0.55, 0.999, rng.integers(1, 5))
        for start in range(0, 4 * half, half):
            # More than half of them right.
            order = order if is_nested else rng.permutation(half)
            right_N = order < rng.integers(half // 2 + 1, half + 1)
            keep_N = right_N == (truth_N[start] == KEEP)
            sharp_N = rng.choice(sharp_L, half)
            p_NM[start : start + half, m] = np.where(keep_N, sharp_N, 1 - sharp_N)
    strength_M = rng.integers(1, 9, num_voters)
    strength_NM = np.broadcast_to(strength_M, p_NM.shape).astype(float)
    return Case(p_NM, strength_NM, stratum_N, truth_N)


def every(prop):
    """Run a test on each rule that declares a property."""
    rules = [
        make_aggregator(name, params)
        for name, params in RULES
        if prop in AGGREGATORS[name].properties
    ]
    return pytest.mark.parametrize("rule", rules, ids=repr)


def with_gold(rule, case):
    """Give what pools: a plain rule itself, a learner fitted to gold."""
    if not isinstance(rule, Learner):
        return rule
    return rule.fit(count_patterns(*case.votes, case.truth_N))


def both_ways(rule, case):
    """Give what pools: a plain rule itself, a learner without gold and with it."""
    if not isinstance(rule, Learner):
        return [rule]
    return [rule.fit(count_patterns(*case.votes)), with_gold(rule, case)]


def test_every_rule_declares_what_all_must_guarantee():
    for name, rule in AGGREGATORS.items():
        assert {"voter_order", "abstention", "inside"} <= rule.properties, name


def test_every_declared_property_has_a_test_here():
    declared = set().union(*(rule.properties for rule in AGGREGATORS.values()))

    tested = {"voter_order", "abstention", "inside", "monotone", "unanimous", "copies"}
    assert declared <= tested


@every("voter_order")
@FEW
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_voters_changes_nothing(rule, case, random):
    order_M = list(range(case.p_NM.shape[1]))
    random.shuffle(order_M)
    turned = case.with_votes(case.p_NM[:, order_M], case.strength_NM[:, order_M])

    for pools, pools_turned in zip(
        both_ways(rule, case), both_ways(rule, turned), strict=True
    ):
        one = pools.aggregate(*case.votes)
        other = pools_turned.aggregate(*turned.votes)

        assert np.allclose(one.alpha_N, other.alpha_N, rtol=1e-6)
        assert np.allclose(one.beta_N, other.beta_N, rtol=1e-6)
        assert np.allclose(one.weight_SM[:, order_M], other.weight_SM, atol=1e-8)


@every("abstention")
@FEW
@given(cases(), st.floats(allow_nan=True, allow_infinity=True))
def test_an_abstention_changes_nothing_whatever_its_strength(rule, case, strength):
    size = len(case.p_NM)
    joined = case.with_votes(
        np.column_stack([np.full(size, np.nan), case.p_NM]),
        np.column_stack([np.full(size, strength), case.strength_NM]),
    )

    for pools, pools_joined in zip(
        both_ways(rule, case), both_ways(rule, joined), strict=True
    ):
        without = pools.aggregate(*case.votes)
        silent = pools_joined.aggregate(*joined.votes)

        assert np.array_equal(without.alpha_N, silent.alpha_N)
        assert np.array_equal(without.beta_N, silent.beta_N)
        assert np.array_equal(without.weight_SM, silent.weight_SM[:, 1:])
        assert not silent.weight_SM[:, 0].any()


@every("abstention")
@FEW
@given(cases(), st.floats(0, 1))
def test_a_vote_without_samples_is_an_abstention(rule, case, p):
    column_N = np.full(len(case.p_NM), p)
    joined = case.with_votes(
        np.column_stack([case.p_NM, column_N]),
        np.column_stack([case.strength_NM, column_N * 0]),
    )

    for pools, pools_joined in zip(
        both_ways(rule, case), both_ways(rule, joined), strict=True
    ):
        without = pools.aggregate(*case.votes)
        empty = pools_joined.aggregate(*joined.votes)

        assert np.array_equal(without.alpha_N, empty.alpha_N)
        assert np.array_equal(without.beta_N, empty.beta_N)


@every("inside")
@FEW
@given(cases())
def test_the_posterior_stays_inside_and_nan_never_escapes(rule, case):
    voted_N = ~np.isnan(case.p_NM).all(axis=1)

    for pools in both_ways(rule, case):
        posterior = pools.aggregate(*case.votes)

        assert np.isfinite(posterior.alpha_N).all()
        assert np.isfinite(posterior.beta_N).all()
        assert (posterior.alpha_N > 0).all()
        assert (posterior.beta_N > 0).all()
        assert ((posterior.mean_N > 0) & (posterior.mean_N < 1)).all()
        assert ((posterior.sd_N > 0) & (posterior.sd_N < 0.5)).all()
        assert (posterior.alpha_N[~voted_N] == 1).all()
        assert (posterior.beta_N[~voted_N] == 1).all()
        row_S = posterior.weight_SM.sum(axis=1)
        assert np.all(np.isclose(row_S, 1) | (row_S == 0))


@every("monotone")
@FEW
@given(cases(), st.data())
def test_a_higher_vote_never_lowers_a_monotone_rules_mean(rule, case, data):
    lift = arrays(np.float64, case.p_NM.shape, elements=st.floats(0, 1))
    lifted_NM = np.maximum(case.p_NM, data.draw(lift))

    for pools in both_ways(rule, case):
        before = pools.aggregate(*case.votes)
        after = pools.aggregate(lifted_NM, case.strength_NM, case.stratum_N)

        assert (after.mean_N >= before.mean_N).all()


def holds_for_worse_than_chance(pools):
    """Tell whether a voter's sharper votes were found to be wrong more often."""
    families = pools.pool.families if isinstance(pools, ReliabilityFit) else ()
    curves = [voter.ratio_SC[:, :-1] for family in families for voter in family.voters]
    return any((np.diff(curve_SC, axis=1) < -1e-12).any() for curve_SC in curves)


@every("unanimous")
@settings(FEW, max_examples=75)
@given(sighted_panels(), st.data())
def test_a_unanimous_sharper_vote_never_lowers_the_mean(rule, case, data):
    num_voters = case.p_NM.shape[1]
    strengths = arrays(np.float64, num_voters, elements=st.floats(0.01, 1e4))
    strength_M = data.draw(st.just(case.strength_NM[0]) | strengths)
    votes = st.lists(st.booleans(), min_size=num_voters, max_size=num_voters)
    vote_M = np.where(data.draw(votes), 1.0, np.nan)
    pools = with_gold(rule, case)
    # By accident a sharper vote may be the worse one on gold.
    assume(not holds_for_worse_than_chance(pools))
    # Both strata of the gold, and one without.
    p_3C = np.tile(np.linspace(0.5, 1, 41), (3, 1))
    stratum_N = np.repeat([0, 1, 2], 41)

    def mean_of(p_3C):
        p_NM = p_3C.reshape(-1, 1) * vote_M
        return pools.aggregate(p_NM, strength_M, stratum_N).mean_N.reshape(3, 41)

    # As far as floats go: the mean is a ratio of two sums.
    assert (np.diff(mean_of(p_3C)) >= -1e-12).all()
    assert (np.diff(mean_of(1 - p_3C)) <= 1e-12).all()


@every("copies")
@FEW
@given(sighted_panels(), st.data())
def test_a_copy_of_a_voter_adds_nothing(rule, case, data):
    shape = (4, case.p_NM.shape[1])
    p_NM = data.draw(arrays(np.float64, shape, elements=PROBABILITY))
    stratum_N = data.draw(arrays(np.int64, 4, elements=st.integers(0, 2)))
    m = data.draw(st.integers(0, shape[1] - 1))
    doubled = case.with_votes(
        np.column_stack([case.p_NM, case.p_NM[:, m]]),
        np.column_stack([case.strength_NM, case.strength_NM[:, m]]),
    )

    one = with_gold(rule, case).aggregate(p_NM, case.strength_NM[:4], stratum_N)
    other = with_gold(rule, doubled).aggregate(
        np.column_stack([p_NM, p_NM[:, m]]), doubled.strength_NM[:4], stratum_N
    )

    assert np.allclose(one.alpha_N, other.alpha_N, rtol=1e-6)
    assert np.allclose(one.beta_N, other.beta_N, rtol=1e-6)


@every("copies")
@FEW
@given(sighted_panels(least_half=50), st.data())
def test_copies_that_are_silent_here_and_there_are_one_voter(rule, case, data):
    """Add nothing where others of them vote; stand in where they are silent."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    m = data.draw(st.integers(0, case.p_NM.shape[1] - 1))
    column_M = np.append(np.arange(case.p_NM.shape[1]), [m] * rng.integers(1, 4))
    p_NM, is_own_M = case.p_NM[:, column_M], column_M == m
    missing = data.draw(st.sampled_from([0.01, 0.3]))
    p_NM[(rng.random(p_NM.shape) < missing) & is_own_M] = np.nan
    torn = case.with_votes(p_NM, case.strength_NM[:, column_M])
    case.p_NM[np.isnan(p_NM[:, is_own_M]).all(axis=1), m] = np.nan

    one = with_gold(rule, case).aggregate(*case.votes)
    many = with_gold(rule, torn).aggregate(*torn.votes)

    assert np.allclose(one.alpha_N, many.alpha_N, rtol=1e-6)
    assert np.allclose(one.beta_N, many.beta_N, rtol=1e-6)


@pytest.mark.parametrize("rule", LEARNERS, ids=repr)
@FEW
@given(cases())
def test_what_was_learned_is_json_and_comes_back_bit_for_bit(rule, case):
    for learned in both_ways(rule, case):
        again = rule.load(json.loads(json.dumps(learned.data, allow_nan=False)))

        one = learned.aggregate(*case.votes)
        other = again.aggregate(*case.votes)
        assert again.data == learned.data
        assert np.array_equal(one.alpha_N, other.alpha_N)
        assert np.array_equal(one.beta_N, other.beta_N)
        assert np.array_equal(one.weight_SM, other.weight_SM)


@pytest.mark.parametrize("rule", LEARNERS, ids=repr)
@FEW
@given(cases())
def test_alone_a_learner_learns_from_the_words_it_is_given(rule, case):
    alone = rule.aggregate(*case.votes)
    learned = both_ways(rule, case)[0].aggregate(*case.votes)

    assert np.array_equal(alone.alpha_N, learned.alpha_N)
    assert np.array_equal(alone.beta_N, learned.beta_N)


@pytest.mark.parametrize(
    ("name", "params", "says"),
    [
        ("mean", {}, "beta, .*inverse_variance, k_of_n, majority, .*uniform"),
        ("majority", {"k": 2}, "no parameter k; expected none"),
        ("k_of_n", {"n": 2}, "no parameter n; expected k"),
        ("k_of_n", {"k": 0}, ">= 1"),
        ("k_of_n", {"k": 1.5}, "whole number"),
        ("k_of_n", {"k": True}, "whole number"),
        ("k_of_n", {"k": "2"}, "whole number"),
        ("stacking", {"weight_sd": 0}, "above 0"),
        ("stacking", {"stratum_sd": "1"}, "above 0"),
        ("stacking", {"weight_sd": True}, "above 0"),
        ("stacking", {"weight_sd": np.nan}, "above 0"),
    ],
)
def test_a_wrong_rule_or_parameter_is_refused_in_words(name, params, says):
    with pytest.raises(InvalidConfig, match=says):
        make_aggregator(name, params)


def test_rules_are_named_as_in_the_view_of_the_paradox():
    config = AggregationConfig(
        rule="k_of_n", params={"k": 2}, compare=("majority", "k_of_n")
    )

    assert rules_of(config, 3) == {
        "k_of_n(1)": ("k_of_n", {"k": 1}),
        "k_of_n(2)": ("k_of_n", {"k": 2}),
        "k_of_n(3)": ("k_of_n", {"k": 3}),
        "k_of_n": ("k_of_n", {"k": 2}),
        "majority": ("majority", {}),
    }
    alone = AggregationConfig(rule="beta", compare=())
    assert rules_of(alone, 2) == {"beta": ("beta", {})}


def test_every_rule_can_be_measured_beside_another():
    names = sorted(AGGREGATORS)

    rules = rules_of(AggregationConfig(rule="uniform", compare=tuple(names)), 2)

    assert sorted(rules) == sorted(
        ["k_of_n(1)", "k_of_n(2)", *(set(names) - {"k_of_n"})]
    )
    for name, params in rules.values():
        posterior = make_aggregator(name, params).aggregate([[0.9, 0.9]], [1, 1], [0])
        assert posterior.mean_N[0] > 0.5, name


def test_of_voters_that_all_say_a_half_rules_that_count_sides_keep():
    p_NM, strength_M = np.full((100, 5), 0.5), np.ones(5)
    zeros = np.zeros(100, dtype=int)
    mean = {
        name: float(rule().aggregate(p_NM, strength_M, zeros).mean_N[0])
        for name, rule in AGGREGATORS.items()
    }

    # Five votes keep and none drops: Beta(1 + 5, 1), whose mean is 6/7.
    sides = {"majority": 6 / 7, "k_of_n": 6 / 7}
    assert {name: mean[name] for name in sides} == pytest.approx(sides)
    # Five who always agree are sure of each other.
    assert mean["dawid_skene"] > 0.99
    others = set(AGGREGATORS) - {*sides, "dawid_skene"}
    assert {name: mean[name] for name in others} == pytest.approx(
        dict.fromkeys(others, 0.5)
    )
