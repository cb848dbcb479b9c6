"""Copies are seen without gold; that errors fall together only with it."""

import numpy as np
import pytest

from kompress.aggregation.families import find_copies, find_families
from kompress.aggregation.patterns import count_patterns


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
    known = np.where(np.arange(len(codes)) < num_gold, truth.astype(np.uint8), 255)
    patterns = count_patterns(codes, np.ones(codes.shape[1]), stratum, known)
    return find_families(patterns, tuple(range(codes.shape[1])))


def test_a_voter_that_never_differs_is_a_copy():
    codes = np.array([[254, 0, 254, 255], [0, 0, 0, 255], [255, 0, 255, 255]], np.uint8)

    found = find_copies(count_patterns(codes, np.ones(4), np.zeros(3, int)))

    # Voter 3 never voted: it is no one's copy.
    assert found == {0: 0, 1: 1, 2: 0, 3: 3}


def test_one_different_vote_makes_two_voters():
    codes = np.array([[254, 254], [0, 1]], np.uint8)

    found = find_copies(count_patterns(codes, np.ones(2), np.zeros(2, int)))

    assert found == {0: 0, 1: 1}


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
