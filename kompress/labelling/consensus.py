"""Make a round's consensus: pool a panel by rules, plain ones and those that learned.

A plain rule pools calibrated votes, a learner raw ones by its stored fit. Nothing here
depends on which texts are pooled together.

W = words of all texts, M = voters
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from kompress.aggregation import make_aggregator, make_own_rule, rules_of
from kompress.aggregation.learned import Learned, Learner
from kompress.aggregation.statistics import others_voted
from kompress.aggregation.votes import Aggregator
from kompress.config import RoundConfig
from kompress.decisions import Fallback
from kompress.ensemble.fallback import apply_fallbacks, fallback_columns
from kompress.errors import NotFitted
from kompress.labelling.panel import (
    Panel,
    Panels,
    consensus_panels,
    consensus_voters,
    make_labels,
)
from kompress.types import JSON, BoolArray, Label, Posterior

# Between a rule and the voter that it was not shown.
WITHOUT = "-without:"
# Pools in place of a rule that learns, where nothing can have been learned yet.
UNLEARNED_RULE = "beta"


@dataclass(frozen=True, slots=True)
class FittedConsensus:
    """All that a round's consensus is made by, once the stage `fit` has run.

    Attributes:
        config: the round's.
        fits: what its rules have learned, by label; see `label_without`.
        fallbacks: columns of the consensus by the stratum that they decide alone.
    """

    config: RoundConfig
    fits: Mapping[str, Learned]
    fallbacks: Mapping[int, int]


def pool(panels: Panels, rule: Aggregator, learned: Learned | None = None) -> Posterior:
    """Pool a panel by a rule.

    Args:
        panels: the votes.
        rule: of the registry.
        learned: what the rule has learned of these columns. It then pools the votes as
            they were cast: a temperature is learned once. A rule that learns nothing
            (None) pools the calibrated ones.
    """
    if learned is None:
        panel = panels.calibrated
        return _aggregate(rule, panel)
    return _aggregate(learned, panels.raw)


def pool_unlearned(panel: Panel, config: RoundConfig) -> Posterior:
    """Pool before anything was learned: by the round's rule, or a plain one for it.

    A learner that fits itself to one shard would make another shard's texts part of
    what it says of a text.
    """
    rule = make_own_rule(config.aggregation)
    if isinstance(rule, Learner):
        rule = make_aggregator(UNLEARNED_RULE, {})
    return _aggregate(rule, panel)


def learners(config: RoundConfig) -> dict[str, Learner]:
    """Make the round's rules that learn, its own and those beside it, by label."""
    found = {}
    names = measured_beside(config)
    for label, (name, params) in rules_of(config.aggregation, len(names)).items():
        rule = make_aggregator(name, params)
        if isinstance(rule, Learner):
            found[label] = rule
    return found


def measured_beside(config: RoundConfig) -> tuple[str, ...]:
    """Name the voters that the rules beside the round's own are measured on.

    Under the protocol `pairwise` they are the voters' words without the winning
    reference's: what the round would have got without the comparisons.
    """
    if config.protocol == "pairwise":
        return tuple(voter.name for voter in config.voters)
    return config.panel()


def read_fitted(
    config: RoundConfig,
    stored: Mapping[str, JSON],
    decided: Mapping[str, Fallback] | None,
) -> FittedConsensus:
    """Bring back what a round's rules have learned.

    Args:
        config: the round's.
        stored: rows of `rule_fits`, by label; those of `label_without` among them.
        decided: who decides a stratum alone; None where no gold could tell.
    """
    fits = {
        key: rule.load(stored[key])
        for label, rule in learners(config).items()
        for key in stored
        if key.split(WITHOUT)[0] == label
    }
    columns = fallback_columns(decided or {}, consensus_voters(config))
    return FittedConsensus(config, fits, columns)


def learned_of(
    rule: Aggregator, label: str, fits: Mapping[str, Learned]
) -> Learned | None:
    """Find what a rule has learned; None for a rule that never learns.

    Raises:
        NotFitted: the rule learns, but the round holds no fit of it.
    """
    if not isinstance(rule, Learner):
        return None
    if label not in fits:
        raise NotFitted(
            f"the round has no fit {label!r}, expected one of the stage fit; it has "
            f"{sorted(fits) or 'none'}; start the loop again with this version"
        )
    return fits[label]


def label_without(rule: str, voter: str) -> str:
    """Name the fit of a rule to everybody's votes but one voter's."""
    return f"{rule}{WITHOUT}{voter}"


def pool_consensus(panels: Panels, fitted: FittedConsensus) -> Posterior:
    """Make a round's consensus: its own rule, and one voter where that is better.

    Args:
        panels: the columns of `consensus_panels`.
        fitted: the round's.
    """
    own = fitted.config.aggregation
    rule = make_own_rule(own)
    learned = learned_of(rule, own.rule, fitted.fits)
    return _fall_back(pool(panels, rule, learned), panels, fitted.fallbacks)


def label_consensus(panels: Panels, fitted: FittedConsensus) -> dict[int, Label]:
    """Label texts by the consensus; one of which nobody said anything gets no label.

    Args:
        panels: all columns of the round.
        fitted: the round's.
    """
    own = consensus_panels(panels, fitted.config)
    # Where all abstained, such as on texts without a reference, nothing is known: the
    # prior alone would keep every word.
    p_by_text = own.calibrated.split(own.calibrated.p_WM)
    labelled = make_labels(own.calibrated, pool_consensus(own, fitted))
    return {
        text_id: label
        for text_id, label in labelled.items()
        if not np.isnan(p_by_text[text_id]).all()
    }


def keeps(posterior: Posterior) -> BoolArray:
    """Threshold as a label is stored."""
    keep_W: BoolArray = posterior.mean_N.astype(np.float16) >= np.float16(0.5)
    return keep_W


def without_each(
    panels: Panels, fitted: FittedConsensus
) -> tuple[BoolArray, BoolArray]:
    """Give the consensus that each voter can be judged by: the one without it.

    A rule that learns has learned without that voter, too. Strata that fall back to the
    voter have the rule's answer instead.

    Args:
        panels: all columns of the round.
        fitted: the round's.

    Returns:
        (W, M) whether it keeps a word, and (W, M) where that can be compared: the
        voter voted, and so did somebody else who makes the consensus.
    """
    own = consensus_panels(panels, fitted.config)
    shape = own.raw.p_WM.shape
    keep_WM = np.empty(shape, dtype=np.bool_)
    for column in range(shape[1]):
        keep_WM[:, column] = keeps(_without(own, column, fitted))
    known_WM = others_voted(own.raw.p_WM)
    if own.raw.voters == panels.raw.voters:
        return keep_WM, known_WM
    # Who has no part in the consensus is judged by all of it.
    whole_W = keeps(pool_consensus(own, fitted))
    some_W = ~np.isnan(own.raw.p_WM).all(axis=1)
    place = {voter: column for column, voter in enumerate(own.raw.voters)}
    keep, known = [], []
    for column, voter in enumerate(panels.raw.voters):
        if voter in place:
            keep.append(keep_WM[:, place[voter]])
            known.append(known_WM[:, place[voter]])
        else:
            keep.append(whole_W)
            known.append(some_W & ~np.isnan(panels.raw.p_WM[:, column]))
    return np.stack(keep, axis=1), np.stack(known, axis=1)


def _without(panels: Panels, column: int, fitted: FittedConsensus) -> Posterior:
    """Make the consensus of all but one column."""
    own = fitted.config.aggregation
    rule = make_own_rule(own)
    label = label_without(own.rule, panels.raw.voters[column])
    learned = learned_of(rule, label, fitted.fits)
    # An abstention changes nothing, in every rule, and nobody falls back to it: it is
    # as if the column were gone.
    others = Panels(_silence(panels.raw, column), _silence(panels.calibrated, column))
    return _fall_back(pool(others, rule, learned), others, fitted.fallbacks)


def _aggregate(rule: Aggregator | Learned, panel: Panel) -> Posterior:
    return rule.aggregate(
        panel.p_WM, panel.strength_WM, panel.stratum_W, panel.boundary_W
    )


def _silence(panel: Panel, column: int) -> Panel:
    p_WM, strength_WM = panel.p_WM.copy(), panel.strength_WM.copy()
    p_WM[:, column], strength_WM[:, column] = np.nan, 0.0
    return replace(panel, p_WM=p_WM, strength_WM=strength_WM)


def _fall_back(
    posterior: Posterior, panels: Panels, fallbacks: Mapping[int, int]
) -> Posterior:
    """Let one voter, as far as it can be believed, decide some strata."""
    panel = panels.calibrated
    return apply_fallbacks(
        posterior, panel.p_WM, panel.strength_WM, panel.stratum_W, fallbacks
    )
