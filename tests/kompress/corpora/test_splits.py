"""Splits depend on the group's name alone."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.corpora.splits import assign_gold_use, assign_split
from kompress.errors import InvalidConfig
from kompress.selection.promotion import in_validation_half


@pytest.mark.parametrize(
    ("group_id", "split", "validation"),
    # The last column by sha256sum of `validation:GROUP`: an even first byte.
    [  # frozen: a change of the hash would move documents that are already stored
        ("a", "audit", False),
        ("b", "train", False),
        ("c", "held_out", False),
        ("repo/readme.md", "train", True),
    ],
)
def test_a_stored_group_stays_where_it_is(group_id, split, validation):
    assert assign_split(group_id) == split
    assert in_validation_half(group_id) is validation


def test_the_shares_are_met_within_three_standard_errors():
    counts = Counter(assign_split(f"group-{n}") for n in range(10_000))

    # sd of a share of 10,000: sqrt(.15 * .85 / 1e4) = .0036, sqrt(.2 * .8 / 1e4) = .004
    assert abs(counts["audit"] / 10_000 - 0.15) < 0.011
    assert abs(counts["held_out"] / 10_000 - 0.20) < 0.012


def test_validation_halves_the_held_out_groups():
    names = [f"group-{n}" for n in range(100_000)]
    held_out = [name for name in names if assign_split(name) == "held_out"]

    share = sum(map(in_validation_half, held_out)) / len(held_out)

    assert abs(share - 0.5) < 0.0106  # 3 * sqrt(.25 / 20_000)


def test_another_seed_is_another_division():
    names = [f"group-{n}" for n in range(200)]

    assert [assign_split(n, 1) for n in names] != [assign_split(n, 2) for n in names]


@given(st.text(min_size=1), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_larger_audit_share_never_takes_a_group_out_of_audit(name, audit, more):
    if assign_split(name, audit=audit, held_out=0) == "audit":
        assert assign_split(name, audit=audit + more, held_out=0) == "audit"


def test_gold_in_train_calibrates_and_elsewhere_evaluates():
    assert assign_gold_use("g", "train") == "calibrate"
    assert assign_gold_use("g", "audit") == "evaluate"
    assert assign_gold_use("g", "held_out") == "evaluate"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: assign_split(""), "the group id is empty"),
        (lambda: assign_split("g", audit=0.7, held_out=0.4), "sum to at most 1"),
        (lambda: assign_split("g", audit=-0.1), "expected shares >= 0"),
        (
            lambda: assign_gold_use("g", "test"),
            "expected one of train, audit, held_out",
        ),
    ],
)
def test_a_wrong_argument_is_named(call, message):
    with pytest.raises(InvalidConfig, match=message):
        call()
