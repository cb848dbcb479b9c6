"""Whom to drop or add: what a vote tells, by what it costs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.decisions import LeaveOneOutValue
from kompress.ensemble.diversity import measure_diversity
from kompress.ensemble.suggestions import next_share, suggest


def gain(voter, bits, low=None, high=None, another=0.1):
    return LeaveOneOutValue(voter, bits, low, high, 500, 0.9, 0.9, another)


@pytest.fixture(scope="module")
def panel():
    """Three voters worth 2; what they add is set by each test."""
    rng = np.random.default_rng(0)
    codes_NM = rng.choice([0, 254], (100, 3)).astype(np.uint8)
    found = measure_diversity(
        ("a", "b", "c"), codes_NM, rng.integers(0, 2, 100), [0] * 100,
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
    assert found.sentences[0] == (
        "drop b, the least per dollar: it adds .00100 bits a word (-.00200 to .00400); "
        "the interval covers zero, and even its upper end is next to nothing; it saves "
        "$2.00 a million words"
    )


def test_a_wide_interval_over_zero_drops_nobody(panel):
    found = suggest(
        with_gains(panel, gain("a", 0.05, -0.1, 0.2), gain("b", 0.3, 0.2, 0.4)),
        {"a": 1e-6, "b": 1e-6},
    )

    assert found.drop == ""
    assert "the interval covers zero, so nobody can say" in found.sentences[0]
    assert "farm gold add" in found.sentences[0]


def test_who_surely_does_harm_is_dropped_even_if_free(panel):
    found = suggest(
        with_gains(panel, gain("a", 0.2, 0.1, 0.3), gain("c", -0.1, -0.2, -0.05)),
        {"a": 1e-6, "c": 0.0},
    )

    assert found.drop == "c"
    assert (
        "better without it, by .100 bits a word (.050 to .200); it is free"
        in (found.sentences[0])
    )


def test_who_adds_something_for_its_money_stays(panel):
    gains = with_gains(panel, gain("a", 0.2, 0.1, 0.3), gain("b", 0.1, 0.05, 0.2))

    paid = suggest(gains, {"a": 1e-5, "b": 1e-6})
    free = suggest(gains, {"a": 0.0})
    unsure = suggest(with_gains(panel, gain("a", 0.2)), {"a": 1e-6})

    assert (paid.drop, free.drop, unsure.drop) == ("", "", "")
    assert "the least per dollar is a with .200" in paid.sentences[0]
    assert "all are free or of unknown price" in free.sentences[0]
    assert "there is no interval" in unsure.sentences[0]


def test_a_copys_twin_is_named(panel):
    twins = replace(
        with_gains(panel, gain("a", 0.0, -0.001, 0.001), gain("b", 0.0, -0.001, 0.001)),
        copies=(("a", "b", 0.97),),
    )

    found = suggest(twins, {"a": 2e-6, "b": 1e-6})

    assert found.drop == "a"
    assert "beside its copy b" in found.sentences[0]


def test_one_more_of_a_family_is_worth_less_than_a_stranger(panel):
    found = suggest(
        with_gains(panel, gain("a", 0.2, 0.1, 0.3, 0.1), gain("b", 0.2, 0.1, 0.3, 0.2)),
        {"a": 1e-6, "b": 4e-6},
    )

    # a: .1 / 1e-6 = 100,000 bits a dollar, b: 50,000. Three voters worth 2 have
    # ρ = .25; four are worth 4 / 1.75 = 2.286, so a fourth brings .286 of a stranger.
    assert found.add == "a"
    assert "would add .100 bits a word, 100,000 bits a dollar" in found.sentences[1]
    assert found.sentences[1].endswith("one as alike as these are, about .029")


def test_stored_votes_come_before_votes_to_be_bought(panel):
    own = with_gains(panel, gain("a", 0.2, 0.1, 0.3))
    stored = gain("idle", 0.05, 0.02, 0.08)
    unsure = gain("unsure", 0.5, -0.1, 0.9)

    found = suggest(own, {"a": 1e-6}, [stored, unsure])
    doubtful = suggest(own, {"a": 1e-6}, [unsure])

    assert found.add == "idle"
    assert "add idle, whose votes are stored" in found.sentences[1]
    assert doubtful.add == "a"
    assert "does not lie above zero; add one more voter" in doubtful.sentences[1]


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
    assert "would add .400 bits a word, free of charge" in like.sentences[1]
    assert chosen.add == "gift"
    assert "(.300 to .500), free of charge" in chosen.sentences[1]


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
    assert "(one as good as b, whose price is unknown, .300)" in found.sentences[1]
    assert priced.add == "dear"


def test_a_coin_does_no_harm_to_speak_of(panel):
    # Leaving it out saves the noise of fitting it: .0005 bits.
    coin = gain("coin", -0.0005, -0.002, -0.0001)
    own = with_gains(panel, gain("a", 0.2, 0.1, 0.3), coin)

    free = suggest(own, {"a": 1e-6, "coin": 0.0})
    paid = suggest(own, {"a": 1e-6, "coin": 1e-6})

    assert free.drop == ""
    assert paid.drop == "coin"
    assert "the consensus is better without" not in paid.sentences[0]
    assert (
        "it adds -.00050 bits a word (-.00200 to -.00010); the interval lies below "
        "zero, and even its upper end is next to nothing"
    ) in paid.sentences[0]


def test_who_never_voted_differently_is_named_without_calling_it_a_copy(panel):
    twins = replace(
        with_gains(panel, gain("a", 0.0, -0.001, 0.001), gain("b", 0.0, -0.001, 0.001)),
        identical=(("a", "b", 60),),
    )

    found = suggest(twins, {"a": 2e-6, "b": 1e-6})

    assert "beside b, which never voted differently" in found.sentences[0]
    assert "copy" not in found.sentences[0]


def test_nothing_measured_is_nothing_suggested(panel):
    blind = replace(panel, truth="none", leave_one_out=())
    alone = replace(panel, voters=("a",), leave_one_out=())

    for diversity, why in ((blind, "calibration gold"), (alone, "one voter alone"),
                           (panel, "one document group")):  # fmt: skip
        found = suggest(diversity, {})
        assert (found.drop, found.add, found.offers) == ("", "", ())
        assert why in found.sentences[0]


def test_programs_read_the_same(panel):
    found = suggest(with_gains(panel, gain("a", 0.2, 0.1, 0.3)), {"a": 1e-6})

    data = found.as_json()

    assert data["add"] == "a"
    assert data["offers"][0]["bits_per_dollar"] == pytest.approx(200_000)
    assert data["sentences"] == list(found.sentences)


@given(st.integers(2, 20), st.floats(0, 1))
def test_the_next_voter_is_worth_the_closed_forms_difference(num_voters, rho):
    def worth(size):
        return size / (1 + (size - 1) * rho)

    share = next_share(num_voters, worth(num_voters))

    assert share == pytest.approx(worth(num_voters + 1) - worth(num_voters), abs=1e-9)
    assert -1e-9 <= share <= 1 + 1e-9
