"""The registry, and what its entries declare."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.aggregation import AGGREGATORS, make_aggregator, rules_of
from kompress.config import AggregationConfig
from kompress.errors import InvalidConfig
from kompress.types import STRATA

RULES = [
    *[(name, {}) for name in AGGREGATORS],
    ("k_of_n", {"k": 1}),
    ("k_of_n", {"k": 4}),
]
PROBABILITY = st.floats(0, 1) | st.just(np.nan) | st.sampled_from([0.0, 0.5, 1.0])


@st.composite
def votes(draw):
    """Votes, strengths and strata of up to 6 words by up to 5 voters."""
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 5)))
    p_NM = draw(arrays(np.float64, shape, elements=PROBABILITY))
    strength_NM = draw(arrays(np.float64, shape, elements=st.floats(0.01, 1e4)))
    strata = st.integers(0, len(STRATA) - 1)
    return p_NM, strength_NM, draw(arrays(np.int64, shape[0], elements=strata))


def declaring(prop):
    return [
        make_aggregator(name, params)
        for name, params in RULES
        if prop in AGGREGATORS[name].properties
    ]


def test_every_rule_declares_what_all_must_guarantee():
    for name, rule in AGGREGATORS.items():
        assert {"voter_order", "abstention", "inside"} <= rule.properties, name


@given(votes(), st.randoms(use_true_random=False))
def test_the_order_of_voters_changes_nothing(case, random):
    p_NM, strength_NM, stratum_N = case
    order_M = list(range(p_NM.shape[1]))
    random.shuffle(order_M)

    for rule in declaring("voter_order"):
        one = rule.aggregate(p_NM, strength_NM, stratum_N)
        other = rule.aggregate(p_NM[:, order_M], strength_NM[:, order_M], stratum_N)

        assert np.allclose(one.alpha_N, other.alpha_N, rtol=1e-6)
        assert np.allclose(one.beta_N, other.beta_N, rtol=1e-6)
        assert np.allclose(one.weight_SM[:, order_M], other.weight_SM, atol=1e-9)


@given(votes(), st.floats(allow_nan=True, allow_infinity=True))
def test_an_abstention_changes_nothing_whatever_its_strength(case, strength):
    p_NM, strength_NM, stratum_N = case
    size = len(p_NM)

    for rule in declaring("abstention"):
        without = rule.aggregate(p_NM, strength_NM, stratum_N)
        silent = rule.aggregate(
            np.column_stack([np.full(size, np.nan), p_NM]),
            np.column_stack([np.full(size, strength), strength_NM]),
            stratum_N,
        )

        assert np.array_equal(without.alpha_N, silent.alpha_N)
        assert np.array_equal(without.beta_N, silent.beta_N)
        assert np.array_equal(without.weight_SM, silent.weight_SM[:, 1:])
        assert not silent.weight_SM[:, 0].any()


@given(votes(), st.floats(0, 1))
def test_a_vote_without_samples_is_an_abstention(case, p):
    p_NM, strength_NM, stratum_N = case
    column_N = np.full(len(p_NM), p)

    for rule in declaring("abstention"):
        without = rule.aggregate(p_NM, strength_NM, stratum_N)
        empty = rule.aggregate(
            np.column_stack([p_NM, column_N]),
            np.column_stack([strength_NM, column_N * 0]),
            stratum_N,
        )

        assert np.array_equal(without.alpha_N, empty.alpha_N)
        assert np.array_equal(without.beta_N, empty.beta_N)


@given(votes())
def test_the_posterior_stays_inside_and_nan_never_escapes(case):
    p_NM = case[0]
    voted_N = ~np.isnan(p_NM).all(axis=1)

    for rule in declaring("inside"):
        posterior = rule.aggregate(*case)

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


@given(votes(), st.data())
def test_a_higher_vote_never_lowers_a_monotone_rules_mean(case, data):
    p_NM, strength_NM, stratum_N = case
    lift = st.floats(0, 1)
    lifted_NM = np.maximum(
        p_NM, data.draw(arrays(np.float64, p_NM.shape, elements=lift))
    )

    for rule in declaring("monotone"):
        before = rule.aggregate(p_NM, strength_NM, stratum_N)
        after = rule.aggregate(lifted_NM, strength_NM, stratum_N)

        assert (after.mean_N >= before.mean_N).all()


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
    assert rules_of(AggregationConfig(compare=()), 2) == {"beta": ("beta", {})}
