from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.worlds.draws import Family, Panel, Segment, World, find_posterior
from benchmarks.worlds.vote_tables import (
    hard_votes,
    miss_votes,
    sampled_votes,
    soft_votes,
)

K, D, NONE = 254, 0, 255


def panel(*tables, prevalence=(0.5,), families=()):
    """Voters who are the same on every stratum."""
    size = len(prevalence)
    table_MSTC = np.stack([np.repeat(t[None], size, axis=0) for t in tables])
    sizes = np.full(size, 10)
    return Panel(sizes, np.array(prevalence), table_MSTC, tuple(families))


def posterior(made, *votes, stratum=0):
    return find_posterior(
        made, np.array([votes], dtype=np.uint8), np.array([stratum], dtype=np.uint8)
    )[0]


@pytest.mark.parametrize(("votes", "expected"), [
    ((K, K), 16 / 19),  # 1/3 · (.8/.2)² = 16/3
    ((K, D), 1 / 4),  # 1/3 · 4 / 4
    ((K, NONE), 4 / 7),  # 1/3 · 4
    ((D, D), 1 / 49),  # 1/3 / 16
    ((NONE, NONE), 1 / 4),
])  # fmt: skip
def test_independent_voters_multiply_their_odds(votes, expected):
    voter = miss_votes(hard_votes(0.8, 0.8), 0.3)

    assert posterior(panel(voter, voter, prevalence=(0.25,)), *votes) == pytest.approx(
        expected
    )


def test_sensitivity_and_specificity_are_not_mixed_up():
    made = panel(hard_votes(0.9, 0.7))

    assert posterior(made, K) == pytest.approx(3 / 4)  # .9 / .3
    assert posterior(made, D) == pytest.approx(1 / 8)  # .1 / .7


def test_each_stratum_has_its_own_prevalence_and_voters():
    made = panel(hard_votes(0.8, 0.8), prevalence=(0.2, 0.5))
    made.table_MSTC[0, 1] = hard_votes(0.2, 0.2)

    assert posterior(made, K, stratum=0) == pytest.approx(1 / 2)  # 1/4 · 4
    assert posterior(made, K, stratum=1) == pytest.approx(1 / 5)  # 1 · 1/4


def test_exact_copies_count_once():
    voter = hard_votes(0.8, 0.8)
    copies = Family((0, 1, 2), "copies", 1.0)
    made = panel(*[voter] * 4, prevalence=(0.25,), families=[copies])

    assert posterior(made, K, K, K, D) == pytest.approx(1 / 4)  # 1/3 · 4 / 4
    assert posterior(made, K, K, K, K) == pytest.approx(16 / 19)


def test_near_copies_are_a_mixture_of_one_draw_and_several():
    voter = hard_votes(0.8, 0.8)
    made = panel(voter, voter, families=[Family((0, 1), "copies", 0.5)])

    # keep: .5 · .8 + .5 · .64 = .72; drop: .5 · .2 + .5 · .04 = .12
    assert posterior(made, K, K) == pytest.approx(6 / 7)
    assert posterior(made, K, D) == pytest.approx(1 / 2)  # .5 · .16 either way


def test_a_common_cause_correlates_votes_at_rho():
    voter = hard_votes(0.8, 0.8)
    made = panel(voter, voter, families=[Family((0, 1), "common", 0.25)])

    # P(both keep) = p² + rho p (1 - p): .64 + .04 given keep, .04 + .04 given drop.
    assert posterior(made, K, K) == pytest.approx(0.68 / 0.76)
    assert posterior(made, K, D) == pytest.approx(1 / 2)


def test_how_hard_a_word_is_is_summed_out():
    easy, hard = (np.stack([hard_votes(p, p)[None]] * 2) for p in (0.9, 0.6))
    made = Panel(np.array([10]), np.array([0.5]), easy, (), 0.25, hard)

    # Both keep: .75 · .81 + .25 · .36 = .6975 given keep, .75 · .01 + .25 · .16 =
    # .0475 given drop; split .75 · .09 + .25 · .24 either way.
    assert posterior(made, K, K) == pytest.approx(0.6975 / 0.745)
    assert posterior(made, K, D) == pytest.approx(1 / 2)


def test_a_soft_vote_counts_by_its_bin():
    # Densities 2(1 - p) and 2p: bin c holds (2(254 - c) + 1)/255² and (2c + 1)/255²,
    # so at even odds the posterior is the code's own P(keep), (c + 1/2)/255.
    made = panel(soft_votes(drop=(1.0, 2.0), keep=(2.0, 1.0)))

    assert posterior(made, 254) == pytest.approx(509 / 510)
    assert posterior(made, 127) == pytest.approx(1 / 2)
    assert posterior(made, 10) == pytest.approx(21 / 510)


def test_a_share_of_answers_counts_by_the_beta_binomial():
    made = panel(sampled_votes(2, drop=(1.0, 2.0), keep=(2.0, 1.0)))

    assert posterior(made, 254) == pytest.approx(3 / 4)  # 1/2 against 1/6
    assert posterior(made, 127) == pytest.approx(1 / 2)
    assert posterior(made, 0) == pytest.approx(1 / 4)


rates = st.floats(0.05, 0.95)


@settings(max_examples=40)
@given(rates, rates, st.floats(0, 0.99), st.sampled_from(["copies", "common"]))
def test_the_posterior_is_that_of_summing_over_everything_hidden(
    sensitivity, specificity, rho, kind
):
    voter = hard_votes(sensitivity, specificity)
    # It says less often what is to be dropped: silence tells of the truth too.
    missed = np.stack([miss_votes(voter[t], rate) for t, rate in enumerate((0.3, 0.1))])
    made = panel(*[missed] * 3, families=[Family((0, 1, 2), kind, rho)])

    for votes in product((K, D, NONE), repeat=3):
        keep, drop = (
            brute_force(voter[t], votes, rho, kind)
            * np.prod([rate if vote == NONE else 1 - rate for vote in votes])
            for t, rate in ((1, 0.1), (0, 0.3))
        )
        assert posterior(made, *votes) == pytest.approx(keep / (keep + drop))


def brute_force(mass_C, votes, rho, kind):
    """Sum over the hidden draw, who repeats it, and what each would say alone."""
    total = 0.0
    for hidden, repeats, alone in product(
        (K, D), product((True, False), repeat=3), product((K, D), repeat=3)
    ):
        said = tuple(hidden if r else a for r, a in zip(repeats, alone, strict=True))
        if kind == "copies":
            p = {3: rho, 0: 1 - rho}.get(sum(repeats), 0.0)
        else:
            p = np.prod([rho**0.5 if r else 1 - rho**0.5 for r in repeats])
        heard = all(v in (NONE, s) for v, s in zip(votes, said, strict=True))
        total += heard * p * mass_C[hidden] * np.prod(mass_C[list(alone)])
    return total


def small(**params):
    voter = hard_votes(0.8, 0.8)
    parts = (Segment(panel(voter, prevalence=(0.3, 0.6))),)
    return World("small", parts, "", num_gold=6, **params)


def test_a_seed_is_reproduced_and_another_differs():
    first, again, other = (small().make(seed) for seed in (4, 4, 5))

    for name in ("code_NM", "truth_N", "gold_N", "bayes_N", "stratum_N"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.code_NM, other.code_NM)


def test_a_draw_holds_its_strata_and_its_gold():
    draw = small().make(0)

    assert np.bincount(draw.stratum_N).tolist() == [10, 10]
    assert draw.gold_N.sum() == 6
    assert draw.strength_M.tolist() == [1.0]


@pytest.mark.parametrize("inside", [0, 4])
def test_gold_of_a_wrong_stratum_is_as_much_as_said(inside):
    draw = small(wrong_stratum=1, wrong_gold=inside).make(0)

    assert draw.gold_N.sum() == 6
    assert draw.gold_N[draw.stratum_N == 1].sum() == inside


def test_rounds_follow_each_other():
    voters = [panel(hard_votes(p, p)) for p in (0.9, 0.6)]
    parts = tuple(Segment(made, r) for r, made in enumerate(voters))

    draw = World("rounds", parts, "", num_gold=2).make(0)

    assert draw.round_N.tolist() == [0] * 10 + [1] * 10
    # .9 and .6 are the posteriors of a vote to keep at even odds.
    kept = draw.code_NM[:, 0] == K
    assert set(np.round(draw.bayes_N[:10][kept[:10]], 9)) <= {0.9}
    assert set(np.round(draw.bayes_N[10:][kept[10:]], 9)) <= {0.6}
