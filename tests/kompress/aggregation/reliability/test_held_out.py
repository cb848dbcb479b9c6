"""Folds of gold, and weights that it chooses."""

import numpy as np
import pytest

from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.reliability.held_out import (
    choose_mix,
    folds,
    is_enough,
    mix_grid,
)
from kompress.types import DROP, KEEP, UNKNOWN

SIZE = 240


def _patterns(boundary_N=None):
    rng = np.random.default_rng(0)
    truth_N = rng.choice([KEEP, DROP, UNKNOWN], SIZE)
    code_NM = rng.integers(0, 3, (SIZE, 2)).astype(np.uint8) * 100
    zeros = np.zeros(SIZE, dtype=np.intp)
    return count_patterns(code_NM, np.ones(2), zeros, truth_N, boundary_N)


@pytest.mark.parametrize("texts", [False, True])
def test_each_word_of_gold_is_held_out_once_and_never_seen_then(texts):
    boundary_N = None
    if texts:
        boundary_N = np.where(np.arange(SIZE) % 20, 0, 3)
    patterns = _patterns(boundary_N)
    num_gold = int(patterns.count_P[patterns.truth_P != UNKNOWN].sum())

    found = list(folds(patterns))

    assert sum(held.num_words for _, held in found) == num_gold
    for rest, held in found:
        assert rest.num_words + held.num_words == patterns.num_words
        assert (rest.count_P > 0).all()
        assert (held.truth_P != UNKNOWN).all()


def test_one_document_of_gold_cannot_be_cut():
    assert list(folds(_patterns(np.where(np.arange(SIZE), 0, 3)))) == []


def test_gold_chooses_the_answer_that_knew_it():
    keep_P = np.array([True, False] * 50)
    knows_P = np.where(keep_P, 2.0, -2.0)
    score_AP = np.stack([-knows_P, knows_P])

    weight_A = choose_mix(score_AP, keep_P, np.ones(100, dtype=np.int64))

    assert weight_A.tolist() == [0, 1]


def test_little_gold_does_not_overrule_what_is_believed():
    score_AP = np.array([[1.0], [1.1]])

    weight_A = choose_mix(score_AP, np.array([True]), np.array([3]))

    assert weight_A.tolist() == [1, 0]


def test_weights_are_shares():
    # Of three answers in eighths: 10 over 2 = 45.
    found = list(mix_grid(3))

    assert len(found) == 45
    assert all(weight_A.sum() == 1 for weight_A in found)


def test_gold_of_one_side_is_not_enough():
    zeros = np.zeros(50, dtype=np.intp)
    truth_N = np.full(50, KEEP)

    patterns = count_patterns(np.zeros((50, 1), np.uint8), [1], zeros, truth_N)

    assert not is_enough(patterns)
