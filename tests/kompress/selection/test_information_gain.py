import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.ensemble.information import entropy_bits, joint_information
from kompress.errors import InvalidSelection
from kompress.selection.information_gain import (
    BIN_MEAN_B,
    NUM_BINS,
    histogram_words,
    novelty,
    pack_words,
    stack_words,
)
from kompress.types import STRATA

probabilities = st.floats(0, 1)


def expected_gain(mean_N, sensitivity, specificity):
    """Bits of one more vote."""
    return joint_information(
        np.asarray(mean_N), np.array([[sensitivity]]), np.array([[specificity]]), (1,)
    )


@pytest.mark.parametrize(
    ("mean", "sensitivity", "specificity", "bits"),
    [
        # A symmetric channel: 1 - H(.9) = 1 - .468996.
        (0.5, 0.9, 0.9, 0.531004),
        # P(keep vote) = .5 * .9 + .5 * .2 = .55: H(.55) - (H(.9) + H(.8)) / 2
        # = .992774 - (.468996 + .721928) / 2.
        (0.5, 0.9, 0.8, 0.397312),
        (0.5, 1.0, 1.0, 1.0),
        (0.25, 1.0, 1.0, 0.811278),  # all that there is to know
        (0.3, 0.6, 0.4, 0.0),  # keeps 6 in 10 whatever the truth: a coin
        (0.5, 0.1, 0.1, 0.531004),  # always wrong tells as much as always right
        (1.0, 0.9, 0.9, 0.0),
    ],
)
def test_the_expected_gain_is_that_worked_by_hand(mean, sensitivity, specificity, bits):
    gain = expected_gain([mean], sensitivity, specificity)

    assert gain == pytest.approx([bits], abs=1e-6)


def test_a_gain_is_the_entropy_less_the_mean_entropy_after_the_vote():
    # Bayes by hand: mean .3, sensitivity .8, specificity .7. A vote to keep comes with
    # .3 * .8 + .7 * .3 = .45 and leaves .24 / .45; one to drop leaves .06 / .55.
    after = 0.45 * entropy_bits(0.24 / 0.45) + 0.55 * entropy_bits(0.06 / 0.55)

    gain = expected_gain([0.3], 0.8, 0.7)

    assert gain == pytest.approx([float(entropy_bits(0.3) - after)])


@pytest.mark.parametrize(
    ("asked", "voter", "share"),
    [
        ((0, 0, 0), 0, 1.0),  # nobody has voted
        ((1, 0, 0), 1, 2 / 1.5 - 1),  # rho .5: two are worth 2 / (1 + .5)
        ((1, 0, 0), 2, 1.0),  # independent
        ((1, 0, 0), 0, 2 / 1.8 - 1),  # a replicate: rho .8
        ((2, 0, 0), 0, 3 / 2.6 - 2 / 1.8),  # n / (1 + (n - 1) .8)
    ],
)
def test_novelty_is_the_growth_of_the_effective_number_of_voters(asked, voter, share):
    rho_MM = np.array([[0.8, 0.5, 0.0], [0.5, 0.6, 0.0], [0.0, 0.0, 1.0]])

    assert novelty(rho_MM, asked, voter) == pytest.approx(share)


def test_a_copy_says_nothing_new():
    assert novelty(np.ones((2, 2)), (1, 0), 1) == pytest.approx(0, abs=1e-9)
    assert novelty(np.ones((2, 2)), (3, 0), 0) == pytest.approx(0, abs=1e-9)


def test_correlations_of_other_voters_are_refused():
    with pytest.raises(InvalidSelection, match="give 0 where they are not identified"):
        novelty(np.ones((2, 2)), (0, 0, 0), 1)


def test_a_histogram_counts_words_by_stratum_and_mean():
    counts_SB = histogram_words([0.0, 1.0, 1.0, 0.5, np.nan], [0, 1, 1, 2, 2])

    assert counts_SB.shape == (len(STRATA), NUM_BINS)
    assert counts_SB[0, 0] == 1
    assert counts_SB[1, -1] == 2
    assert counts_SB[2, NUM_BINS // 2] == 1
    assert counts_SB.sum() == 4


def test_the_gain_of_a_histogram_is_nearly_that_of_its_words():
    mean_N = np.random.default_rng(0).beta(0.5, 0.5, 2_000)

    counts_B = histogram_words(mean_N, np.zeros(2_000, dtype=np.uint8))[0]
    binned = counts_B @ expected_gain(BIN_MEAN_B, 0.85, 0.8)

    assert binned == pytest.approx(expected_gain(mean_N, 0.85, 0.8).sum(), rel=0.01)


@given(st.lists(st.lists(st.integers(0, len(STRATA) * NUM_BINS - 1), max_size=30)))
def test_packed_histograms_hold_the_same_counts(cells):
    size = len(STRATA) * NUM_BINS
    words_DW = np.array([np.bincount(own, minlength=size) for own in cells if own])
    words_DW = words_DW.reshape(-1, size)

    packed = [pack_words(own.reshape(len(STRATA), NUM_BINS)) for own in words_DW]
    stacked = stack_words(packed)

    assert np.array_equal(stacked.toarray(), words_DW)
    assert stacked.shape == words_DW.shape
    assert all(
        own.shape == (2, np.count_nonzero(row))
        for own, row in zip(packed, words_DW, strict=True)
    )


@given(probabilities, probabilities, probabilities)
def test_a_gain_lies_between_nothing_and_all_that_is_unknown(mean, sens, spec):
    gain = expected_gain([mean], sens, spec)[0]
    mirrored = expected_gain([1 - mean], spec, sens)[0]

    assert 0 <= gain <= entropy_bits(mean) + 1e-12
    assert mirrored == pytest.approx(gain, abs=1e-9)


@given(probabilities, st.floats(0.5, 1), st.floats(0.5, 1), st.integers(0, 3))
def test_every_further_vote_says_less(mean, sens, spec, count):
    values = [
        joint_information(
            np.array([mean]), np.array([[sens]]), np.array([[spec]]), (n,)
        )[0]
        for n in (count, count + 1, count + 2)
    ]

    first, second = np.diff(values)
    assert first >= second - 1e-9
    assert second >= -1e-9


@given(st.floats(-0.2, 1), st.integers(0, 4))
def test_novelty_is_a_share(rho, count):
    rho_MM = np.full((3, 3), rho)
    np.fill_diagonal(rho_MM, abs(rho))

    assert 0 <= novelty(rho_MM, (count, 0, 0), 1) <= 1
