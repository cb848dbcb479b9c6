import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.worlds.draws import Draw
from benchmarks.worlds.scores import (
    count_voters,
    f1_of,
    mean_of,
    score_bayes,
    score_posterior,
)

K, D, NONE = 254, 0, 255


def draw_of(codes, truth, *, gold=None, bayes=None, stratum=None):
    codes = np.array(codes, dtype=np.uint8)
    size = len(codes)
    return Draw(
        codes,
        np.ones(codes.shape[1]),
        np.array(stratum or [0] * size, dtype=np.uint8),
        np.array(truth, dtype=bool),
        np.array(gold or [False] * size),
        np.zeros(size, dtype=np.int64),
        np.array(bayes or [0.5] * size),
    )


def test_a_score_is_worked_out_by_hand():
    draw = draw_of([[K]] * 4, [True, True, False, False])

    score = score_posterior(
        draw, np.array([3.0, 1, 1, 1]), np.array([1.0, 3, 3, 1]), 0.0
    )

    # Means 3/4, 1/4, 1/4, 1/2: kept, dropped, dropped, kept (a tie keeps).
    assert score.confusion_S4[0].tolist() == [1, 1, 1, 1]
    # P(truth) = 3/4, 1/4, 3/4, 1/2
    assert score.log_loss == pytest.approx(-np.log(9 / 128) / 4)
    # Bytes 191, 63, 63, 127. Bin of 3/4: |.751 - 1|; of 1/4, one of two kept: |.249 -
    # .5| twice; of 1/2: |.5 - 0|; a quarter each.
    stated = (191.5 / 255, 63.5 / 255)
    expected = (1 - stated[0] + 2 * (0.5 - stated[1]) + 0.5) / 4
    assert score.ece == pytest.approx(expected)


def test_words_with_gold_are_not_scored():
    draw = draw_of([[K]] * 2, [True, False], gold=[False, True])

    score = score_posterior(draw, np.array([3.0, 99]), np.array([1.0, 1]), 0.0)

    assert score.log_loss == pytest.approx(-np.log(3 / 4))
    assert score.confusion_S4.sum() == 1
    assert count_voters(draw)[0, 0].tolist() == [1, 0, 0, 0]


def test_coverage_counts_words_whose_best_probability_is_in_the_interval():
    # Beta(1, 1) has the central 90 % interval [.05, .95].
    draw = draw_of([[K]] * 4, [True] * 4, bayes=[0.04, 0.06, 0.94, 0.96])

    assert score_posterior(draw, np.ones(4), np.ones(4), 0.0).coverage == 0.5
    assert np.isnan(score_bayes(draw).coverage)


def test_a_voter_is_judged_on_what_it_voted_on_stratum_by_stratum():
    codes = [[K, NONE], [D, K], [127, D], [126, K]]
    counts = count_voters(draw_of(codes, [1, 1, 0, 0], stratum=[0, 0, 1, 1]))

    # Voter 0: keep right, keep wrong; 127 is P = 1/2, which keeps, 126 drops.
    assert counts[0, :2].tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert counts[1, :2].tolist() == [[1, 0, 0, 0], [0, 0, 1, 1]]


def test_f1_of_counts():
    # F1 = 2·3 / (6 + 1 + 2)
    assert f1_of(np.array([3, 1, 2, 4])) == pytest.approx(2 / 3)


def test_a_standard_error_is_that_of_a_mean():
    # Mean 2, sd 1 over three seeds.
    assert mean_of([1.0, 2.0, 3.0]) == pytest.approx((2, 1 / np.sqrt(3)))
    assert mean_of([1.5]) == (1.5, 0.0)


@given(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=9))
def test_no_posterior_beats_the_truth_of_its_own_world(bayes):
    # In the mean over truths drawn from it, -Σ p ln q is least at q = p.
    best = np.array(bayes)
    other = np.roll(best, 1)

    def expected(q):
        return sum(
            p * loss(q[n], keep=True) + (1 - p) * loss(q[n], keep=False)
            for n, p in enumerate(best)
        )

    assert expected(best) <= expected(other) + 1e-9


def loss(q, *, keep):
    draw = draw_of([[K]], [keep])
    return score_posterior(draw, np.array([q]), np.array([1 - q]), 0.0).log_loss
