"""Pairs of votes: counts by hand, phi of numpy, no gold no answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.aggregation.pairs import (
    count_error_pairs,
    error_correlation,
    sides_of,
)
from kompress.errors import InvalidVotes
from kompress.types import DROP, KEEP, UNKNOWN, decode_votes


def draw(seed, num_words=80, num_voters=3):
    rng = np.random.default_rng(seed)
    shape = (num_words, num_voters)
    return (
        rng.random(shape) < 0.5,
        rng.random(shape) < 0.9,
        rng.choice([DROP, KEEP, UNKNOWN], num_words),
        rng.integers(0, 2, num_words),
    )


def test_in_one_cell_it_is_the_correlation_of_the_errors():
    keep_NM, _, _, _ = draw(0)
    voted_NM, truth_N = np.ones_like(keep_NM), np.full(80, KEEP)

    found = error_correlation(keep_NM, voted_NM, truth_N, np.zeros(80, int))

    assert found == pytest.approx(np.corrcoef(~keep_NM.T), abs=1e-12)


@given(st.integers(0, 2**32))
def test_over_cells_covariances_and_variances_are_summed(seed):
    keep_NM, voted_NM, truth_N, stratum_N = draw(seed)

    found = error_correlation(keep_NM, voted_NM, truth_N, stratum_N)

    for a, b in ((0, 1), (0, 2), (1, 2)):
        parts = np.zeros(3)
        for stratum in (0, 1):
            for truth in (DROP, KEEP):
                own = (stratum_N == stratum) & (truth_N == truth)
                own &= voted_NM[:, a] & voted_NM[:, b]
                if own.any():
                    # Errors, as the words say it: votes that are not the truth.
                    wrong = keep_NM[own][:, [a, b]] != (truth == KEEP)
                    cov = np.cov(wrong.T.astype(float), bias=True) * own.sum()
                    parts += cov[0, 1], cov[0, 0], cov[1, 1]
        expected = parts[0] / np.sqrt(parts[1] * parts[2])
        assert found[a, b] == found[b, a] == pytest.approx(expected, abs=1e-9)


def test_a_stratum_that_is_hard_for_all_is_no_correlation():
    # In each stratum errors are independent, 4 words each way; stratum 1 is harder.
    wrong_a = [0, 0, 0, 0] + [0, 0, 1, 1] * 3
    wrong_b = [0, 0, 0, 0] + [0, 1, 0, 1] * 3
    keep_NM = ~np.array([wrong_a, wrong_b], dtype=bool).T
    stratum_N = [0] * 4 + [1] * 12

    within = error_correlation(keep_NM, np.ones((16, 2)), [KEEP] * 16, stratum_N)
    across = error_correlation(keep_NM, np.ones((16, 2)), [KEEP] * 16, [0] * 16)

    assert within[0, 1] == pytest.approx(0)
    assert across[0, 1] > 0.1


def test_without_gold_or_errors_nothing_is_identified():
    keep_NM, voted_NM, truth_N, stratum_N = draw(3)
    perfect_NM = np.tile((truth_N == KEEP)[:, None], 3)

    without = error_correlation(keep_NM, voted_NM, np.full(80, UNKNOWN), stratum_N)
    flawless = error_correlation(perfect_NM, voted_NM, truth_N, stratum_N)

    for found in (without, flawless):
        assert np.isnan(found[~np.eye(3, dtype=bool)]).all()
        assert np.diag(found).tolist() == [1, 1, 1]


def test_shared_errors_are_counted_by_document():
    # Three documents of three words to keep, drop, keep. a and b are both wrong on the
    # first two words of the first and on the drop of the second; in the third they are
    # wrong on different words. c is never wrong, but in the third with a.
    truth_N = [KEEP, DROP, KEEP] * 3
    wrong_NM = np.zeros((9, 3), dtype=bool)
    wrong_NM[[0, 1, 4, 6], 0] = True
    wrong_NM[[0, 1, 4, 8], 1] = True
    wrong_NM[6, 2] = True
    keep_NM = wrong_NM ^ (np.array(truth_N)[:, None] == KEEP)
    group_N = np.repeat(["x", "y", "z"], 3)

    pairs = count_error_pairs(keep_NM, np.ones((9, 3)), truth_N, [0, 1, 0] * 3, group_N)

    assert pairs.groups_of_shared_errors().tolist() == [[0, 2, 1], [2, 0, 0], [1, 0, 0]]


def test_one_flawless_voter_leaves_its_pairs_unidentified():
    keep_NM, voted_NM, truth_N, stratum_N = draw(3)
    for flawless in (0, 1):
        one_NM = keep_NM.copy()
        one_NM[:, flawless] = truth_N == KEEP

        found = error_correlation(one_NM, voted_NM, truth_N, stratum_N)

        assert np.isnan(np.delete(found[flawless], flawless)).all()
        assert not np.isnan(found[1 - flawless, 2])


def test_a_resampled_group_counts_as_often_as_it_is_drawn():
    keep_NM, voted_NM, truth_N, stratum_N = draw(4)
    group_N = np.arange(80) // 8
    pairs = count_error_pairs(keep_NM, voted_NM, truth_N, stratum_N, group_N)

    drawn_BMM = pairs.resampled(np.random.default_rng(7), 3)

    drawn_BG = np.random.default_rng(7).multinomial(10, np.full(10, 0.1), 3)
    for drawn_G, found in zip(drawn_BG, drawn_BMM, strict=True):
        take = np.repeat(np.arange(80), drawn_G[group_N])
        expected = error_correlation(
            keep_NM[take], voted_NM[take], truth_N[take], stratum_N[take]
        )
        assert found == pytest.approx(expected, abs=1e-12)


def test_a_byte_keeps_where_its_probability_does():
    codes_NM = np.arange(256, dtype=np.uint8)[:, None]

    keep_NM, voted_NM = sides_of(codes_NM)

    p_NM = decode_votes(codes_NM)
    assert (keep_NM == (np.nan_to_num(p_NM) >= 0.5)).all()
    assert (voted_NM == ~np.isnan(p_NM)).all()


def test_a_wrong_shape_is_refused():
    with pytest.raises(InvalidVotes, match="words by voters"):
        error_correlation([[True]], [[True, True]], [KEEP], [0])
    with pytest.raises(InvalidVotes, match="one a word"):
        error_correlation([[True, True]], [[True, True]], [KEEP, DROP], [0])
