import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import RoundConfig, parse_config
from kompress.errors import InvalidConfig
from kompress.teachers.endpoints import Price
from kompress.teachers.estimate import (
    Usage,
    average_usage,
    expected_documents,
    pairs_of,
    usd_of,
)
from kompress.teachers.request import Request


def config(
    num_documents=None, random_slice=0.0, share=0.5, pilot=0, voters="ab", limit=600
):
    selection = {"num_documents": num_documents, "random_slice": random_slice}
    return parse_config(
        RoundConfig,
        {
            "voters": [{"name": name, "kind": "syntax"} for name in voters],
            "selection": selection,
            "escalation": {"share": share, "gold_words": limit},
            "aggregation": {"pilot_documents": pilot},
        },
    )


def test_usage_counts_bytes_of_prompts_and_the_most_that_is_answered():
    # 7 bytes a prompt, 2 tokens; 5 tokens in each of 3 samples; two documents.
    request = Request("abc", "defg", 5, num_samples=3)

    usage = average_usage([[request, request], []])

    assert usage == Usage(1.0, 2.0, 15.0)
    assert usage.times(10) == Usage(10.0, 20.0, 150.0)


def test_nothing_cannot_be_estimated_from():
    with pytest.raises(InvalidConfig, match="no document to estimate from"):
        average_usage([])


@pytest.mark.parametrize(
    ("changes", "first", "later"),
    [
        ({}, 110.0, 0.5 * 110 + 0.5 * 10),
        # 100 · (1 - 0.6 · 0.9) = 46, and 10 of audit; forced are 10 + 10.
        ({"num_documents": 40, "random_slice": 0.1}, 56.0, 0.5 * 56 + 0.5 * 20),
        ({"share": 0.0}, 110.0, 10.0),
        ({"share": 1.0}, 110.0, 110.0),
        # The pilot's 20 train documents; 5 if there are no more of them; nobody's.
        ({"share": 0.0, "pilot": 20}, 110.0, 30.0),
        ({"share": 0.0, "pilot": 20, "num_documents": 5}, 15.0, 15.0),
        ({"share": 0.9, "pilot": 20}, 110.0, 110.0),
        ({"share": 0.0, "pilot": 20, "voters": "a"}, 110.0, 10.0),
    ],
)
def test_documents_of_waves(changes, first, later):
    found = expected_documents(
        config(**changes), num_train=100, num_audit=10, num_gold=0, gold_words=0
    )

    assert found == pytest.approx((first, later))


@pytest.mark.parametrize(
    ("changes", "first", "later"),
    [
        # 20 documents with gold, 500 words; the audit's 10.
        ({"share": 0.0}, 110.0, 30.0),
        ({"share": 0.5}, 110.0, 0.5 * 110 + 0.5 * 30),
        # A fifth of their words.
        ({"share": 0.0, "limit": 100}, 110.0, 14.0),
        # 40 of 100 are taken, 8 with gold and 200 words; half of these.
        ({"share": 0.0, "num_documents": 40, "limit": 100}, 50.0, 14.0),
        # 46 are taken, 10 of them by the slice; of 9.2 with gold it holds 2.
        ({"share": 0.0, "num_documents": 40, "random_slice": 0.1}, 56.0, 27.2),
    ],
)
def test_a_later_wave_sees_documents_with_gold(changes, first, later):
    found = expected_documents(
        config(**changes), num_train=100, num_audit=10, num_gold=20, gold_words=500
    )

    assert found == pytest.approx((first, later))


@given(
    st.integers(0, 500), st.integers(0, 50), st.floats(0, 1), st.floats(0, 1),
    st.integers(0, 500),
)  # fmt: skip
def test_a_later_wave_never_sees_more(num_train, num_audit, kept, share, num_gold):
    first, later = expected_documents(
        config(num_documents=20, random_slice=kept, share=share),
        num_train=num_train,
        num_audit=num_audit,
        num_gold=min(num_gold, num_train),
        gold_words=20 * num_gold,
    )

    assert 0 <= later <= first + 1e-9 <= num_train + num_audit + 1e-6


@pytest.mark.parametrize(
    ("num_candidates", "cycles", "expected"),
    [(2, 2, 2), (3, 2, 6), (10, 2, 40), (1, 2, 0)],
)
def test_pairs_are_compared_in_both_orders(num_candidates, cycles, expected):
    assert pairs_of(num_candidates, cycles) == expected


def test_what_has_no_price_costs_nothing():
    usage = Usage(1, 2_000_000, 1_000_000)

    assert usd_of(usage, None) == 0.0
    assert usd_of(usage, Price(input=3.0, output=15.0)) == 21.0
