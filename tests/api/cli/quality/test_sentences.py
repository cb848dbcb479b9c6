"""What a panel is worth, and whom to drop or add, as people read it."""

from dataclasses import replace

import pytest

from api.cli.quality.sentences import (
    describe_blind,
    describe_error,
    describe_panel,
    describe_suggestions,
)
from kompress.decisions import Diversity, ErrorSplit, LeaveOneOutValue
from kompress.ensemble.suggestions import suggest

PANEL = Diversity(
    voters=("a", "b", "c"), truth="gold", num_words=2_000, num_gold_words=1_240,
    alpha=0.618, alpha_soft=0.6, n_eff=2.0, n_eff_low=1.7, n_eff_high=2.4,
    mean_correlation=0.25, num_unidentified=0, copies=(), identical=(),
    split=ErrorSplit(0, None, None, None, None),
    strata=(("plain", 1_900, 1_240), ("number", 100, 0)),
)  # fmt: skip
WORTH = "3 teachers, worth 2.0 independent ones"
NO_GOLD = (
    "; without calibration gold nobody can say whether they agree because they are "
    "right or because they copy each other: add gold with `farm gold add`"
)


def gain(voter, bits, low=None, high=None, another=0.1):
    return LeaveOneOutValue(voter, bits, low, high, 500, 0.9, 0.9, another)


def describe(gains, prices, candidates=(), **changes):
    panel = replace(PANEL, leave_one_out=gains, **changes)
    return describe_suggestions(suggest(panel, prices, candidates), panel)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            "3 teachers, worth 2.0 independent ones (1.7 to 2.4, on 1,240 gold words)",
        ),
        (
            {"truth": "none", "n_eff": None},
            f"3 teachers that agree with alpha .62{NO_GOLD}",
        ),
        (
            {"truth": "none", "n_eff": None, "alpha": None},
            f"3 teachers that share no words{NO_GOLD}",
        ),
        (
            {"n_eff": None, "num_unidentified": 3},
            (
                "3 teachers; on 1,240 gold words too few of them err to say how many "
                "independent ones they are worth: add gold with `farm gold add`"
            ),
        ),
        (
            {"n_eff_low": None, "n_eff_high": None},
            f"{WORTH} (on 1,240 gold words of too few documents for an interval)",
        ),
        (
            {"num_unidentified": 2},
            (
                f"{WORTH} (1.7 to 2.4, on 1,240 gold words); for 2 of 3 pairs gold "
                "shows no errors to compare: they count as the others do"
            ),
        ),
        ({"voters": ("a",)}, "1 teacher; there is nobody to compare with"),
    ],
)
def test_what_a_panel_is_worth_is_said(changes, expected):
    assert describe_panel(replace(PANEL, **changes), noun="teachers") == expected


@pytest.mark.parametrize(
    ("copies", "identical", "expected"),
    [
        ([("b", "c", 0.97)], [], "; b and c are near copies"),
        # What is identical is a copy too: said once.
        ([("b", "c", 1.0)], [("b", "c", 400)], "; b and c never voted differently"),
        # Copies of one voter that share no word are one family.
        (
            [],
            [("a", "b", 200), ("b", "c", 200)],
            "; a, b and c never voted differently",
        ),
    ],
)
def test_who_is_like_whom_is_said(copies, identical, expected):
    panel = replace(PANEL, copies=tuple(copies), identical=tuple(identical))

    said = describe_panel(panel)

    assert said.endswith(expected)
    assert said.count(";") == 1


def test_who_is_dropped_is_said_with_the_reason():
    cheap, _ = describe(
        (gain("a", 0.2, 0.1, 0.3), gain("b", 0.001, -0.002, 0.004)),
        {"a": 1e-5, "b": 2e-6},
    )
    below, _ = describe((gain("b", -0.0005, -0.002, -0.0001),), {"b": 1e-6})
    harmful, _ = describe((gain("c", -0.1, -0.2, -0.05),), {"c": 0.0})

    assert cheap == (
        "drop b, the least per dollar: it adds .00100 bits a word (-.00200 to .00400); "
        "the interval covers zero, and even its upper end is next to nothing; it saves "
        "$2.00 a million words"
    )
    assert below == (
        "drop b, the least per dollar: it adds -.00050 bits a word (-.00200 to -.00010)"
        "; the interval lies below zero, and even its upper end is next to nothing; it "
        "saves $1.00 a million words"
    )
    assert harmful == (
        "drop c: the consensus is better without it, by .100 bits a word (.050 to "
        ".200); it is free"
    )


def test_why_nobody_is_dropped_is_said():
    adds = (gain("a", 0.2, 0.1, 0.3),)

    assert describe(adds, {"a": 1e-5})[0] == (
        "drop nobody: every paid voter adds something; the least per dollar is a with "
        ".200 bits a word (.100 to .300), 20,000 bits a dollar"
    )
    assert describe(adds, {"a": 0.0})[0] == (
        "drop nobody: no voter surely does harm, and all are free or of unknown price"
    )
    assert describe((gain("a", 0.05, -0.1, 0.2),), {"a": 1e-6})[0] == (
        "drop nobody yet: the least per dollar is a, which adds .050 bits a word "
        "(-.100 to .200); the interval covers zero, so nobody can say whether it adds "
        "anything: add gold with `farm gold add`"
    )
    assert "there is no interval" in describe((gain("a", 0.2),), {"a": 1e-6})[0]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({"copies": (("a", "b", 0.97),)}, "beside its copy b;"),
        ({"identical": (("a", "b", 60),)}, "beside b, which never voted differently;"),
    ],
)
def test_the_twin_of_who_adds_nothing_is_named(pairs, expected):
    gains = (gain("a", 0.0, -0.001, 0.001), gain("b", 0.0, -0.001, 0.001))

    said, _ = describe(gains, {"a": 2e-6, "b": 1e-6}, **pairs)

    assert said.startswith("drop a,")
    assert expected in said


def test_one_more_of_a_family_is_offered_with_its_price():
    gains = (gain("a", 0.2, 0.1, 0.3, 0.1), gain("b", 0.2, 0.1, 0.3, 0.2))

    _, paid = describe(gains, {"a": 1e-6, "b": 4e-6})
    _, free = describe(gains, {"a": 0.0})

    # Three voters worth 2 have ρ = .25; a fourth brings .286 of a stranger.
    assert paid == (
        "add one more voter: one as good as a and independent of all would add .100 "
        "bits a word, 100,000 bits a dollar at its price; one as alike as these are, "
        "about .029"
    )
    assert free == (
        "add one more voter: one as good as a and independent of all would add .100 "
        "bits a word, free of charge (one as good as b, whose price is unknown, .200); "
        "one as alike as these are, about .029"
    )


def test_stored_votes_are_offered_first():
    own = (gain("a", 0.2, 0.1, 0.3),)
    stored, unsure = gain("idle", 0.05, 0.02, 0.08), gain("unsure", 0.5, -0.1, 0.9)

    assert describe(own, {"a": 1e-6, "idle": 1e-6}, [stored, unsure])[1] == (
        "add idle, whose votes are stored: it would add .050 bits a word (.020 to "
        ".080), 50,000 bits a dollar"
    )
    assert describe(own, {"idle": 0.0}, [stored])[1].endswith(", free of charge")
    assert describe(own, {}, [stored])[1].endswith("(.020 to .080)")
    assert (
        "of the voters with stored votes unsure would add the most, .500 bits a word "
        "(-.100 to .900), but the interval does not lie above zero; add one more voter"
    ) in describe(own, {"a": 1e-6}, [unsure])[1]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"truth": "none"}, "cannot be said without calibration gold"),
        ({"voters": ("a",)}, "one voter alone"),
        ({}, "gold of one document group only"),
    ],
)
def test_why_nothing_is_suggested_is_said(changes, expected):
    (said,) = describe((), {}, **changes)

    assert expected in said


def test_the_shared_error_and_where_it_would_hide_are_said():
    split = ErrorSplit(1_240, 0.05, 0.01, 0.015, 0.025)

    assert describe_error(PANEL) == ""
    assert describe_error(replace(PANEL, split=split)) == (
        "the mean vote's squared error on 1,240 gold words is 0.0500: 0.0100 bias and "
        "0.0150 noise that all share, 0.0250 that more such voters would average out"
    )
    assert describe_blind(replace(PANEL, truth="none")) == ""
    assert describe_blind(PANEL) == (
        "in number nobody has gold: if all voters err alike there, no figure here can "
        "show it"
    )
