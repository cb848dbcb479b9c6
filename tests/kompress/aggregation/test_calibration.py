"""Temperatures and strengths by hand, and what holds for any counts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.aggregation.calibration import (
    STRENGTHS,
    TEMPERATURES,
    Calibration,
    apply_temperature,
    fit_calibration,
)
from kompress.errors import InvalidVotes

MANY = 4_000_000
P_C = (np.arange(255) + 0.5) / 255


def says(code, *, right, of):
    """A voter that says `code` to what it would keep and 254 - code to the rest."""
    counts = np.zeros((2, 256), dtype=np.int64)
    for truth, said in ((1, code), (0, 254 - code)):
        counts[truth, said] = right
        counts[1 - truth, said] = of - right
    return counts


def states(logit_scale, num_words):
    """A voter whose stated logits are the true ones times a scale."""
    truth_C = 1 / (1 + np.exp(-np.log(P_C / (1 - P_C)) / logit_scale))
    keep_C = np.rint(num_words * truth_C).astype(np.int64)
    counts = np.zeros((2, 256), dtype=np.int64)
    counts[1, :255], counts[0, :255] = keep_C, num_words - keep_C
    return counts


# Code 229 is P = 229.5 / 255 = 9/10, logit ln 9.
@pytest.mark.parametrize(
    ("accuracy", "temperature"),
    [
        (0.9, 1.0),  # right as often as it says
        (0.75, 2.0),  # ln 9 / ln 3: twice as sure as right
        (27 / 28, 2 / 3),  # ln 9 / ln 27: less sure than right
        (0.5, 16.0),  # noise: as flat as it goes
    ],
)
def test_the_temperature_makes_two_stated_values_true(accuracy, temperature):
    right = round(MANY * accuracy)

    found = fit_calibration(says(229, right=right, of=MANY))

    assert found.temperature == pytest.approx(temperature, rel=1e-4)
    assert found.num_words == 2 * MANY
    assert found.has_gold


def test_the_strength_takes_what_no_temperature_can():
    # P = .998 and right in 51 of 100: no T up to 16 is flat enough. There p' is
    # σ(ln 509 / 16) = .59619, and (1 + κ p') / (2 + κ) = .51 where
    # κ = (2 · .51 - 1) / (.59619 - .51) = .2320.
    found = fit_calibration(says(254, right=51 * MANY, of=100 * MANY))

    assert found.temperature == 16
    assert found.strength == pytest.approx(0.2320, abs=1e-3)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7, 3.0])
def test_logits_that_are_scaled_give_the_scale_back(scale):
    found = fit_calibration(states(scale, 100_000))

    assert found.temperature == pytest.approx(scale, rel=0.01)
    assert found.strength == STRENGTHS[1]


def test_without_gold_nothing_is_changed():
    counts = np.zeros((2, 256), dtype=np.int64)
    counts[:, 255] = 7  # abstentions tell nothing

    assert fit_calibration(counts) == Calibration(1.0, 1.0, 0)
    assert not Calibration().has_gold


def test_few_words_change_little_and_more_change_more():
    found = [fit_calibration(says(229, right=n // 2, of=n)) for n in (2, 20, 200)]

    temperatures = [item.temperature for item in found]
    strengths = [item.strength for item in found]
    assert 1 < temperatures[0] < 1.2
    assert temperatures == sorted(temperatures)
    assert 0.9 < strengths[0] < 1
    assert strengths == sorted(strengths, reverse=True)


@pytest.mark.parametrize(
    "counts",
    [
        np.zeros((2, 255), dtype=np.int64),
        np.zeros((2, 256)),
        np.full((2, 256), -1),
    ],
)
def test_counts_that_are_none_are_refused(counts):
    with pytest.raises(InvalidVotes, match="histogram"):
        fit_calibration(counts)


def test_a_temperature_keeps_sides_and_abstentions():
    p = np.array([0.1, 0.5, 0.9, np.nan, 0.0, 1.0])

    tempered = apply_temperature(p, 2.0)

    # σ(ln 9 / 2) = 3 / 4
    np.testing.assert_allclose(tempered, [0.25, 0.5, 0.75, np.nan, 0, 1])
    assert apply_temperature(p, 1.0) is p


def loss(counts, found, *, temperature=None):
    """−ln P(truth) of p', as fitted and with its prior."""
    t = found.temperature if temperature is None else temperature
    p_C = apply_temperature(P_C, t)
    told = counts[1, :255] * np.log(p_C) + counts[0, :255] * np.log(1 - p_C)
    return -told.sum() + (math.log(t) / 0.25) ** 2 / 2


@given(
    shards=st.lists(
        arrays(np.int64, (2, 256), elements=st.integers(0, 50)), min_size=1, max_size=4
    ),
    order=st.randoms(use_true_random=False),
    other=st.floats(*TEMPERATURES),
)
def test_shards_merge_in_any_order_and_no_temperature_does_better(shards, order, other):
    found = fit_calibration(sum(shards))
    shuffled = list(shards)
    order.shuffle(shuffled)

    assert fit_calibration(sum(shuffled)) == found
    assert TEMPERATURES[0] <= found.temperature <= TEMPERATURES[1]
    assert STRENGTHS[0] <= found.strength <= STRENGTHS[1]
    whole = sum(shards)
    assert loss(whole, found) <= loss(whole, found, temperature=other) + 1e-6


@given(arrays(np.int64, (2, 256), elements=st.integers(0, 50)))
def test_keeping_and_dropping_are_treated_alike(counts):
    mirrored = counts.copy()
    mirrored[:, :255] = counts[::-1, 254::-1]

    found, other = fit_calibration(counts), fit_calibration(mirrored)

    assert other.temperature == pytest.approx(found.temperature, rel=1e-4)
    assert other.strength == pytest.approx(found.strength, rel=1e-4)
