"""Who is asked about what, and how often, by what an earlier round knows."""

import tracemalloc
from dataclasses import replace

import numpy as np

from kompress.aggregation.reliability.likelihood import WITHIN_VOTER
from kompress.labelling.budget import BudgetTerms, reliability_of, spend
from kompress.selection.information_gain import histogram_words, pack_words
from kompress.types import STRATA

SURE, COIN = (0.95, 0.95), (0.5, 0.5)


def terms_of(
    rates, prices, need_of=None, correlation=None, asked=(), limits=None, varied=()
):
    names = (*asked, *(name for name in rates if name not in asked))
    return BudgetTerms(
        asked=asked,
        following=dict.fromkeys(names[len(asked) :], 1),
        reliability=reliability_of(
            names,
            {(v, s): rate for v, rate in rates.items() for s in STRATA},
            correlation or {},
            limits=limits or [1] * len(names),
            varied=varied,
        ),
        price_M=np.array(prices),
        unit="usd",
        need_of=need_of or {},
    )


def words(mean, size=10, stratum=0):
    return pack_words(histogram_words(np.full(size, mean), np.full(size, stratum)))


def bought(known, words_of, share):
    """Buy where each voter of an earlier wave has given one answer."""
    given = [int(name in known.asked) for name in known.names]
    return spend(known, words_of, dict.fromkeys(words_of, given), share)


def test_open_documents_are_bought_first_and_settled_ones_last():
    found = bought(
        terms_of({"a": SURE}, [1.0]),
        {7: words(0.5), 8: words(0.99), 9: words(0.6)},
        0.7,
    )

    # 21 of 30 words: two documents of ten.
    assert found.documents == {(("a", 1),): [7, 9]}
    assert found.spending.spent == 20


def test_who_tells_nothing_is_not_asked_and_who_costs_less_is_asked_first():
    rates = {"dear": SURE, "cheap": SURE, "coin": COIN}

    known = terms_of(rates, [2.0, 1.0, 1.0])
    found = bought(known, {7: words(0.5), 8: words(0.5)}, 0.25)

    # A quarter of 2 * 10 * 4 dollars buys both documents of the cheap one.
    assert found.documents == {(("cheap", 1),): [7, 8]}


def test_a_copy_of_those_who_voted_tells_nothing():
    copy = terms_of(
        {"b": SURE}, [1.0, 1.0], asked=("a",), correlation={("b", "a"): 1.0}
    )

    assert bought(copy, {7: words(0.5)}, 1.0).documents == {}


def test_need_decides_between_equal_documents():
    same = {7: words(0.5), 8: words(0.5)}

    found = bought(terms_of({"a": SURE}, [1.0], need_of={7: 1.0, 8: 2.0}), same, 0.5)

    assert found.documents == {(("a", 1),): [8]}


def another(price, varied):
    """a has voted once and could again; the dearer b has not; ten open words."""
    rates = {"a": (0.9, 0.9), "b": (0.75, 0.75)}
    return terms_of(
        rates, [1.0, price], asked=("a",), limits=[2, 1], varied=("a",) * varied
    )


def test_a_second_answer_is_bought_where_it_is_the_best_bargain():
    found = bought(another(2.0, varied=True), {7: words(0.5)}, 0.5)

    # 1/3 of 1 - H(.1) = .531 is .177 bit a dollar; 1 - H(.25) = .189 for two is .094.
    # Half of what b costs pays it, and its document shall have two answers of a.
    assert found.documents == {(("a", 2),): [7]}
    assert (found.spending.spent, found.spending.num_replicates) == (10, 1)


def test_somebody_new_is_asked_where_that_tells_more_than_a_second_answer():
    found = bought(another(1.0, varied=True), {7: words(0.5)}, 1.0)

    # Now b tells .189 bit a dollar, more than .177, and takes the whole budget.
    assert found.documents == {(("b", 1),): [7]}


def test_a_voter_that_says_the_same_each_time_is_never_asked_again():
    same = another(2.0, varied=False)

    assert bought(same, {7: words(0.5)}, 0.5).documents == {}
    assert bought(same, {7: words(0.5)}, 1.0).documents == {(("b", 1),): [7]}


def test_a_voter_of_the_next_wave_may_answer_twice_before_it_sees_a_settled_document():
    both = {7: words(0.5), 8: words(0.99)}

    def found(limit):
        own = terms_of({"a": SURE}, [1.0], limits=[limit], varied=("a",))
        return bought(own, both, 1.0).documents

    # The second answer tells 1/3 of .880 - .714 bit a word, the first about the settled
    # document less than .037 (the entropy .081 before, .044 after).
    assert found(2) == found(3) == {(("a", 2),): [7]}
    assert found(1) == {(("a", 1),): [7, 8]}


def test_documents_that_get_everybody_count_for_the_budget_alone():
    known = terms_of({"a": SURE}, [1.0])
    three = {7: words(0.5), 8: words(0.5), 9: words(0.5)}

    found = spend(known, three, {8: [0], 9: [0]}, 2 / 3)

    assert (found.spending.budget, found.documents) == (20, {(("a", 1),): [8, 9]})
    assert spend(known, three, {}, 1.0).documents == {}


def test_where_a_voter_has_failed_another_is_asked_as_if_it_had_said_nothing():
    rates = {"a": SURE, "b": (0.9, 0.9)}
    near = {("a", "b"): 0.9}
    known = terms_of(rates, [1.0, 1.0], correlation=near, limits=[3, 1], varied=("a",))

    found = spend(known, {7: words(0.5)}, {7: [0, 0]}, 0.5, closed={(7, "a")})

    assert found.documents == {(("b", 1),): [7]}
    # All of 1 - H(.1) = .531 bit a word: the answers of a would have told most of it.
    assert abs(found.spending.gain_bits - 5.31) < 0.01


def test_the_budget_is_a_share_of_all_that_the_wave_would_be_asked_without_it():
    twice = replace(terms_of({"a": SURE}, [1.0], limits=[2]), following={"a": 2})

    assert bought(twice, {7: words(0.5)}, 0.5).spending.budget == 10


def test_repeats_share_what_the_rule_says_and_no_less_than_with_any_other_voter():
    known = reliability_of(
        ("a", "b", "c"), {}, {("a", "c"): 0.8}, limits=[3, 2, 1], varied={"a", "b"}
    )

    assert np.diag(known.correlation_MM).tolist() == [0.8, WITHIN_VOTER, 1.0]
    assert known.max_replicates_M.tolist() == [3, 2, 1]


def test_unknown_pairs_count_as_independent_and_negative_ones_too():
    known = reliability_of(("a", "b"), {}, {("a", "b"): -0.4}, limits=[1, 1], varied=())

    assert np.array_equal(known.correlation_MM, np.eye(2))
    assert (known.sensitivity_MS == 0.5).all()


def test_a_document_of_a_hundred_words_is_bought_in_three_kilobytes():
    # A dense histogram alone is 15 strata x 64 bins x 4 bytes = 3.8 kB.
    known = terms_of({"a": SURE, "b": SURE}, [1.0, 1.0])
    rng = np.random.default_rng(0)
    stratum_N = rng.integers(0, len(STRATA), 100)
    words_of = {
        document: pack_words(histogram_words(rng.random(100), stratum_N))
        for document in range(500)
    }
    bought(known, {0: words(0.5)}, 1.0)  # what is cached first is not theirs

    tracemalloc.start()
    found = bought(known, words_of, 0.5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found.spending.spent == 500 * 100
    assert peak < 500 * 3_000
