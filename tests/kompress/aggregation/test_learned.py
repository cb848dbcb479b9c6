"""Every learner of the registry keeps its word."""

import json

import numpy as np
import pytest

from kompress.aggregation import AGGREGATORS, make_aggregator
from kompress.aggregation.learned import Learner
from kompress.aggregation.patterns import count_patterns
from kompress.types import UNKNOWN
from tests.truth_codes import coded

LEARNERS = [
    name for name in AGGREGATORS if isinstance(make_aggregator(name, {}), Learner)
]


def make_case():
    rng = np.random.default_rng(0)
    truth = rng.random(2_000) < 0.5
    right = rng.random((2_000, 3)) < [0.9, 0.8, 0.7]
    codes = np.where(right == truth[:, None], 230, 20).astype(np.uint8)
    codes[rng.random(codes.shape) < 0.1] = 255
    stratum = rng.integers(0, 4, 2_000)
    gold = np.where(np.arange(2_000) < 300, truth, UNKNOWN)
    return (
        codes,
        stratum,
        truth,
        count_patterns(codes, np.ones(3), stratum, coded(gold)),
    )


def test_the_rules_that_learn_are_known():
    assert set(LEARNERS) == {
        "bagging", "boosting", "dawid_skene", "reliability", "stacking",
    }  # fmt: skip


@pytest.mark.parametrize("name", LEARNERS)
def test_what_was_learned_is_data(name):
    codes, stratum, _, patterns = make_case()
    rule = make_aggregator(name, {})

    learned = rule.fit(patterns)
    again = rule.load(json.loads(json.dumps(learned.data)))

    one = learned.aggregate(codes, np.ones(3), stratum)
    other = again.aggregate(codes, np.ones(3), stratum)
    assert np.array_equal(one.alpha_N, other.alpha_N)
    assert np.array_equal(one.beta_N, other.beta_N)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_follows_the_best_voter_more_than_the_worst(name):
    codes, stratum, truth, patterns = make_case()

    found = (
        make_aggregator(name, {}).fit(patterns).aggregate(codes, np.ones(3), stratum)
    )

    assert found.weight_SM[0].argmax() == 0
    assert ((found.mean_N >= 0.5) == truth).mean() > 0.88


@pytest.mark.parametrize("name", LEARNERS)
def test_words_are_pooled_alike_in_any_company(name):
    codes, stratum, _, patterns = make_case()
    learned = make_aggregator(name, {}).fit(patterns)

    whole = learned.aggregate(codes, np.ones(3), stratum)
    part = learned.aggregate(codes[700:703], np.ones(3), stratum[700:703])

    assert np.array_equal(whole.alpha_N[700:703], part.alpha_N)
    assert np.array_equal(whole.beta_N[700:703], part.beta_N)
