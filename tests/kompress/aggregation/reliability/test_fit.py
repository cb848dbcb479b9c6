"""Expectation maximisation over the truth: what it finds, and what starts it."""

import numpy as np
import pytest

from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.reliability.fit import fit_families, read_families
from kompress.types import UNKNOWN
from tests.truth_codes import coded


def draw(seed, sensitivity, specificity, size=20_000, prevalence=0.4):
    """Draw yes and no votes of independent voters in one stratum."""
    rng = np.random.default_rng(seed)
    truth = rng.random(size) < prevalence
    chance = np.where(truth[:, None], sensitivity, 1 - np.array(specificity))
    keep = rng.random(chance.shape) < chance
    return np.where(keep, 254, 0).astype(np.uint8), truth


def fit(codes, truth=None, families=None, stratum=None):
    size, num_voters = codes.shape
    stratum = np.zeros(size, int) if stratum is None else stratum
    known = np.full(size, UNKNOWN) if truth is None else truth
    patterns = count_patterns(codes, np.ones(num_voters), stratum, coded(known))
    families = read_families(
        patterns,
        families if families is not None else [(m,) for m in range(num_voters)],
    )
    return fit_families(patterns, families), families


def keep_rates(member):
    """P(keep | drop), P(keep | keep) in stratum 0."""
    return np.exp(member.tables.log_STL)[0, :, member.bins.keeps_L].sum(axis=0)


def test_two_coins_a_voter_are_recovered_without_gold():
    sensitivity, specificity = [0.9, 0.8, 0.7, 0.85], [0.75, 0.9, 0.8, 0.6]

    prevalence, families = fit(draw(0, sensitivity, specificity)[0])

    assert np.isclose(prevalence[0], 0.4, atol=0.015)
    for family, own, other in zip(families, sensitivity, specificity, strict=True):
        false, true = keep_rates(family.members[0])
        assert np.isclose(true, own, atol=0.02)
        assert np.isclose(1 - false, other, atol=0.02)


def test_an_adversary_is_read_the_other_way_round():
    codes, _ = draw(1, [0.9, 0.85, 0.8, 0.1], [0.9, 0.85, 0.8, 0.1])

    _, families = fit(codes)

    false, true = keep_rates(families[3].members[0])
    assert true < 0.15
    assert false > 0.85


def test_gold_alone_is_counting():
    # 10 of 12 words to keep are kept, 3 of 20 to drop.
    truth = np.repeat([1, 0], [12, 20]).astype(np.uint8)
    codes = np.repeat([254, 0, 254, 0], [10, 2, 3, 17]).astype(np.uint8)[:, None]

    prevalence, families = fit(codes, truth)

    # Overall (12 + 1) / 34; the stratum borrows ten words at that rate.
    assert np.isclose(prevalence[0], (12 + 10 * 13 / 34) / 42)
    # It keeps 13 of 32, smoothed: odds times 7/3 before any word, worth four words;
    # one stratum has ten words borrowed from its own whole, which changes nothing.
    odds = (13 / 32 + 0.025) / (19 / 32 + 0.025) * 7 / 3
    whole = (10 + 4 * odds / (1 + odds)) / 16
    assert np.isclose(keep_rates(families[0].members[0])[1], (10 + 10 * whole) / 22)


def test_where_all_are_wrong_gold_says_so():
    good, truth = draw(2, [0.85] * 4, [0.85] * 4, size=6_000)
    bad, wrong = draw(3, [0.15] * 4, [0.15] * 4, size=2_000)
    codes, stratum = np.vstack([good, bad]), np.repeat([0, 4], [6_000, 2_000])
    everywhere = np.concatenate([truth, wrong])
    known = np.where(np.arange(8_000) % 40 == 0, everywhere, UNKNOWN)

    _, families = fit(codes, known, stratum=stratum)

    assert (known[6_000:] != UNKNOWN).sum() == 50
    rate_ST = np.exp(families[0].members[0].tables.log_STL)[:, :, 1]
    assert rate_ST[0, 1] > 0.8
    assert rate_ST[4, 1] < 0.2


def test_a_family_learns_on_how_many_words_it_votes_as_one():
    size = 30_000
    codes, truth = draw(4, [0.8] * 4, [0.8] * 4, size=size)
    rng = np.random.default_rng(5)
    shared = rng.random(size) < 0.6
    codes[shared, 1:] = codes[shared, :1]
    known = np.where(np.arange(size) % 10 == 0, truth, UNKNOWN)

    _, families = fit(codes, known, families=[(0, 1, 2, 3)])

    own = np.exp(families[0].states.log_STL)[0, :, 0]
    assert np.allclose(own, 0.4, atol=0.06)
    assert np.isclose(keep_rates(families[0].members[0])[1], 0.8, atol=0.04)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_patterns_give_the_same_bits(seed):
    codes, _ = draw(seed, [0.9, 0.8, 0.7], [0.9, 0.8, 0.7], size=500)

    one, other = fit(codes), fit(codes[::-1])

    assert np.array_equal(one[0], other[0])
    for a, b in zip(one[1], other[1], strict=True):
        assert np.array_equal(
            a.members[0].tables.alpha_STL, b.members[0].tables.alpha_STL
        )


def test_nobody_to_fit_is_not_an_error():
    prevalence, families = fit(np.full((3, 2), 255, np.uint8), families=[])

    assert families == []
    assert (prevalence == 0.5).all()
