import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.ensemble.information import joint_information
from kompress.errors import InvalidSelection
from kompress.selection.budget import VoterReliability, allocate
from kompress.selection.information_gain import (
    BIN_MEAN_B,
    histogram_words,
    novelty,
    pack_words,
    stack_words,
)
from kompress.types import STRATA

S = len(STRATA)


def sheet(accuracy=(0.9, 0.7), rho=0.0, replicates=1, repeat=1.0):
    """Voters as good in every stratum, equally correlated."""
    size = len(accuracy)
    rho_MM = np.full((size, size), rho)
    np.fill_diagonal(rho_MM, repeat)
    rate_MS = np.repeat(np.array(accuracy)[:, None], S, axis=1)
    return VoterReliability(rate_MS, rate_MS, rho_MM, np.full(size, replicates))


def documents(*means):
    """A document for each list of posterior means, all words plain."""
    return np.stack([histogram_words(m, np.zeros(len(m), np.uint8)) for m in means])


def buy(words_DSB, voters, budget, *, need=None, price=None, voted=None):
    size = (len(words_DSB), len(voters.sensitivity_MS))
    return allocate(
        words_DSB,
        np.zeros(size) if voted is None else voted,
        voters,
        need_D=np.ones(size[0]) if need is None else need,
        price_DM=np.ones(size) if price is None else price,
        budget=budget,
    )


def pairs(allocation):
    return [(c.document, c.voter, c.replicate) for c in allocation.calls]


def test_the_open_document_is_asked_about_before_the_settled_one():
    words_DSB = documents([0.99] * 10, [0.5] * 10)

    found = buy(words_DSB, sheet(), 1)

    assert pairs(found) == [(1, 0, 0)]
    # Ten words of the bin beside .5, each worth 1 - H(.9) = .531 bit.
    assert found.gain == pytest.approx(5.31, abs=0.01)


def test_need_decides_between_equally_open_documents():
    words_DSB = documents([0.5] * 4, [0.5] * 4)

    assert pairs(buy(words_DSB, sheet(), 1, need=[1.0, 1.1])) == [(1, 0, 0)]
    assert pairs(buy(words_DSB, sheet(), 1)) == [(0, 0, 0)]  # equals: the first


def test_gain_is_bought_per_dollar():
    # 1 - H(.9) = .531 for 5 $ against 1 - H(.7) = .119 for 1 $: .106 against .119.
    found = buy(documents([0.5]), sheet(), 5, price=[[5.0, 1.0]])

    assert [call.voter for call in found.calls] == [1]
    # With 4 $ left the sharper voter no longer fits.
    assert found.spent == 1.0
    dearer = buy(documents([0.5]), sheet(), 6, price=[[5.0, 1.0]])
    assert [call.voter for call in dearer.calls] == [1, 0]


def test_what_does_not_fit_is_passed_over_for_what_does():
    words_DSB = documents([0.5] * 50, [0.5])

    found = buy(words_DSB, sheet((0.9,)), 3, price=[[4.0], [1.0]])

    assert pairs(found) == [(1, 0, 0)]


def test_free_voters_come_first_and_cost_no_budget():
    words_DSB = documents([0.5], [0.5] * 3)

    found = buy(words_DSB, sheet(), 1, price=[1.0, 0.0])

    assert pairs(found) == [(1, 1, 0), (0, 1, 0), (1, 0, 0)]
    assert found.spent == 1.0


def test_without_a_budget_only_free_votes_are_bought():
    assert pairs(buy(documents([0.5]), sheet(), 0)) == []
    assert pairs(buy(documents([0.5]), sheet(), 0, price=[1.0, 0.0])) == [(0, 1, 0)]


def test_a_replicate_of_a_stochastic_voter_gives_less_than_another_voter():
    alone = replace(sheet((0.9, 0.9), replicates=3, repeat=0.7))

    found = buy(documents([0.5]), alone, 4)

    # Both voters once, then their replicates, each worth less than the one before.
    assert pairs(found)[:2] == [(0, 0, 0), (0, 1, 0)]
    assert [call.replicate for call in found.calls[2:]] == [1, 1]
    gains = [call.gain for call in found.calls]
    assert gains == sorted(gains, reverse=True)
    assert gains[2] < gains[1] / 2


def test_a_voter_that_repeats_itself_is_not_asked_twice():
    assert len(buy(documents([0.5]), sheet((0.9,), replicates=5), 5).calls) == 1


def test_votes_that_are_there_make_their_copies_worthless():
    copies = sheet((0.9, 0.9), rho=1.0)

    assert buy(documents([0.5]), copies, 2, voted=[[1, 0]]).calls == ()
    assert len(buy(documents([0.5]), sheet((0.9, 0.9)), 2, voted=[[1, 0]]).calls) == 1


def test_a_coin_is_never_asked():
    assert buy(documents([0.5] * 9), sheet((0.5,)), 100).calls == ()


def test_the_decision_can_be_recorded():
    words_DSB = documents([0.5] * 2, [0.5])

    found = buy(words_DSB, sheet((0.9, 0.9), replicates=2, repeat=0.9), 5)
    summary = found.summary(["a", "b"], "words")

    assert summary.budget == summary.spent == 5
    # Both voters on both documents, then a replicate on the longer one.
    assert summary.num_calls == {"a": 3, "b": 2}
    assert summary.num_replicates == 1
    assert 0 < summary.least_bits_per_dollar < summary.gain_bits


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"need": [1.0]}, "needs have shape"),
        ({"need": [1.0, -1.0]}, "needs are negative"),
        ({"price": [[1.0, np.nan]] * 2}, "prices are negative or not finite"),
        ({"voted": np.zeros((2, 3))}, "votes have shape"),
    ],
)
def test_a_market_that_does_not_fit_together_is_refused(changes, message):
    with pytest.raises(InvalidSelection, match=message):
        buy(documents([0.5], [0.5]), sheet(), 1, **changes)


def test_the_greedy_order_is_that_of_trying_every_call_each_time():
    # By brute force: recompute every call's gain per dollar after every purchase.
    rng = np.random.default_rng(0)
    words_DSB = documents(*(rng.beta(0.5, 0.5, 6) for _ in range(4)))
    voters = sheet((0.9, 0.8, 0.6), rho=0.3, replicates=2, repeat=0.6)
    price_M = np.array([3.0, 2.0, 1.0])
    voted, order, gains = np.zeros((4, 3), dtype=int), [], []
    joint = {}
    for _ in range(8):
        best = None
        for d, m in itertools.product(range(4), range(3)):
            key = (d, *voted[d])
            if key not in joint:
                joint[key] = dict(next_gains(words_DSB[d : d + 1], voters, voted[d]))
            gain = joint[key].get(m, 0.0)
            if gain > 0 and (best is None or gain / price_M[m] > best[0] + 1e-12):
                best = (gain / price_M[m], d, m)
                won = gain
        order.append((best[1], best[2], int(voted[best[1], best[2]])))
        gains.append(won)
        voted[best[1], best[2]] += 1

    found = buy(words_DSB, voters, 1e9, price=price_M)

    assert pairs(found)[:8] == order
    assert [c.gain for c in found.calls[:8]] == pytest.approx(gains, rel=1e-6)
    assert len({d for d, *_ in order}) < len(order)


def next_gains(words_DSB, voters, planned):
    """The gain of each voter's next vote after `planned` unseen ones, by definition."""
    rate_M1 = voters.sensitivity_MS[:, :1]
    before = joint_information(BIN_MEAN_B, rate_M1, rate_M1, planned)
    for m in range(len(planned)):
        if planned[m] < voters.max_replicates_M[m]:
            after = np.array(planned)
            after[m] += 1
            bits_B = joint_information(BIN_MEAN_B, rate_M1, rate_M1, after) - before
            new = novelty(voters.correlation_MM, tuple(planned.tolist()), m)
            yield m, round(float(words_DSB[0, 0] @ bits_B) * new, 9)


markets = st.lists(
    st.tuples(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.floats(0, 3)),
    min_size=1,
    max_size=5,
)
prices = st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.5]), min_size=2, max_size=2)


@given(markets, prices, st.floats(0, 12), st.floats(0, 1))
def test_a_budget_is_never_exceeded_and_nothing_is_bought_twice(
    market, price, budget, rho
):
    words_DSB = documents(*(means for means, _ in market))
    need = [need for _, need in market]
    voters = sheet(rho=rho, replicates=2, repeat=0.5)

    found = buy(words_DSB, voters, budget, need=need, price=price)

    assert found.spent <= budget + 1e-9
    assert len(set(pairs(found))) == len(found.calls)
    assert all(call.gain > 0 for call in found.calls)
    assert all(call.replicate < 2 for call in found.calls)
    # Replicates come in order, without gaps.
    for d, m in itertools.product(range(len(market)), range(2)):
        own = [c.replicate for c in found.calls if (c.document, c.voter) == (d, m)]
        assert own == list(range(len(own)))
    assert found == buy(words_DSB, voters, budget, need=need, price=price)


@given(markets, st.floats(0, 6))
def test_a_larger_budget_of_calls_begins_with_the_smaller_one(market, budget):
    words_DSB = documents(*(means for means, _ in market))
    need = [need for _, need in market]

    small = buy(words_DSB, sheet(), budget, need=need)
    large = buy(words_DSB, sheet(), budget + 3, need=need)

    assert pairs(large)[: len(small.calls)] == pairs(small)


def test_packed_histograms_buy_the_same():
    rng = np.random.default_rng(1)
    histograms = [
        histogram_words(rng.random(60), rng.integers(0, S, 60)) for _ in range(8)
    ]
    voters = sheet((0.9, 0.7), rho=0.2, replicates=2, repeat=0.5)

    dense = buy(np.stack(histograms), voters, 12)
    packed = allocate(
        stack_words([pack_words(own) for own in histograms]),
        np.zeros((8, 2)),
        voters,
        need_D=np.ones(8),
        price_DM=np.ones((8, 2)),
        budget=12,
    )

    assert packed.calls == dense.calls
    assert any(call.replicate for call in packed.calls)
