"""Judges of different skill: recovery, position bias, derivatives, special cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, check_grad
from scipy.stats import spearmanr

from kompress.errors import InvalidComparisons
from kompress.pairwise import fit_bradley_terry, fit_judges, fit_thurstone
from kompress.pairwise.evidence import Judgments, count_votes, read_votes
from kompress.pairwise.graph import hamiltonian_pairs
from kompress.pairwise.judges import _JudgeFit

# A sharp, a fair and a dull judge, each leaning to what stands first.
SKILLS, BIASES = np.array([1.6, 1.0, 0.4]), np.array([0.2, 0.5, 1.0])


def judge(seed, *, sd=2.0, num_items=100, cycles=4, skills=SKILLS, biases=BIASES):
    """Every pair judged by every judge in both orders; ν = 1/2, answers drawn."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(0, sd, num_items)
    pairs = np.array(hamiltonian_pairs(num_items, cycles, rng))
    both = np.concatenate([pairs, pairs[:, ::-1]])
    first, second = np.repeat(both, len(skills), axis=0).T
    who = np.tile(np.arange(len(skills)), len(both))
    eta = skills[who] * (quality[first] - quality[second]) + biases[who]
    weight = np.stack([np.exp(eta / 2), np.exp(-eta / 2), np.full(len(eta), 0.5)])
    below = np.cumsum(weight / weight.sum(axis=0), axis=0)
    answer = (rng.random(len(eta)) > below[:2]).sum(axis=0)
    return quality, first, second, who, np.eye(3)[answer].T


@pytest.mark.parametrize("model", ["bradley_terry", "thurstone", "davidson"])
def test_planted_qualities_are_recovered_with_eight_partners_an_item(model):
    # The bar holds from a spread of 1.5 on, of log-odds to the average judge.
    found = []
    for seed in range(20):
        quality, first, second, who, p = judge(seed, sd=1.5)
        ranking = fit_judges(
            Judgments(first, second, *p), who, num_items=100, model=model
        )
        assert ranking.converged
        found.append(spearmanr(quality, ranking.score_N).statistic)

    assert np.mean(found) >= 0.95


def test_knowing_the_judges_beats_pooling_them():
    gained = []
    for seed in range(10):
        quality, first, second, who, p = judge(seed)
        counts = count_votes(Judgments(first, second, *p), num_items=100)
        pooled = fit_bradley_terry(counts.wins_NN, counts.ties_NN)
        aware = fit_judges(Judgments(first, second, *p), who, num_items=100)
        gained.append(
            spearmanr(quality, aware.score_N).statistic
            - spearmanr(quality, pooled.score_N).statistic
        )

    assert np.mean(gained) > 2 * np.std(gained, ddof=1) / np.sqrt(10)


def test_skill_bias_and_ties_are_recovered_within_their_errors():
    _, first, second, who, p = judge(0)

    ranking = fit_judges(Judgments(first, second, *p), who, num_items=100)

    miss = (ranking.discrimination_J - SKILLS) / ranking.discrimination_se_J
    lean = (ranking.bias_J - BIASES) / ranking.bias_se_J
    assert ranking.discrimination_J.mean() == pytest.approx(1)
    assert np.abs([miss, lean]).max() < 2.5
    assert ranking.tie == pytest.approx(0.5, abs=0.1)


def test_standard_errors_cover_what_they_claim():
    # Qualities drawn from the very prior: of scores in the prior's own scale 95 % lie
    # within 1.96 errors; 800 of them, so give or take 1.5 points.
    inside = []
    for seed in range(20):
        quality, first, second, who, p = judge(seed, sd=1.0, num_items=40)
        ranking = fit_judges(Judgments(first, second, *p), who, num_items=40)
        miss = (ranking.score_N - quality + quality.mean()) / ranking.se_N
        inside.extend(np.abs(miss) < 1.96)

    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)


def test_a_guesser_weighs_nothing_and_a_contrarian_counts_against_itself():
    skills = np.array([1.9, 1.9, 0.0, -0.8])
    quality, first, second, who, p = judge(3, skills=skills, biases=np.zeros(4))

    ranking = fit_judges(Judgments(first, second, *p), who, num_items=100)

    # Only ratios are known: scores are stretched so that the mean is 1, and the prior
    # pulls what is stretched too.
    ratio = ranking.discrimination_J / ranking.discrimination_J[0]
    assert ratio == pytest.approx([1, 1, 0, -0.8 / 1.9], abs=0.2)
    assert spearmanr(quality, ranking.score_N).statistic > 0.95


def test_one_judge_that_both_orders_leave_unmoved_is_the_plain_fit():
    _, first, second, _, p = judge(
        1, num_items=20, skills=np.ones(1), biases=np.zeros(1)
    )
    half = len(first) // 2
    p = np.concatenate([p[:, :half], p[[1, 0, 2], :half]], axis=1)
    who = np.zeros(len(first), int)

    ranking = fit_judges(
        Judgments(first, second, *p), who, num_items=20, model="thurstone"
    )

    counts = count_votes(Judgments(first, second, *p), num_items=20)
    plain = fit_thurstone(counts.wins_NN, counts.ties_NN, prior=1.0)
    assert ranking.discrimination_J == pytest.approx([1])
    assert ranking.bias_J == pytest.approx([0], abs=1e-9)
    assert ranking.score_N == pytest.approx(plain.score_N, abs=1e-7)
    assert ranking.se_N == pytest.approx(plain.se_N, rel=1e-4)


def test_swapping_every_prompt_turns_the_bias_and_nothing_else():
    _, first, second, who, p = judge(2, num_items=30)

    one = fit_judges(Judgments(first, second, *p), who, num_items=30)
    other = fit_judges(Judgments(second, first, *p[[1, 0, 2]]), who, num_items=30)

    assert other.score_N == pytest.approx(one.score_N, abs=1e-7)
    assert other.bias_J == pytest.approx(-one.bias_J, abs=1e-7)
    assert other.discrimination_J == pytest.approx(one.discrimination_J, abs=1e-7)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(12)), st.permutations(range(3)))
def test_relabelling_items_and_judges_permutes_what_is_found(items, judges):
    _, first, second, who, p = judge(4, num_items=12, cycles=2)
    items, judges = np.array(items), np.array(judges)

    one = fit_judges(Judgments(first, second, *p), who, num_items=12)
    other = fit_judges(
        Judgments(items[first], items[second], *p), judges[who], num_items=12
    )

    assert other.score_N[items] == pytest.approx(one.score_N, abs=1e-6)
    assert other.discrimination_J[judges] == pytest.approx(
        one.discrimination_J, abs=1e-6
    )
    assert other.bias_J[judges] == pytest.approx(one.bias_J, abs=1e-6)


def test_failed_calls_add_nothing():
    _, first, second, who, p = judge(5, num_items=20)
    more = np.concatenate([p, np.full((3, 7), np.nan)], axis=1)

    one = fit_judges(Judgments(first, second, *p), who, num_items=20)
    other = fit_judges(
        Judgments(
            np.append(first, np.zeros(7, int)),
            np.append(second, np.ones(7, int)),
            *more,
        ),
        np.append(who, np.zeros(7, int)),
        num_items=20,
    )

    assert (other.score_N == one.score_N).all()


def test_strength_counts_as_so_many_judgments():
    _, first, second, who, p = judge(6, num_items=15)

    one = fit_judges(
        Judgments(first, second, *p, strength_E=np.full(len(who), 2.0)),
        who,
        num_items=15,
    )
    other = fit_judges(
        Judgments(np.tile(first, 2), np.tile(second, 2), *np.tile(p, 2)),
        np.tile(who, 2),
        num_items=15,
    )

    assert one.score_N == pytest.approx(other.score_N, abs=1e-7)
    assert one.se_N == pytest.approx(other.se_N, rel=1e-4)


def test_a_silent_judge_and_an_unseen_item_stay_at_the_prior():
    _, first, second, who, p = judge(7, num_items=10, cycles=2)

    ranking = fit_judges(Judgments(first, second, *p), who, num_items=12, num_judges=4)

    assert ranking.score_N[10:].tolist() == [0, 0]
    assert ranking.se_N[10:].tolist() == [np.inf, np.inf]
    assert ranking.bias_J[3] == pytest.approx(0, abs=1e-9)
    assert ranking.bias_se_J[3] == pytest.approx(1)
    assert ranking.discrimination_J.mean() == pytest.approx(1)


@pytest.mark.parametrize("model", ["bradley_terry", "thurstone", "davidson"])
def test_gradient_and_hessian_are_those_of_the_value(model):
    rng = np.random.default_rng(8)
    first = rng.integers(0, 5, 40)
    second = (first + rng.integers(1, 5, 40)) % 5
    p = rng.dirichlet(np.ones(3), 40).T
    votes = read_votes(Judgments(first, second, *p), num_items=5)
    fit = _JudgeFit(votes, rng.integers(0, 3, 40), 5, 3, model, 0.7)

    for _ in range(3):
        x = rng.normal(size=fit.num_parameters)
        point = fit.evaluate(x)
        error = check_grad(
            lambda x: fit.evaluate(x).value, lambda x: fit.evaluate(x).gradient_P, x
        )
        hessian = approx_fprime(x, lambda x: fit.evaluate(x).gradient_P)
        assert error < 1e-5 * np.linalg.norm(point.gradient_P)
        assert np.triu(point.hessian_PP) == pytest.approx(np.triu(hessian), abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"judge_E": [0, 1, 2]}, "judges are int64 of shape"),
        ({"judge_E": [0.0, 1.0]}, "expected integers"),
        ({"judge_E": [0, -1]}, r"judges lie in -1\.\.0"),
        ({"num_judges": 1}, r"judges lie in 0\.\.1; expected 0\.\.0"),
        ({"prior": 0.0}, "the prior 0.0"),
        (
            {
                "p_first_E": [np.nan] * 2,
                "p_second_E": [np.nan] * 2,
                "p_tie_E": [np.nan] * 2,
            },
            "found 0 judgments",
        ),
        ({"second_E": [0, 2]}, "item 0 is held against itself"),
    ],
)
def test_judgments_that_break_their_contract_are_refused(changes, message):
    columns = {
        "first_E": [0, 1],
        "second_E": [1, 2],
        "p_first_E": [0.7, 0.2],
        "p_second_E": [0.2, 0.2],
        "p_tie_E": [0.1, 0.6],
    }
    arguments = {"judge_E": [0, 1], "num_items": 3} | changes
    columns = {name: arguments.pop(name, value) for name, value in columns.items()}

    with pytest.raises(InvalidComparisons, match=message):
        fit_judges(Judgments(**columns), **arguments)


@pytest.mark.parametrize("model", ["bradley_terry", "thurstone", "davidson"])
def test_answers_without_an_opinion_move_no_score_and_shrink_no_error(model):
    def fit(num_idle):
        num = 4 + num_idle
        p_first = [0.95] * 4 + [0.5] * num_idle
        return fit_judges(
            Judgments(
                [0] * num, [1] * num, p_first, np.subtract(1, p_first), [0] * num
            ),
            [0] * num,
            num_items=2,
            model=model,
        )

    sharp, crowded = fit(0), fit(16)

    assert sharp.score_N[0] - sharp.score_N[1] > 0.5
    assert crowded.score_N == pytest.approx(sharp.score_N, abs=1e-9)
    assert crowded.se_N == pytest.approx(sharp.se_N, abs=1e-9)
