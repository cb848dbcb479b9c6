import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import MixPart
from kompress.errors import InvalidSelection
from kompress.selection.mix import MixDocument, mix_counts, thin


def documents(num, kinds=("a",), first=0):
    return [
        MixDocument(n, kinds[n % len(kinds)], hashlib.sha256(b"%d" % n).digest())
        for n in range(first, first + num)
    ]


@pytest.mark.parametrize(
    ("available", "shares", "counts"),
    [
        # 97 / .33 = 293.9: 293 documents, .33 * 293 = 96.69, .67 * 293 = 196.31.
        ((97, 900), (0.33, 0.67), [97, 196]),
        # Too few generic ones: 200 / .67 = 298.5, 98.34 and 199.66.
        ((900, 200), (0.33, 0.67), [98, 200]),
        # None takes what is left, .75: all of it, and a third as many of the first.
        ((50, 60), (0.25, None), [20, 60]),
        # 10 / .25 = 40 would need 30 of the rest.
        ((10, 60), (0.25, None), [10, 30]),
        ((7, 9), (None, None), [7, 9]),
        ((7, 9), (1.0, None), [7, 0]),
        # 1 / .5 = 2 documents, one of each.
        ((1, 1), (0.5, 0.5), [1, 1]),
        ((10, 10, 10), (0.1, 0.2, 0.7), [1, 3, 10]),  # 14: 1.4, 2.8, 9.8
        ((3, 5), (None, None), [3, 5]),
        ((0, 5), (None, None), [0, 5]),
    ],
)
def test_shares_hold_to_a_document(available, shares, counts):
    assert mix_counts(available, shares) == counts


def test_a_share_of_nothing_is_an_error():
    with pytest.raises(InvalidSelection, match="part 2 of the mix has no document"):
        mix_counts([5, 0], [0.5, 0.5])


@given(
    st.lists(
        st.tuples(st.integers(1, 500), st.integers(1, 30)), min_size=1, max_size=3
    ),
    st.integers(1, 500),
)
def test_no_count_is_off_by_a_document_and_none_is_wasted(parts, last):
    # Up to 3 parts of up to 30 % each; what they leave is the last one's.
    available = [*(num for num, _ in parts), last]
    percents = [*(percent for _, percent in parts), 0]
    percents[-1] = 100 - sum(percents)

    counts = mix_counts(available, [*(p / 100 for p in percents[:-1]), None])

    whole = sum(counts)
    for count, there, percent in zip(counts, available, percents, strict=True):
        assert abs(count - percent * whole / 100) < 1
        assert count <= there
    # One document more would not do.
    assert any(
        percent * (whole + 1) > there * 100
        for there, percent in zip(available, percents, strict=True)
    )


def test_a_cap_counts_by_kind():
    rows = documents(10, kinds=("a", "b"))

    (ids,) = thin([rows], [MixPart(source="silver", max_documents_per_kind=2)], 0)

    kinds = {row.id: row.kind for row in rows}
    assert sorted(kinds[n] for n in ids) == ["a", "a", "b", "b"]


def test_who_stays_depends_on_the_text_and_the_seed_alone():
    rows, more = documents(40), documents(60)
    part = MixPart(source="silver", max_documents_per_kind=10)

    (chosen,) = thin([rows], [part], 0)

    assert thin([random.Random(1).sample(rows, 40)], [part], 0) == [chosen]
    assert thin([rows], [part], 1) != [chosen]
    # Documents that came later push some out, but never change the order.
    (later,) = thin([more], [part], 0)
    assert [n for n in chosen if n in later] == [n for n in later if n < 40]


def test_the_cap_comes_before_the_share():
    parts = [
        MixPart(source="gold", share=0.5, max_documents_per_kind=3),
        MixPart(source="consensus", share=0.5),
    ]

    gold, rest = thin([documents(20), documents(20, first=20)], parts, 0)

    assert (len(gold), len(rest)) == (3, 3)
    assert set(gold) <= set(range(20))
    assert set(rest) <= set(range(20, 40))


def test_a_document_of_two_parts_goes_where_it_is_wanted():
    parts = [MixPart(source="gold", share=0.25), MixPart(source="consensus")]
    rows = documents(40)

    gold, rest = thin([rows, rows], parts, 0)

    assert (len(gold), len(rest)) == (10, 30)
    assert set(gold).isdisjoint(rest)


def test_without_shares_a_document_goes_to_the_first_part_that_has_it():
    parts = [MixPart(source="gold"), MixPart(source="consensus")]
    rows = documents(10)

    gold, rest = thin([rows[:4], rows], parts, 0)

    assert sorted(gold) == [0, 1, 2, 3]
    assert sorted(rest) == [4, 5, 6, 7, 8, 9]


def test_documents_of_one_part_alone_leave_it_those_of_both():
    parts = [MixPart(source="gold", share=0.5), MixPart(source="consensus", share=0.5)]
    rows = documents(30)

    gold, rest = thin([rows[:10], rows], parts, 0)

    # The second has 20 of its own, so all 10 of both are the first's.
    assert (len(gold), len(rest)) == (10, 10)
