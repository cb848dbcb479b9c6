"""Judge voters and rules on the audit documents, against evaluation gold.

Without gold there: against must-keep, and the rows say so. One job, after all shards:
what it reads is complete, and its few floats are summed in one fixed order.

W = words of all texts, M = voters, S = strata, G = document groups
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.queries import gold, loops, quality, selections, texts, votes
from db.queries.jobs import JobRow
from db.queries.quality import RuleStatRow, VoterStatRow
from kompress.aggregation import make_aggregator, rules_of
from kompress.aggregation.statistics import (
    code_histogram,
    confusion,
    expected_calibration_error,
    paired_interval,
    rates,
)
from kompress.config import LoopConfig, RoundConfig, parse_config
from kompress.types import (
    ABSTAIN,
    STRATA,
    BoolArray,
    CodeArray,
    encode_votes,
)
from worker.counting import ALL
from worker.heartbeat import Heartbeat
from worker.panel import (
    Panel,
    consensus_of,
    make_panel,
    read_calibration,
    take_columns,
)
from worker.runtime import Runtime
from worker.stage import Stage
from worker.stages.aggregate import stat_rows

NUM_BOOTSTRAPS = 1_000


@dataclass(frozen=True, slots=True)
class Inputs:
    """The audit documents' votes and truth, and the shards' integers."""

    config: RoundConfig
    seed: int
    panel: Panel
    group_of: dict[int, str]
    gold_codes: dict[int, CodeArray]
    # (voter, stratum, truth) -> keep and drop code histograms of the whole round.
    histograms: dict[tuple[str, str, str], tuple[list[int], list[int]]]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What was found."""

    voters: list[VoterStatRow]
    rules: list[RuleStatRow]
    weights: dict[tuple[str, str], float]
    ece: dict[tuple[str, str, str], float]


@dataclass(frozen=True, slots=True)
class Truth:
    """What is right, word by word."""

    name: str
    keep_W: BoolArray
    known_W: BoolArray


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
    return Inputs(
        config=config,
        seed=parse_config(LoopConfig, held.loop_config).seed,
        panel=make_panel(
            config.panel(),
            votes.load_round_votes(session, job.round_id, text_ids),
            texts.load_strata(session, text_ids, "farm"),
            read_calibration(held.decisions),
        ),
        group_of={row.text_id: row.group_id for row in rows},
        gold_codes={text_id: found[text_id][0].codes_N for text_id in found},
        histograms=quality.load_histograms(session, job.round_id),
    )


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> Outputs:
    """Score every voter and rule, and each rule against its best voter."""
    panel = inputs.panel
    truth = _truth(inputs)
    keeps = {
        voter: np.nan_to_num(panel.p_WM[:, m]) >= 0.5
        for m, voter in enumerate(panel.voters)
    }
    cells = {
        voter: _by_group(inputs, keep_W, truth, voted_W=~np.isnan(panel.p_WM[:, m]))
        for m, (voter, keep_W) in enumerate(keeps.items())
    }
    voter_rows: list[VoterStatRow] = []
    if truth.name == "gold":
        for m, voter in enumerate(panel.voters):
            codes_W = encode_votes(panel.p_WM[:, m])
            known_W = truth.known_W & (codes_W != ABSTAIN)
            codes_S2C = code_histogram(codes_W, truth.keep_W, panel.stratum_W, known_W)
            cells_S4 = cells[voter].sum(axis=0)
            voter_rows += stat_rows(voter, "gold", cells_S4, codes_S2C)
    beside = _measured_beside(inputs)
    rules = rules_of(inputs.config.aggregation, len(beside.voters))
    rule_rows: list[RuleStatRow] = []
    weights: dict[tuple[str, str], float] = {}
    for done, (label, (name, params)) in enumerate(rules.items()):
        heartbeat.progress(done, len(rules))
        is_own = label == inputs.config.aggregation.rule
        used = consensus_of(panel, inputs.config) if is_own else beside
        posterior = make_aggregator(name, params).aggregate(
            used.p_WM, used.strength_WM, used.stratum_W
        )
        keep_W = posterior.mean_N.astype(np.float16) >= np.float16(0.5)
        own = _by_group(inputs, keep_W, truth, voted_W=_heard(used))
        rule_rows += _rule_rows(label, truth.name, own, cells, inputs.seed)
        if is_own:
            weights = _weights(used, posterior.weight_SM)
    return Outputs(voter_rows, rule_rows, weights, _calibration(inputs, voter_rows))


def store(session: Session, job: JobRow, out: Outputs) -> None:
    """Write the verdicts."""
    quality.add_voter_stats(session, job.round_id, out.voters)
    quality.store_rule_stats(session, job.round_id, out.rules)
    quality.set_voter_fits(session, job.round_id, out.weights, out.ece)


STAGE = Stage(load=load, compute=compute, store=store)


def _measured_beside(inputs: Inputs) -> Panel:
    """Give the votes that the rules beside the round's own are measured on.

    Under the protocol `pairwise` they are the voters' words without the winning
    reference's: what the round would have got without the comparisons.
    """
    names = [voter.name for voter in inputs.config.voters]
    in_pairs = inputs.config.protocol == "pairwise"
    return take_columns(inputs.panel, names) if in_pairs else inputs.panel


def _heard(panel: Panel) -> BoolArray:
    """Mark the words of texts on which anybody said anything: the others get no label.

    Returns:
        (W,) flags.
    """
    parts = [
        np.full(len(p_NM), not np.isnan(p_NM).all())
        for p_NM in panel.split(panel.p_WM).values()
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.bool_)


def _truth(inputs: Inputs) -> Truth:
    """Take gold where the audit documents have any, else must-keep."""
    panel = inputs.panel
    if not inputs.gold_codes:
        must_W = panel.stratum_W > 0
        return Truth("must_keep", must_W, must_W)
    unknown = {
        text_id: np.full(p_NM.shape[0], ABSTAIN, dtype=np.uint8)
        for text_id, p_NM in panel.split(panel.p_WM).items()
    }
    parts = [
        inputs.gold_codes.get(text_id, unknown[text_id]) for text_id in panel.text_ids
    ]
    codes_W = np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint8)
    return Truth("gold", codes_W >= 127, codes_W != ABSTAIN)


def _by_group(
    inputs: Inputs,
    keep_W: BoolArray,
    truth: Truth,
    *,
    voted_W: BoolArray | None = None,
) -> NDArray[np.int64]:
    """Count (G, S, 4) cells by document group, groups in sorted order."""
    panel = inputs.panel
    known_W = truth.known_W if voted_W is None else truth.known_W & voted_W
    groups = sorted({inputs.group_of[text_id] for text_id in panel.text_ids})
    place = {group: number for number, group in enumerate(groups)}
    cells = np.zeros((len(groups), len(STRATA), 4), dtype=np.int64)
    keep, right = panel.split(keep_W), panel.split(truth.keep_W)
    known, stratum = panel.split(known_W), panel.split(panel.stratum_W)
    for text_id in panel.text_ids:
        cells[place[inputs.group_of[text_id]]] += confusion(
            keep[text_id], right[text_id], stratum[text_id], known[text_id]
        )
    return cells


def _rule_rows(
    rule: str,
    truth: str,
    own_GS4: NDArray[np.int64],
    voters: dict[str, NDArray[np.int64]],
    seed: int,
) -> list[RuleStatRow]:
    """Put a rule beside its best voter in each stratum and in all."""
    rows = []
    strata = [(ALL, slice(None))]
    strata += [(name, slice(s, s + 1)) for s, name in enumerate(STRATA)]
    for number, (stratum, cut) in enumerate(strata):
        counts_4 = own_GS4[:, cut].sum(axis=(0, 1))
        if not counts_4.sum():
            continue
        values = {
            voter: _value(truth, cells[:, cut].sum(axis=(0, 1)))
            for voter, cells in voters.items()
        }
        known = {voter: v for voter, v in values.items() if v is not None}
        # The earlier voter wins a tie: the order of the config.
        best = max(known, key=lambda voter: known[voter]) if known else ""
        interval = None
        if best and truth == "gold":
            rng = np.random.default_rng([seed, number])
            interval = paired_interval(
                own_GS4[:, cut], voters[best][:, cut], rng, NUM_BOOTSTRAPS
            )
        kk, kd, dk, dd = (int(count) for count in counts_4)
        rows.append(
            RuleStatRow(
                rule=rule,
                stratum=stratum,
                truth=truth,
                num_keep_kept=kk,
                num_keep_dropped=kd,
                num_drop_kept=dk,
                num_drop_dropped=dd,
                best_voter=best,
                best_value=known.get(best),
                difference_low=interval[0] if interval else None,
                difference_high=interval[1] if interval else None,
            )
        )
    return rows


def _value(truth: str, counts_4: NDArray[np.int64]) -> float | None:
    """Give what voters are ranked by: balanced accuracy, or must-keep recall."""
    found = rates(counts_4)
    return found.balanced_accuracy if truth == "gold" else found.recall


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
