"""Every world draws what it says, and its posterior comes true."""

import numpy as np
import pytest

from benchmarks.worlds import WORLDS
from benchmarks.worlds.registry import CONSTANT, PREVALENCE_S, SIZE_S
from benchmarks.worlds.scores import count_voters, score_bayes
from kompress.aggregation import make_aggregator
from kompress.aggregation.statistics import balanced_accuracies

# 19 worlds of about 18 cells for each of 5 voters: 5 standard errors are passed by
# chance once in a thousand runs, and seeds are fixed.
FAR = 5.0


@pytest.mark.parametrize("name", WORLDS)
def test_the_bayes_posterior_comes_true(name):
    scores = [score_bayes(WORLDS[name].make(seed)) for seed in range(3)]

    # With 20,000 words in ten bins a true posterior has an ECE of about .004.
    assert np.mean([score.ece for score in scores]) < 0.01


@pytest.mark.parametrize("name", WORLDS)
def test_votes_come_at_the_stated_rates(name):
    world = WORLDS[name]
    draw = world.make(7)
    start = 0

    for segment in world.segments:
        panel = segment.panel
        part = slice(start, start + int(panel.size_S.sum()))
        start = part.stop
        code_NM, stratum_N = draw.code_NM[part], draw.stratum_N[part]
        assert np.array_equal(np.bincount(stratum_N), panel.size_S)
        for s in range(len(panel.size_S)):
            for t in (0, 1):
                here_N = (stratum_N == s) & (draw.truth_N[part] == bool(t))
                for m, table_STC in enumerate(mixed(panel)):
                    assert far(table_STC[s, t], code_NM[here_N, m]) < FAR


def mixed(panel):
    if panel.hard_MSTC is None:
        return panel.table_MSTC
    share = panel.hard_share
    return (1 - share) * panel.table_MSTC + share * panel.hard_MSTC


def far(mass_C, code_N):
    """Standard errors between stated and drawn shares of low codes and abstentions."""
    gaps = [0.0]
    for chosen in (slice(0, 127), slice(0, 230), slice(255, 256)):
        p = mass_C[chosen].sum()
        share = np.isin(code_N, np.arange(256)[chosen]).sum()
        spread = np.sqrt(code_N.size * p * (1 - p))
        # A few words are not normal: one word off is not far.
        gaps.append(max(abs(share - code_N.size * p) - 1, 0) / max(spread, 1e-9))
    return max(gaps)


def test_truth_comes_at_the_stated_prevalence():
    draw = WORLDS["independent equal voters"].make(0)

    share_S = np.bincount(draw.stratum_N, draw.truth_N) / SIZE_S
    error_S = np.sqrt(PREVALENCE_S * (1 - PREVALENCE_S) / SIZE_S)
    assert (np.abs(share_S - PREVALENCE_S) < FAR * error_S).all()
    # 3000 + 240 + 1200 + 200 + 300 + 600 + 350 + 350 + 810 words of 20,000
    assert SIZE_S @ PREVALENCE_S / SIZE_S.sum() == pytest.approx(0.3525)


def test_errors_of_equicorrelated_voters_correlate_at_three_tenths():
    draw = WORLDS["equicorrelated voters"].make(0)

    keep_NM = draw.code_NM > 127
    found = [
        np.corrcoef(keep_NM[draw.truth_N == truth].T)[np.triu_indices(5, 1)].mean()
        for truth in (False, True)
    ]
    assert found == pytest.approx([0.3, 0.3], abs=0.02)


def test_clones_are_one_column_and_near_copies_four_words_in_five():
    exact = WORLDS["two good, five exact copies"].make(0).code_NM[:, 2:]
    patchy = WORLDS["two good, five exact copies, 30 % missing"].make(0).code_NM[:, 2:]
    near = WORLDS["two good, five near copies"].make(0)

    assert (exact == exact[:, :1]).all()
    silent = patchy == 255
    said = np.where(silent, 0, patchy).max(axis=1, keepdims=True)
    assert (silent | (patchy == said)).all()
    # Each by itself: three of ten of what the others miss is missing in the first.
    assert silent[silent[:, 1], 0].mean() == pytest.approx(0.3, abs=0.03)
    # All five equal: .8 + .2 (p⁵ + (1 - p)⁵) with p = .7 where the word is to be kept,
    # .75 else: .8 + .2 · .17050 and .8 + .2 · .23828.
    equal_N = (near.code_NM[:, 2:] == near.code_NM[:, 2:3]).all(axis=1)
    assert equal_N[near.truth_N].mean() == pytest.approx(0.8341, abs=0.015)
    assert equal_N[~near.truth_N].mean() == pytest.approx(0.8477, abs=0.015)


def test_a_blind_voter_collapses_k_of_one():
    draw = WORLDS["each blind on another stratum"].make(0)
    blind_N = draw.stratum_N == 2

    dropped = make_aggregator("k_of_n", {"k": 1}).aggregate(
        draw.code_NM, draw.strength_M, draw.stratum_N
    )
    kept_N = dropped.mean_N >= 0.5
    assert kept_N[blind_N & draw.truth_N].mean() < 0.05
    assert balanced_accuracies(count_voters(draw))[1:, 2].min() > 0.8


def test_majority_is_blind_where_one_voter_sees():
    draw = WORLDS["each sighted on only one stratum"].make(0)

    posterior = make_aggregator("majority", {}).aggregate(
        draw.code_NM, draw.strength_M, draw.stratum_N
    )
    assert (posterior.mean_N >= 0.5).mean() < 0.001
    assert balanced_accuracies(count_voters(draw))[4, 4] > 0.9


def test_all_are_wrong_on_one_stratum_and_gold_lies_there_as_said():
    none = WORLDS["all wrong on one stratum, no gold there"].make(0)
    fifty = WORLDS["all wrong on one stratum, 50 gold words there"].make(0)

    assert balanced_accuracies(count_voters(none))[:, CONSTANT].max() < 0.35
    assert not none.gold_N[none.stratum_N == CONSTANT].any()
    assert fifty.gold_N[fifty.stratum_N == CONSTANT].sum() == 50
    assert none.gold_N.sum() == fifty.gold_N.sum() == 1_000
