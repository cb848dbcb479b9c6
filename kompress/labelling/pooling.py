"""Pool a panel by a round's rules, plain ones and those that learned in stage `fit`.

A plain rule pools calibrated votes, a learner raw ones by its stored fit. Nothing here
depends on which texts are pooled together.

W = words of all texts, M = voters
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kompress.aggregation import make_aggregator, rules_of
from kompress.aggregation.learned import Learned, Learner
from kompress.aggregation.statistics import others_voted
from kompress.aggregation.votes import Aggregator
from kompress.config import RoundConfig
from kompress.ensemble.fallback import apply_fallbacks
from kompress.errors import NotFitted
from kompress.labelling.panel import Panel, Panels, consensus_panels
from kompress.types import JSON, BoolArray, Posterior

# Where a round keeps what `choose_fallbacks` decided.
# Between a rule and the voter that it was not shown.
WITHOUT = "-without:"
# Pools in a learner's place where nothing can have been learned yet.
STAND_IN = "beta"


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
        return rule.aggregate(panel.p_WM, panel.strength_WM, panel.stratum_W)
    panel = panels.raw
    return learned.aggregate(panel.p_WM, panel.strength_WM, panel.stratum_W)


def pool_unlearned(panel: Panel, config: RoundConfig) -> Posterior:
    """Pool before anything was learned: by the round's rule, or a plain one for it.

    A learner that fits itself to one shard would make another shard's texts part of
    what it says of a text.
    """
    rule = make_aggregator(config.aggregation.rule, config.aggregation.params)
    if isinstance(rule, Learner):
        rule = make_aggregator(STAND_IN, {})
    return rule.aggregate(panel.p_WM, panel.strength_WM, panel.stratum_W)


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


def read_fits(stored: Mapping[str, JSON], config: RoundConfig) -> dict[str, Learned]:
    """Bring back what a round's rules have learned, by label.

    Args:
        stored: rows of `rule_fits`, by label; those of `label_without` among them.
        config: the round's.
    """
    return {
        key: rule.load(stored[key])
        for label, rule in learners(config).items()
        for key in stored
        if key.split(WITHOUT)[0] == label
    }


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


def pool_consensus(
    panels: Panels,
    config: RoundConfig,
    fits: Mapping[str, Learned],
    fallbacks: Mapping[int, int],
) -> Posterior:
    """Make a round's consensus: its own rule, and one voter where that is better.

    Args:
        panels: the columns of `consensus_panels`.
        config: the round's.
        fits: of `read_fits`.
        fallbacks: of `fallback_columns`: columns of the consensus by stratum.
    """
    rule = make_aggregator(config.aggregation.rule, config.aggregation.params)
    learned = learned_of(rule, config.aggregation.rule, fits)
    return _fall_back(pool(panels, rule, learned), panels, fallbacks)


def keeps(posterior: Posterior) -> BoolArray:
    """Threshold as a label is stored."""
    keep_W: BoolArray = posterior.mean_N.astype(np.float16) >= np.float16(0.5)
    return keep_W


def without_each(
    panels: Panels,
    config: RoundConfig,
    fits: Mapping[str, Learned],
    fallbacks: Mapping[int, int],
) -> tuple[BoolArray, BoolArray]:
    """Give the consensus that each voter can be judged by: the one without it.

    A rule that learns has learned without that voter, too. Strata that fall back to the
    voter have the rule's answer instead.

    Args:
        panels: all columns of the round.
        config: the round's.
        fits: of `read_fits`.
        fallbacks: of `fallback_columns`, by column of the consensus.

    Returns:
        (W, M) whether it keeps a word, and (W, M) where that can be compared: the
        voter voted, and so did somebody else who makes the consensus.
    """
    own = consensus_panels(panels, config)
    shape = own.raw.p_WM.shape
    keep_WM = np.empty(shape, dtype=np.bool_)
    for column in range(shape[1]):
        posterior = _without(own, column, config, fits, fallbacks)
        keep_WM[:, column] = keeps(posterior)
    known_WM = others_voted(own.raw.p_WM)
    if own.raw.voters == panels.raw.voters:
        return keep_WM, known_WM
    # Who has no part in the consensus is judged by all of it.
    whole_W = keeps(pool_consensus(own, config, fits, fallbacks))
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


def _without(
    panels: Panels,
    column: int,
    config: RoundConfig,
    fits: Mapping[str, Learned],
    fallbacks: Mapping[int, int],
) -> Posterior:
    """Make the consensus of all but one column."""
    name = config.aggregation.rule
    rule = make_aggregator(name, config.aggregation.params)
    learned = learned_of(rule, label_without(name, panels.raw.voters[column]), fits)
    # An abstention changes nothing, in every rule, and nobody falls back to it: it is
    # as if the column were gone.
    others = Panels(_silence(panels.raw, column), _silence(panels.calibrated, column))
    return _fall_back(pool(others, rule, learned), others, fallbacks)


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
