"""Whom to drop or add: what a vote tells, by what it costs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.decisions import LeaveOneOutValue
from kompress.ensemble.diversity import measure_diversity
from kompress.ensemble.suggestions import next_share, suggest
from tests.truth_codes import coded


def gain(voter, bits, low=None, high=None, another=0.1):
    return LeaveOneOutValue(voter, bits, low, high, 500, 0.9, 0.9, another)


@pytest.fixture(scope="module")
def panel():
    """Three voters worth 2; what they add is set by each test."""
    rng = np.random.default_rng(0)
    codes_NM = rng.choice([0, 254], (100, 3)).astype(np.uint8)
    found = measure_diversity(
        ("a", "b", "c"), codes_NM, coded(rng.integers(0, 2, 100)), [0] * 100,
        np.arange(100) // 5, rng, num_bootstraps=5,
    )  # fmt: skip
    return replace(found, n_eff=2.0, identical=(), copies=())


def with_gains(panel, *gains):
    return replace(panel, leave_one_out=gains)


def test_what_is_sold_dear_and_says_nothing_is_dropped(panel):
    found = suggest(
        with_gains(
            panel,
            gain("a", 0.2, 0.1, 0.3),
            gain("b", 0.001, -0.002, 0.004),
            gain("c", 0.0, -0.001, 0.001),
        ),
        {"a": 1e-5, "b": 2e-6, "c": 0.0},
    )

    # .2 / 1e-5 = 20,000 and .001 / 2e-6 = 500 bits a dollar; c is free.
    assert [offer.voter for offer in found.offers] == ["b", "a", "c"]
    assert found.offers[0].bits_per_dollar == pytest.approx(500)
    assert found.offers[2].bits_per_dollar is None
    assert found.drop == "b"
    assert (found.reason, found.about.voter) == ("negligible", "b")


def test_a_wide_interval_over_zero_drops_nobody(panel):
    found = suggest(
        with_gains(panel, gain("a", 0.05, -0.1, 0.2), gain("b", 0.3, 0.2, 0.4)),
        {"a": 1e-6, "b": 1e-6},
    )

    assert found.drop == ""
    assert (found.reason, found.about.voter) == ("unsure", "a")


def test_who_surely_does_harm_is_dropped_even_if_free(panel):
    found = suggest(
        with_gains(panel, gain("a", 0.2, 0.1, 0.3), gain("c", -0.1, -0.2, -0.05)),
        {"a": 1e-6, "c": 0.0},
    )

    assert found.drop == "c"
    assert found.reason == "harmful"


def test_who_adds_something_for_its_money_stays(panel):
    gains = with_gains(panel, gain("a", 0.2, 0.1, 0.3), gain("b", 0.1, 0.05, 0.2))

    paid = suggest(gains, {"a": 1e-5, "b": 1e-6})
    free = suggest(gains, {"a": 0.0})
    unsure = suggest(with_gains(panel, gain("a", 0.2)), {"a": 1e-6})

    assert (paid.drop, free.drop, unsure.drop) == ("", "", "")
    assert (paid.reason, paid.about.voter) == ("all_add", "a")
    assert (free.reason, free.about) == ("none_paid", None)
    assert (unsure.reason, unsure.about.voter) == ("unsure", "a")


def test_one_more_of_a_family_is_worth_less_than_a_stranger(panel):
    found = suggest(
        with_gains(panel, gain("a", 0.2, 0.1, 0.3, 0.1), gain("b", 0.2, 0.1, 0.3, 0.2)),
        {"a": 1e-6, "b": 4e-6},
    )

    # a: .1 / 1e-6 = 100,000 bits a dollar, b: 50,000. Three voters worth 2 have
    # ρ = .25; four are worth 4 / 1.75 = 2.286, so a fourth brings .286 of a stranger.
    assert found.add == "a"
    assert found.next_voter.bits == pytest.approx(0.1)
    assert found.next_voter.usd_per_word == 1e-6
    assert found.next_voter.bits_alike == pytest.approx(0.0286, abs=1e-4)


def test_stored_votes_come_before_votes_to_be_bought(panel):
    own = with_gains(panel, gain("a", 0.2, 0.1, 0.3))
    stored = gain("idle", 0.05, 0.02, 0.08)
    unsure = gain("unsure", 0.5, -0.1, 0.9)

    found = suggest(own, {"a": 1e-6}, [stored, unsure])
    doubtful = suggest(own, {"a": 1e-6}, [unsure])

    assert found.add == "idle"
    assert (found.stored.voter, found.next_voter) == ("idle", None)
    assert doubtful.add == "a"
    assert (doubtful.stored.voter, doubtful.stored.surely_adds) == ("unsure", False)


def test_a_free_voter_is_better_than_a_paid_one_that_adds_next_to_nothing(panel):
    # An independent copy of the free one would add .4 bits, of the paid one .0001; so
    # of stored votes, where the interval lies above zero.
    own = with_gains(
        panel,
        gain("paid", 0.2, 0.1, 0.3, another=0.0001),
        gain("free", 0.2, 0.1, 0.3, another=0.4),
    )
    stored = [gain("dear", 0.03, 0.02, 0.04), gain("gift", 0.4, 0.3, 0.5)]

    like = suggest(own, {"paid": 1e-4, "free": 0.0})
    chosen = suggest(own, {"dear": 1e-6, "gift": 0.0}, stored)

    assert like.add == "free"
    assert (like.next_voter.bits, like.next_voter.usd_per_word) == (0.4, 0.0)
    assert chosen.add == "gift"
    assert chosen.stored.usd_per_word == 0.0


def test_a_free_voter_that_adds_next_to_nothing_is_no_bargain(panel):
    own = with_gains(
        panel,
        gain("paid", 0.2, 0.1, 0.3, another=0.4),
        gain("free", 0.2, 0.1, 0.3, another=0.0001),
    )

    assert suggest(own, {"paid": 1e-4, "free": 0.0}).add == "paid"


def test_unknown_prices_stand_apart(panel):
    own = with_gains(
        panel,
        gain("a", 0.2, 0.1, 0.3, another=0.1),
        gain("b", 0.1, 0.05, 0.2, another=0.3),
        gain("c", 0.05, 0.03, 0.2, another=0.2),
    )
    stored = [gain("dear", 0.03, 0.02, 0.04), gain("who", 0.4, 0.3, 0.5)]

    found = suggest(own, {"a": 1e-4, "c": 0.0})
    priced = suggest(own, {"a": 1e-4, "dear": 1e-4}, stored)

    # a is paid, c free, b unknown; .2 / 1e-4 = 2,000 bits a dollar.
    assert [offer.voter for offer in found.offers] == ["a", "c", "b"]
    assert found.add == "c"
    assert (found.next_voter.unpriced, found.next_voter.unpriced_bits) == ("b", 0.3)
    assert priced.add == "dear"


def test_a_coin_does_no_harm_to_speak_of(panel):
    # Leaving it out saves the noise of fitting it: .0005 bits.
    coin = gain("coin", -0.0005, -0.002, -0.0001)
    own = with_gains(panel, gain("a", 0.2, 0.1, 0.3), coin)

    free = suggest(own, {"a": 1e-6, "coin": 0.0})
    paid = suggest(own, {"a": 1e-6, "coin": 1e-6})

    assert free.drop == ""
    assert paid.drop == "coin"
    assert paid.reason == "negligible"


def test_nothing_measured_is_nothing_suggested(panel):
    found = suggest(panel, {})

    assert (found.drop, found.add, found.offers) == ("", "", ())
    assert found.reason == "unmeasured"


@given(st.integers(2, 20), st.floats(0, 1))
def test_the_next_voter_is_worth_the_closed_forms_difference(num_voters, rho):
    def worth(size):
        return size / (1 + (size - 1) * rho)

    share = next_share(num_voters, worth(num_voters))

    assert share == pytest.approx(worth(num_voters + 1) - worth(num_voters), abs=1e-9)
    assert -1e-9 <= share <= 1 + 1e-9
