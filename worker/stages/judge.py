"""Judge voters and rules on the audit documents, against evaluation gold.

Without gold there: by must-keep recall at equal keep_rate, and the rows say so. One
job, after all shards: what it reads is complete, and its few floats are summed in one
fixed order. No rule is fitted here, least of all to what it is judged by.

W = words of all texts, M = voters, S = strata
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.queries import fits, gold, loops, quality, selections, texts, votes
from db.queries.jobs import JobRow
from db.queries.quality import RuleStatRow, VoterStatRow
from db.rule_labels import label_fallback
from kompress.aggregation import make_aggregator, rules_of
from kompress.aggregation.fallback import fallback_columns
from kompress.aggregation.learned import Learned
from kompress.aggregation.statistics import code_histogram, expected_calibration_error
from kompress.config import LoopConfig, RoundConfig, parse_config
from kompress.types import ABSTAIN, STRATA, CodeArray, encode_votes
from worker.counting import ALL
from worker.fitting import read_rates
from worker.heartbeat import Heartbeat
from worker.panel import (
    Panel,
    Panels,
    consensus_panels,
    make_panels,
    read_calibration,
    take_both,
)
from worker.pooling import (
    FALLBACK,
    learned_of,
    measured_beside,
    pool,
    pool_consensus,
    read_fits,
)
from worker.runtime import Runtime
from worker.stage import Stage
from worker.stages.aggregate import stat_rows
from worker.verdicts import (
    GOLD,
    Decided,
    Truth,
    count_beside,
    count_groups,
    find_truth,
    keep_equally,
    of_rule,
    of_voter,
    rule_rows,
)


@dataclass(frozen=True, slots=True)
class Inputs:
    """The audit documents' votes and truth, what was learned, the shards' integers."""

    config: RoundConfig
    seed: int
    panels: Panels
    group_of: dict[int, str]
    gold_codes: dict[int, CodeArray]
    fits: dict[str, Learned]
    # Columns of the consensus by the stratum that they decide alone.
    fallbacks: dict[int, int]
    # (voter, stratum, truth) -> keep and drop code histograms of the whole round.
    histograms: dict[tuple[str, str, str], tuple[list[int], list[int]]]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What was found."""

    voters: list[VoterStatRow]
    rules: list[RuleStatRow]
    weights: dict[tuple[str, str], float]
    ece: dict[tuple[str, str, str], float]


def load(session: Session, job: JobRow) -> Inputs:
    """Read votes and evaluation gold of the audit documents."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    rows = [
        row
        for row in selections.load_selections(session, job.round_id)
        if row.role == "audit"
    ]
    text_ids = sorted(row.text_id for row in rows)
    found = gold.load_gold(session, text_ids, use="evaluate")
    panels = make_panels(
        config.panel(),
        votes.load_round_votes(session, job.round_id, text_ids),
        texts.load_strata(session, text_ids, "farm"),
        read_calibration(held.decisions),
    )
    own = consensus_panels(panels, config)
    return Inputs(
        config=config,
        seed=parse_config(LoopConfig, held.loop_config).seed,
        panels=panels,
        group_of={row.text_id: row.group_id for row in rows},
        gold_codes={text_id: found[text_id][0].codes_N for text_id in found},
        fits=read_fits(fits.load_fits(session, job.round_id), config),
        fallbacks=fallback_columns(held.decisions.get(FALLBACK, {}), own.raw.voters),
        histograms=quality.load_histograms(session, job.round_id),
    )


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> Outputs:
    """Score every voter and rule, and each rule against its best voter."""
    panel = inputs.panels.calibrated
    truth = find_truth(panel, inputs.gold_codes)
    own = consensus_panels(inputs.panels, inputs.config)
    posterior = pool_consensus(own, inputs.config, inputs.fits, inputs.fallbacks)
    chosen = of_rule(own.raw, posterior.mean_N)
    voters = {
        voter: of_voter(panel, column) for column, voter in enumerate(panel.voters)
    }
    rules = _pool_rules(inputs, heartbeat)
    if inputs.fallbacks:
        rules[label_fallback(inputs.config.aggregation.rule)] = chosen
    if truth.name != GOLD:
        voters = {v: keep_equally(panel, found, chosen) for v, found in voters.items()}
        rules = {r: keep_equally(panel, found, chosen) for r, found in rules.items()}
    cells = {
        voter: count_groups(panel, inputs.group_of, found, truth)
        for voter, found in voters.items()
    }
    rows = rule_rows(
        truth.name,
        {
            label: count_groups(panel, inputs.group_of, found, truth)
            for label, found in rules.items()
        },
        cells,
        {
            label: count_beside(
                panel, inputs.group_of, found, list(voters.values()), truth
            )
            for label, found in rules.items()
        },
        inputs.seed,
    )
    voter_rows = _voter_rows(panel, truth, cells) if truth.name == GOLD else []
    weights = _weights(own.raw, posterior.weight_SM)
    return Outputs(voter_rows, rows, weights, _calibration(inputs, voter_rows))


def store(session: Session, job: JobRow, out: Outputs) -> None:
    """Write the verdicts."""
    quality.add_voter_stats(session, job.round_id, out.voters)
    quality.store_rule_stats(session, job.round_id, out.rules)
    quality.set_voter_fits(session, job.round_id, out.weights, out.ece)
    # Last: they stand beside the counts of every truth.
    decided = loops.read_round(session, job.round_id).decisions
    fits.set_fitted_rates(session, job.round_id, read_rates(decided))


STAGE = Stage(load=load, compute=compute, store=store)


def _pool_rules(inputs: Inputs, heartbeat: Heartbeat) -> dict[str, Decided]:
    """Pool the votes by each of the round's rules, without any fallback."""
    config = inputs.config
    beside = take_both(inputs.panels, measured_beside(config))
    own = consensus_panels(inputs.panels, config)
    rules = rules_of(config.aggregation, len(beside.raw.voters))
    found = {}
    for done, (label, (name, params)) in enumerate(rules.items()):
        heartbeat.progress(done, len(rules))
        used = own if label == config.aggregation.rule else beside
        rule = make_aggregator(name, params)
        posterior = pool(used, rule, learned_of(rule, label, inputs.fits))
        found[label] = of_rule(used.raw, posterior.mean_N)
    return found


def _voter_rows(
    panel: Panel, truth: Truth, cells: dict[str, NDArray[np.int64]]
) -> list[VoterStatRow]:
    """Lay out each voter's counts and vote codes against gold."""
    rows: list[VoterStatRow] = []
    for column, voter in enumerate(panel.voters):
        codes_W = encode_votes(panel.p_WM[:, column])
        known_W = truth.known_W & (codes_W != ABSTAIN)
        codes_S2C = code_histogram(codes_W, truth.keep_W, panel.stratum_W, known_W)
        rows += stat_rows(voter, GOLD, cells[voter].sum(axis=0), codes_S2C)
    return rows


def _weights(
    panel: Panel, weight_SM: NDArray[np.float64]
) -> dict[tuple[str, str], float]:
    """Give each voter's weight by stratum, and over all words."""
    words_S = np.bincount(panel.stratum_W, minlength=len(STRATA))
    found: dict[tuple[str, str], float] = {}
    for m, voter in enumerate(panel.voters):
        for s, stratum in enumerate(STRATA):
            if words_S[s]:
                found[voter, stratum] = float(weight_SM[s, m])
        if words_S.sum():
            mean = float((weight_SM[:, m] * words_S).sum() / words_S.sum())
            found[voter, ALL] = mean
    return found


def _calibration(
    inputs: Inputs, gold_rows: list[VoterStatRow]
) -> dict[tuple[str, str, str], float]:
    """Give each voter's expected calibration error against each truth."""
    histograms = dict(inputs.histograms)
    for row in gold_rows:
        key = (row.voter, row.stratum, row.truth)
        histograms[key] = (row.keep_codes, row.drop_codes)
    found = {}
    for (voter, stratum, truth), (keep, drop) in sorted(histograms.items()):
        error = expected_calibration_error(np.array([drop, keep]))
        # Every must-keep word counts as kept: calibration against that says nothing.
        if error is not None and truth != "must_keep":
            found[voter, stratum, truth] = error
    return found
