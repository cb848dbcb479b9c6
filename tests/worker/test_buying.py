"""Who is asked about what, by what an earlier round knows."""

import numpy as np

from kompress.selection.information_gain import histogram_words
from kompress.types import STRATA
from worker.buying import Market, buy, make_sheet

SURE, COIN = (0.95, 0.95), (0.5, 0.5)


def market(rates, prices, need_of=None, correlation=None, asked=()):
    names = (*asked, *rates)
    return Market(
        asked=asked,
        following=tuple(rates),
        sheet=make_sheet(
            names,
            {(v, s): rate for v, rate in rates.items() for s in STRATA},
            correlation or {},
        ),
        price_M=np.array(prices),
        unit="usd",
        need_of=need_of or {},
    )


def words(mean, size=10, stratum=0):
    return histogram_words(np.full(size, mean), np.full(size, stratum))


def test_open_documents_are_bought_first_and_settled_ones_last():
    found = buy(
        market({"a": SURE}, [1.0]), {7: words(0.5), 8: words(0.99), 9: words(0.6)}, 0.7
    )

    # 21 of 30 words: two documents of ten.
    assert found.documents == {("a",): [7, 9]}
    assert found.decision["spent"] == 20


def test_who_tells_nothing_is_not_asked_and_who_costs_less_is_asked_first():
    rates = {"dear": SURE, "cheap": SURE, "coin": COIN}

    found = buy(market(rates, [2.0, 1.0, 1.0]), {7: words(0.5), 8: words(0.5)}, 0.25)

    # A quarter of 2 * 10 * 4 dollars buys both documents of the cheap one.
    assert found.documents == {("cheap",): [7, 8]}


def test_a_copy_of_those_who_voted_tells_nothing():
    copy = market({"b": SURE}, [1.0, 1.0], asked=("a",), correlation={("b", "a"): 1.0})

    assert buy(copy, {7: words(0.5)}, 1.0).documents == {}


def test_need_decides_between_equal_documents():
    same = {7: words(0.5), 8: words(0.5)}

    found = buy(market({"a": SURE}, [1.0], need_of={7: 1.0, 8: 2.0}), same, 0.5)

    assert found.documents == {("a",): [8]}


def test_unknown_pairs_count_as_independent_and_negative_ones_too():
    sheet = make_sheet(("a", "b"), {}, {("a", "b"): -0.4})

    assert np.array_equal(sheet.correlation_MM, np.eye(2))
    assert (sheet.sensitivity_MS == 0.5).all()
