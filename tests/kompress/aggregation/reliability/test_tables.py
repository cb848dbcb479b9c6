"""Rates with Dirichlet posteriors; strata with few words borrow from the whole."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kompress.aggregation.reliability.tables import Tables, vote_prior
from kompress.types import STRATA

S = len(STRATA)
PRIOR = np.array([[0.7, 0.3], [0.3, 0.7]])


def counts(rows):
    """(S, T, L) counts, given by stratum as ((drop, keep) of drops, of keeps)."""
    count_STL = np.zeros((S, 2, 2))
    for s, row in rows.items():
        count_STL[s] = row
    return count_STL


def test_a_stratum_without_words_has_the_rates_of_the_whole():
    tables = Tables(PRIOR)

    tables.update(counts({0: [(80, 20), (10, 90)]}), learn_concentration=False)

    # (20 + 4 * .3) / 104 and (90 + 4 * .7) / 104, concentration whatever it is.
    rate_ST = np.exp(tables.log_STL)[:, :, 1]
    assert np.allclose(rate_ST[5], [21.2 / 104, 92.8 / 104])


def test_a_stratum_mixes_its_own_words_with_ten_borrowed_ones():
    tables = Tables(PRIOR)

    tables.update(
        counts({0: [(80, 20), (10, 90)], 1: [(0, 0), (5, 0)]}),
        learn_concentration=False,
    )

    # Whole: keep (10 + 5 + 4 * .3, 90 + 4 * .7) / 109 = (16.2, 92.8) / 109.
    # Stratum 1: (5 + 10 * 16.2 / 109, 10 * 92.8 / 109) / 15.
    assert np.isclose(np.exp(tables.log_STL)[1, 1, 1], 10 * 92.8 / 109 / 15)
    assert np.isclose(tables.alpha_STL[1, 1].sum(), 15)


def test_alike_strata_borrow_more_than_unlike_ones():
    alike, unlike = Tables(PRIOR), Tables(PRIOR)

    alike.update(
        counts({s: [(80, 20), (20, 80)] for s in range(6)}), learn_concentration=True
    )
    unlike.update(
        counts({s: [(80, 20), (95, 5) if s % 2 else (5, 95)] for s in range(6)}),
        learn_concentration=True,
    )

    assert alike.concentration_T[1] >= 300
    assert unlike.concentration_T[1] <= 3


def test_one_stratum_says_nothing_about_how_alike_strata_are():
    tables = Tables(PRIOR)

    tables.update(counts({0: [(80, 20), (10, 90)]}), learn_concentration=True)

    assert tables.concentration_T.tolist() == [10, 10]


def test_the_variance_of_the_ratio_is_that_of_drawn_rates():
    tables = Tables(PRIOR)
    tables.update(counts({0: [(30, 10), (5, 45)]}), learn_concentration=False)

    rng = np.random.default_rng(0)
    drop = rng.dirichlet(tables.alpha_STL[0, 0], 200_000)
    keep = rng.dirichlet(tables.alpha_STL[0, 1], 200_000)
    drawn = np.log(keep / drop).var(axis=0)

    assert np.allclose(tables.variance_SL[0], drawn, rtol=0.02)


def test_learned_tables_come_back():
    tables = Tables(PRIOR)
    tables.update(counts({0: [(3, 1), (1, 9)]}), learn_concentration=True)

    again = Tables.known(tables.alpha_STL)

    assert np.array_equal(again.log_STL, tables.log_STL)


def test_before_any_word_the_prior_is_worth_ten():
    tables = Tables(PRIOR)

    assert np.allclose(tables.alpha_STL[4], [[7, 3], [3, 7]])


def test_a_voter_that_keeps_half_is_expected_to_be_right_in_seven_words_of_ten():
    two = vote_prior(np.array([0.5, 0.5]), np.array([False, True]))
    three = vote_prior(np.array([0.1, 0.4, 0.5]), np.array([False, False, True]))

    assert np.allclose(two[:, 1], [0.3, 0.7])
    # Spread on a side as the votes are: .1 : .4, smoothed by a sixtieth each.
    assert np.isclose(three[0, 0] / three[0, 1], (0.1 + 0.05 / 3) / (0.4 + 0.05 / 3))


def test_a_voter_that_keeps_nearly_all_is_expected_to_keep_what_is_to_be_dropped():
    prior = vote_prior(np.array([0.0, 1.0]), np.array([False, True]))

    # Share of keeps 1.025/1.05, odds 41: 41 * 3/7 and 41 * 7/3 to one.
    assert np.allclose(prior[:, 1], [123 / 130, 287 / 290])


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=8))
def test_the_odds_of_keeping_differ_by_the_same_factor_for_every_voter(shares):
    share = np.array(shares) / np.sum(shares)
    keeps = np.arange(share.size) >= share.size / 2

    prior = vote_prior(share, keeps)

    odds = [row[keeps].sum() / row[~keeps].sum() for row in prior]
    assert np.isclose(odds[1] / odds[0], (7 / 3) ** 2)
    assert np.allclose(prior.sum(axis=1), 1)
