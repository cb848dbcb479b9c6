"""The fit is believed where voters are right or wrong each for itself."""

import numpy as np
import pytest

from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.reliability.copies import find_copies
from kompress.aggregation.reliability.goodness_of_fit import check_fit
from kompress.aggregation.reliability.rule import Reliability

SIZE = 20_000


def _check(right_NM):
    rng = np.random.default_rng(9)
    keep_N1 = rng.random((len(right_NM), 1)) < 0.4
    code_NM = np.where(keep_N1 == right_NM, 254, 0).astype(np.uint8)
    num_voters = code_NM.shape[1]
    zeros = np.zeros(len(code_NM), dtype=np.intp)
    patterns = count_patterns(code_NM, np.ones(num_voters), zeros)
    fit = Reliability().fit(patterns)
    copies = find_copies(patterns)
    return check_fit(patterns, fit.pool, fit.prevalence_S, copies)


def test_voters_that_err_each_for_itself_are_believed():
    right_NM = np.random.default_rng(0).random((SIZE, 5)) < 0.8

    found = _check(right_NM)

    assert found.doubt is None
    assert found.misfit < 1e-4 < found.dependence


@pytest.mark.parametrize(("right", "words", "reason"), [
    ("common cause", SIZE, "truth does not explain"),
    ("each for itself", 300, "too few words"),
    ("two only", SIZE, "fewer than three"),
    ("chance", SIZE, "next to nothing"),
    ("two against three", SIZE, "contradict"),
])  # fmt: skip
def test_a_doubt_names_its_reason(right, words, reason):
    rng = np.random.default_rng(1)
    right_NM = rng.random((words, 5)) < 0.8
    if right == "common cause":
        shared_N1 = rng.random((words, 1)) < 0.8
        right_NM = np.where(rng.random((words, 1)) < 0.4, shared_N1, right_NM)
    if right == "two only":
        right_NM = right_NM[:, :2]
    if right == "chance":
        right_NM = rng.random((words, 5)) < 0.5
    if right == "two against three":
        right_NM[:, 2:] = ~right_NM[:, 2:]

    doubt = _check(right_NM).doubt

    assert doubt is not None
    assert reason in doubt


def test_of_many_voters_a_bounded_number_of_pairs_is_compared():
    # 80 voters have 3,160 pairs, of which every second is compared.
    found = _check(np.random.default_rng(1).random((400, 80)) < 0.7)

    assert found.num_pairs == 1_580
