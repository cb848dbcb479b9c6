import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.decisions import EvidenceTotals, GoldRun, SelectionCounts
from kompress.labelling.eligibility import (
    Eligibility,
    origin_in,
    share_of,
    took_all,
)
from kompress.types import TrainDocument


def eligibility_with(runs=(), *, takes_all=False, share=1.0, gold_share=1.0):
    found = tuple(GoldRun(*run) for run in runs)
    return Eligibility(takes_all, share, gold_share, 0, 0, found)


@pytest.mark.parametrize(
    ("random_slice", "has_gold", "takes_all", "expected"),
    [
        (False, False, False, (False, False)),
        (True, False, False, (False, True)),
        (False, True, False, (True, False)),
        (False, False, True, (False, True)),
        (True, True, False, (True, True)),
    ],
)
def test_a_document_counts_for_its_gold_or_because_nobody_chose_it(
    random_slice, has_gold, takes_all, expected
):
    row = TrainDocument(1, "g", b"x" * 32, random_slice)
    eligibility = eligibility_with(
        runs=[("ann", 1, 1)] if has_gold else [], takes_all=takes_all
    )

    found = (
        eligibility.counts_gold(row.text_id, row.sha256),
        eligibility.counts_without_gold(row),
    )
    assert found == expected


def test_a_share_is_drawn_by_content_and_a_larger_one_holds_the_smaller():
    rows = [
        TrainDocument(n, "g", bytes([n]) * 32, random_slice=True) for n in range(200)
    ]

    def chosen(share):
        eligibility = eligibility_with(
            [("ann", 0, 199)], share=share, gold_share=2 * share
        )
        return (
            {r.text_id for r in rows if eligibility.counts_gold(r.text_id, r.sha256)},
            {r.text_id for r in rows if eligibility.counts_without_gold(r)},
        )

    gold, plain = chosen(0.25)

    # Binomial(200, 1/4): mean 50, sd 6.
    assert 30 < len(plain) < 70
    assert plain < gold == chosen(0.5)[1]


def drawn(num_selected, *, of):
    return SelectionCounts(of, float(num_selected), num_selected, 0, 0, 0)


@pytest.mark.parametrize(
    ("is_certain", "selected", "expected"),
    [
        (True, drawn(9, of=9), True),
        # A large residual made these certain; others were not drawn.
        (True, drawn(8, of=9), False),
        # All were drawn, by chance.
        (False, drawn(9, of=9), False),
        (True, None, False),
    ],
)
def test_a_round_took_all_only_if_none_could_be_missed(is_certain, selected, expected):
    totals = EvidenceTotals(8, is_certain, 0, 0, 100)

    assert took_all(totals, selected) is expected


def test_a_share_keeps_words_near_the_limit():
    assert share_of(100, 0) == share_of(100, 100) == 1.0
    assert share_of(100, 400) == 0.25


@given(st.lists(st.sampled_from([None, "ann", "bob"]), max_size=12))
def test_every_text_in_a_run_has_its_origin_and_no_other_has_any(origins):
    runs = [(who, n, n) for n, who in enumerate(origins) if who]

    eligibility = eligibility_with(runs)

    assert [eligibility.origin_of(n) for n in range(-1, len(origins) + 1)] == [
        None,
        *origins,
        None,
    ]


def test_a_run_is_believed_from_its_first_text_to_its_last():
    eligibility = eligibility_with([("ann", 3, 5), ("bob", 9, 9)])

    found = {n: who for n in range(12) if (who := eligibility.origin_of(n))}

    assert found == {3: "ann", 4: "ann", 5: "ann", 9: "bob"}


@pytest.mark.parametrize(
    ("text_id", "origin"), [(1, None), (2, "a"), (4, "a"), (5, None), (7, "b")]
)
def test_a_text_has_the_origin_of_the_run_that_it_lies_in(text_id, origin):
    runs = [GoldRun("a", 2, 4), GoldRun("b", 7, 7)]

    assert origin_in(runs, text_id) == origin
