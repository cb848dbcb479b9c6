from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.config import EvaluationConfig
from kompress.evaluation.compare import compare
from kompress.evaluation.suites import Suite, SuiteText
from kompress.types import Fact, Gold

CONFIG = EvaluationConfig(num_bootstraps=200, keep_rates=(0.5,))


def suite_text(text, truth):
    codes = np.array([254 if keep else 0 for keep in truth], dtype=np.uint8)
    facts = (Fact("all", tuple(i for i, keep in enumerate(truth) if keep)),)
    gold = Gold("test", "evaluate", codes, "what?", facts)
    return SuiteText(text, "log", "", sha256(text.encode()).hexdigest(), gold)


# Must-keep (farm): the number of each; gold keeps it and the first word.
SUITE = Suite(
    "qa",
    tuple(suite_text(f"do may take {n} now ok", [1, 0, 0, 1, 0, 0]) for n in range(8)),
)
GOOD = [np.array([0.9, 0.1, 0.2, 0.8, 0.1, 0.1])] * 8  # keeps do, n
GREEDY = [np.array([0.9, 0.95, 0.96, 0.6, 0.97, 0.1])] * 8  # five of six
LAST = [np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.9])] * 8  # keeps now ok


def find(found, metric, stratum="all", rate=None):
    (one,) = [
        c
        for c in found
        if (c.metric, c.stratum, c.target_keep_rate) == (metric, stratum, rate)
    ]
    return one


def test_figures_are_compared_at_the_own_threshold_by_hand():
    found = compare(
        GOOD, LAST, SUITE, CONFIG, count_tokens=lambda w: np.array([len(x) for x in w])
    )

    exact = find(found, "exact_pct")
    assert (exact.a, exact.b, exact.difference, exact.n) == (1.0, 0.0, 1.0, 8)
    # All texts agree, so all 200 resamples do: 2 * 1 / 201.
    assert (exact.ci_low, exact.ci_high) == (1.0, 1.0)
    assert exact.p_value == pytest.approx(2 / 201)
    assert find(found, "f1").difference == 1.0
    assert find(found, "decision_pct").difference == 1.0
    assert find(found, "fact_pct").difference == 1.0
    assert find(found, "keep_rate").difference == 0.0
    assert find(found, "keep_rate").p_value == 1.0
    # 15 letters a text: 3 are kept of the first, 5 of the second.
    savings = find(found, "token_savings")
    assert savings.difference == pytest.approx(2 / 15)
    assert savings.n == 8 * 15
    assert find(found, "negation_pct").difference == 0.0


def test_keeping_more_does_not_win_at_equal_keep_rate():
    found = compare(GREEDY, GOOD, SUITE, CONFIG)

    assert find(found, "exact_pct").difference == 0.0  # it keeps nearly all
    assert find(found, "keep_rate").difference == pytest.approx(3 / 6)
    # The top three are may, take, now; of the good one do, n, take.
    assert find(found, "exact_pct", rate=0.5).difference == -1.0
    assert find(found, "keep_rate", rate=0.5).difference == 0.0
    assert find(found, "exact_auc").difference < 0
    assert not [c for c in found if c.metric == "token_savings"]


def test_a_single_group_gives_a_difference_and_no_test():
    found = compare(GOOD[:1], LAST[:1], Suite("qa", SUITE.texts[:1]), CONFIG)

    exact = find(found, "exact_pct")
    assert (exact.difference, exact.ci_low, exact.p_value) == (1.0, None, None)


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=6, max_size=6), st.integers(0, 99))
def test_swapping_two_students_turns_the_sign_and_nothing_else(scores, seed):
    mine = [np.array(scores)] * 4 + GOOD[4:]

    forward = compare(mine, LAST, SUITE, CONFIG, seed)
    backward = compare(LAST, mine, SUITE, CONFIG, seed)

    for one, other in zip(forward, backward, strict=True):
        if one.difference is not None:
            assert one.difference == -other.difference
            assert one.ci_low == pytest.approx(-other.ci_high)
            assert one.p_value == other.p_value
