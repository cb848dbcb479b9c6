"""Fit the rules that learn to a round's joint votes, and try them on unseen gold.

By the words that `FitData` lets count: the rules that learn, the strata that one voter
had better decide alone, and how far the voters differ.

W = words of some texts, M = voters, S = strata, P = patterns
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from kompress.aggregation import make_own_rule
from kompress.aggregation.learned import Learned, Learner
from kompress.aggregation.pair_rows import pair_rows
from kompress.aggregation.patterns import VotePatterns
from kompress.aggregation.reliability.rule import Reliability
from kompress.aggregation.votes import Aggregator
from kompress.config import RoundConfig
from kompress.decisions import (
    Calibration,
    Diversity,
    Fallback,
    FitSummary,
    Rate,
    Rates,
)
from kompress.ensemble.diversity import measure_diversity
from kompress.ensemble.fallback import choose_fallbacks
from kompress.labelling.consensus import keeps, label_without, learners, measured_beside
from kompress.labelling.counting import ALL
from kompress.labelling.eligibility import Eligibility
from kompress.labelling.fit_data import (
    FitData,
    codes_to_fit,
    count_joint_votes,
    dependent_voters,
    draw_texts,
    leave_out,
    take_voters,
)
from kompress.labelling.panel import (
    Panel,
    Panels,
    calibrate,
    consensus_voters,
    take_both,
)
from kompress.types import ABSTAIN, STRATA, UNKNOWN, BoolArray, FloatArray, PairRow

# A word of gold is pooled by a fit to the other folds of document groups.
NUM_FOLDS = 5
# What a voter adds is found by many refits: 8 voters on so many words take 15 s.
MAX_DIVERSITY_WORDS = 2**16
# One voter alone is its own best.
MIN_VOTERS = 2


@runtime_checkable
class Reliable(Protocol):
    """What a rule learned, where that is how often each voter is right."""

    @property
    def sensitivity_SM(self) -> FloatArray:
        """(S, M) P(keep | keep)."""
        ...

    @property
    def specificity_SM(self) -> FloatArray:
        """(S, M) P(drop | drop)."""
        ...


def fit_rules(
    config: RoundConfig, found: VotePatterns
) -> Iterator[tuple[str, Learned]]:
    """Fit every rule of a round that learns, one after the other.

    The round's own is fitted once more without each voter: what that voter is judged by
    has never seen its votes.

    Args:
        config: the round's.
        found: patterns of all its voters, `config.panel()`.

    Yields:
        What was learned, by label.
    """
    for label, rule in learners(config).items():
        is_own = label == config.aggregation.rule
        names = consensus_voters(config) if is_own else measured_beside(config)
        own = take_voters(found, [config.panel().index(name) for name in names])
        yield label, rule.fit(own)
        for column, name in enumerate(names if is_own else ()):
            yield label_without(label, name), rule.fit(leave_out(own, column))


def count_fits(config: RoundConfig) -> int:
    """Count what `fit_rules` yields."""
    found = learners(config)
    own = len(consensus_voters(config)) if config.aggregation.rule in found else 0
    return len(found) + own


def keep_out_of_fold(
    config: RoundConfig,
    panels: Panels,
    data: FitData,
    dependent: frozenset[str],
    progress: Callable[[], object],
) -> BoolArray:
    """Decide words of gold by the round's rule, as if their gold were not known.

    A rule that learns is fitted to the gold of other document groups; a plain one has
    learned nothing from any.

    Args:
        config: the round's.
        panels: all columns of the data.
        data: what the rule is fitted to.
        dependent: of `dependent_voters`.
        progress: called after each fold.

    Returns:
        (W,) whether a label would keep the word; False where truth is unknown.
    """
    own = take_both(panels, consensus_voters(config))
    rule = make_own_rule(config.aggregation)
    known_W = data.truth_W != UNKNOWN
    keep_W = np.zeros(known_W.size, dtype=np.bool_)
    if not isinstance(rule, Learner):
        keep_W[known_W] = _decide(own.calibrated, known_W, rule)
        return keep_W
    part = replace(data, panel=own.raw)
    fold_W = data.group_W % NUM_FOLDS
    for fold in np.unique(fold_W[known_W]).tolist():
        asked_W = known_W & (fold_W == fold)
        rest = replace(part, counts_W=data.counts_W & ~asked_W)
        learned = rule.fit(count_joint_votes(rest, dependent))
        keep_W[asked_W] = _decide(own.raw, asked_W, learned)
        progress()
    return keep_W


def fitted_rates(config: RoundConfig, learned: object, found: VotePatterns) -> Rates:
    """Read how often each voter is right off what the round's own rule learned.

    Args:
        config: the round's.
        learned: by its rule; anything but `Reliable` says nothing.
        found: patterns of all voters; `all` weighs strata by the voter's words there.

    Returns:
        (sensitivity, specificity) by voter and stratum; a stratum of which the rule
        has heard nothing (NaN) is left out.
    """
    if not isinstance(learned, Reliable):
        return {}
    rates: dict[str, dict[str, Rate]] = {}
    for column, voter in enumerate(consensus_voters(config)):
        voted_P = found.code_PM[:, config.panel().index(voter)] != ABSTAIN
        words_S = np.zeros(len(STRATA))
        np.add.at(words_S, found.stratum_P[voted_P], found.count_P[voted_P])
        rate_S2 = np.stack(
            [learned.sensitivity_SM[:, column], learned.specificity_SM[:, column]],
            axis=1,
        )
        known_S = np.isfinite(rate_S2[:, 0]) & np.isfinite(rate_S2[:, 1])
        words_S = np.where(known_S, words_S, 0.0)
        own = {
            STRATA[s]: (float(rate_S2[s, 0]), float(rate_S2[s, 1]))
            for s in np.flatnonzero(known_S)
        }
        if words_S.sum():
            rate_S2 = np.where(known_S[:, None], rate_S2, 0.0)
            whole = (rate_S2 * words_S[:, None]).sum(axis=0) / words_S.sum()
            own[ALL] = (float(whole[0]), float(whole[1]))
        rates[voter] = own
    return rates


def flatten_rates(rates: Rates) -> dict[tuple[str, str], Rate]:
    """Lay those rates out by (voter, stratum)."""
    return {
        (voter, stratum): pair
        for voter, by_stratum in sorted(rates.items())
        for stratum, pair in sorted(by_stratum.items())
    }


def summarize_fit(
    eligibility: Eligibility, found: VotePatterns, rules: Iterable[str]
) -> FitSummary:
    """Say what the rules were fitted to; without gold they hear only each other.

    Args:
        eligibility: which documents count.
        found: patterns of all voters.
        rules: labels.
    """
    known_P = found.truth_P != UNKNOWN
    num_gold_words = int(found.count_P[known_P].sum())
    return FitSummary(
        documents="all" if eligibility.takes_all else "random_slice",
        share=eligibility.share,
        gold_share=eligibility.gold_share,
        num_words_available=eligibility.num_words,
        num_gold_words_available=eligibility.num_gold_words,
        rules=tuple(sorted(rules)),
        num_patterns=len(found.count_P),
        num_words=found.num_words - num_gold_words,
        num_gold_words=num_gold_words,
    )


def find_fallbacks(
    config: RoundConfig,
    data: FitData,
    calibration: Mapping[str, Calibration],
    seed: tuple[int, int],
    progress: Callable[[], object],
) -> dict[str, Fallback] | None:
    """Find the strata that one voter had better decide alone; None without gold.

    Args:
        config: the round's.
        data: of all its voters.
        calibration: by voter.
        seed: of the loop, and the round's number.
        progress: called after each fold.
    """
    known_W = data.truth_W != UNKNOWN
    names = consensus_voters(config)
    if not known_W.any() or len(names) < MIN_VOTERS:
        return None
    panels = Panels(data.panel, calibrate(data.panel, calibration))
    keep_W = keep_out_of_fold(config, panels, data, dependent_voters(config), progress)
    columns = [config.panel().index(name) for name in names]
    return choose_fallbacks(
        names,
        keep_W[known_W],
        data.panel.p_WM[known_W][:, columns],
        data.truth_W[known_W],
        data.panel.stratum_W[known_W],
        data.group_W[known_W],
        _stream(seed, "fallback"),
    )


def compare_voters(
    config: RoundConfig, data: FitData, seed: tuple[int, int]
) -> tuple[Diversity | None, list[PairRow]]:
    """Measure how far the voters differ, and how each pair's votes fall together.

    Args:
        config: the round's.
        data: of all its voters.
        seed: of the loop, and the round's number.

    Returns:
        None and nothing where no word is heard.
    """
    panel, dependent = data.panel, dependent_voters(config)
    everything = count_joint_votes(data, dependent)
    if not everything.num_words:
        return None, []
    rng = _stream(seed, "diversity")
    drawn_W = draw_texts(data, MAX_DIVERSITY_WORDS, rng)
    found = measure_diversity(
        panel.voters,
        codes_to_fit(data, dependent, drawn_W),
        data.truth_W[drawn_W],
        panel.stratum_W[drawn_W],
        data.group_W[drawn_W],
        rng,
        everything=everything,
        # A plain rule has nothing to be fitted again without a voter.
        learner=learners(config).get(config.aggregation.rule, Reliability()),
        strength=panel.strength_WM[drawn_W],
    )
    return found, pair_rows(panel.voters, everything)


def _stream(seed: tuple[int, int], purpose: str) -> np.random.Generator:
    """Make random numbers of their own for each purpose."""
    return np.random.default_rng([*seed, zlib.crc32(purpose.encode())])


def _decide(panel: Panel, wanted_W: BoolArray, rule: Aggregator | Learned) -> BoolArray:
    """Pool some words along their texts, and threshold as a label is stored."""
    whole_W = panel.whole_texts(wanted_W)
    boundary_W = panel.boundary_W
    posterior = rule.aggregate(
        panel.p_WM[whole_W],
        panel.strength_WM[whole_W],
        panel.stratum_W[whole_W],
        None if boundary_W is None else boundary_W[whole_W],
    )
    return keeps(posterior)[wanted_W[whole_W]]
