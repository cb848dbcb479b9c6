"""That voters' errors fall together is seen with gold only."""

from itertools import permutations

import numpy as np
import pytest

from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.reliability.families import find_families
from kompress.types import UNKNOWN
from tests.truth_codes import coded

ORDERS = list(permutations(range(3)))


def panel(seed, rho, num_voters=5, size=3_000, accuracy=0.8, hard=0.0):
    """Draw votes; on a share rho of the words all voters are right or wrong alike."""
    rng = np.random.default_rng(seed)
    truth = rng.random(size) < 0.4
    right = rng.random((size, num_voters)) < accuracy
    shared = rng.random(size) < rho
    right[shared] = right[shared][:, :1]
    if hard:
        right &= ~((rng.random(size) < hard)[:, None] & (rng.random(right.shape) < 0.5))
    keep = right == truth[:, None]
    return np.where(keep, 254, 0).astype(np.uint8), truth


def families(codes, truth, num_gold):
    stratum = np.arange(len(codes)) % 3
    known = np.where(np.arange(len(codes)) < num_gold, coded(truth), UNKNOWN)
    patterns = count_patterns(codes, np.ones(codes.shape[1]), stratum, known)
    return find_families(patterns, tuple(range(codes.shape[1])))


@pytest.mark.parametrize("seed", range(5))
def test_independent_voters_stay_apart(seed):
    codes, truth = panel(seed, rho=0.0)

    assert families(codes, truth, 1_000) == ((0,), (1,), (2,), (3,), (4,))


@pytest.mark.parametrize("rho", [0.3, 0.8])
def test_voters_that_err_alike_are_a_family(rho):
    near, truth = panel(0, rho, num_voters=3)
    rng = np.random.default_rng(2)
    right = rng.random((len(truth), 2)) < 0.9
    good = np.where(right == truth[:, None], 254, 0).astype(np.uint8)

    found = families(np.column_stack([good, near]), truth, 1_000)

    assert found == ((0,), (1,), (2, 3, 4))


def test_words_that_are_hard_for_all_make_a_family():
    codes, truth = panel(0, rho=0.0, hard=0.3)

    assert families(codes, truth, 2_000) == ((0, 1, 2, 3, 4),)


def test_without_gold_nobody_knows():
    codes, truth = panel(0, rho=0.8)

    assert families(codes, truth, 0) == ((0,), (1,), (2,), (3,), (4,))


def test_a_few_words_of_gold_prove_nothing():
    codes, truth = panel(3, rho=0.2)

    assert len(families(codes, truth, 12)) == 5


def test_a_voter_of_few_words_hides_no_family():
    codes, truth = panel(0, rho=0.3, num_voters=3)
    # A fourth voted on four words, and erred where the first alone did: phi of 1.
    num_wrong = ((codes > 127) != truth[:, None]).sum(axis=1)
    alone = (num_wrong == 1) & ((codes[:, 0] > 127) != truth)
    alike = ~truth & (np.arange(len(codes)) % 3 == 0) & (np.arange(len(codes)) < 1_000)
    chosen = [np.flatnonzero(alike & which)[:2] for which in (alone, num_wrong == 0)]
    late = np.full(len(codes), 255, np.uint8)
    late[np.concatenate(chosen)] = codes[np.concatenate(chosen), 0]

    found = families(np.column_stack([codes, late]), truth, 1_000)

    assert found == ((0, 1, 2), (3,))


@pytest.mark.parametrize("order", ORDERS)
def test_a_tie_does_not_make_families_depend_on_the_order(order):
    # Voters 1 and 2 share 8 errors of 16 with voter 0 and none with each other: phi is
    # .61, .61 and -.25 on 40 words. Had one of them joined voter 0 first, the other
    # would have correlated at .18 with the two, and stayed apart.
    wrong = np.zeros((40, 3), bool)
    wrong[:16, 0] = wrong[:8, 1] = wrong[8:16, 2] = True
    codes = np.where(wrong[:, order], 254, 0).astype(np.uint8)
    nothing = np.zeros(40, np.uint8)
    patterns = count_patterns(codes, np.ones(3), nothing, nothing)

    assert find_families(patterns, (0, 1, 2)) == ((0, 1, 2),)
