"""Turn the votes on one shard into labels, and count what came out.

Everything stored here is an integer or a float16 of one text alone, so the result does
not depend on how documents were cut into shards.

W = words of all texts, M = voters, S = strata
"""

from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from db.queries import fits, labels, loops, quality, selections, texts, votes
from db.queries.corpora import DocumentRow
from db.queries.jobs import JobRow
from kompress.aggregation import make_aggregator
from kompress.aggregation.learned import Learned
from kompress.aggregation.statistics import code_histogram, confusion
from kompress.config import RoundConfig, parse_config
from kompress.ensemble.fallback import fallback_columns
from kompress.labelling.counting import ALL, LabelCounter
from kompress.labelling.panel import (
    Panel,
    Panels,
    consensus_panels,
    consensus_voters,
    make_labels,
    make_panels,
)
from kompress.labelling.pooling import pool_consensus, read_fits, without_each
from kompress.types import (
    ABSTAIN,
    RULE_SETS,
    STRATA,
    BoolArray,
    CodeArray,
    CountKey,
    Label,
    LabelCounts,
    VoterStatRow,
    encode_votes,
)
from worker.heartbeat import Heartbeat
from worker.runtime import Runtime
from worker.stage import Stage


@dataclass(frozen=True, slots=True)
class Inputs:
    """A shard's votes and what is known of its texts."""

    config: RoundConfig
    documents: list[DocumentRow]
    train_ids: set[int]
    codes: dict[str, dict[int, CodeArray]]
    panels: Panels
    # What the rules have learned, and who decides some strata alone.
    fits: dict[str, Learned]
    fallbacks: dict[int, int]

    @property
    def panel(self) -> Panel:
        """The votes as calibrated: what plain rules, masks and counts read."""
        return self.panels.calibrated


@dataclass(frozen=True, slots=True)
class Outputs:
    """Labels by source, and the integers made of them."""

    labels: dict[str, dict[int, Label]]
    counts: dict[CountKey, LabelCounts]
    stats: list[VoterStatRow]
    # Must-keep words of the consensus by document: total and kept.
    must_keep: dict[int, tuple[int, int]]


def load(session: Session, job: JobRow) -> Inputs:
    """Read the shard's votes and strata."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    documents = selections.shard_documents(session, job.round_id, 1, job.shard)
    chosen = selections.load_shard_selections(session, job.round_id, 1, job.shard)
    text_ids = sorted(document.text_id for document in documents)
    codes = {
        rule_set: texts.load_strata(session, text_ids, rule_set)
        for rule_set in RULE_SETS
    }
    return Inputs(
        config=config,
        documents=documents,
        train_ids={row.text_id for row in chosen if row.role == "train"},
        codes=codes,
        panels=make_panels(
            config.panel(),
            votes.load_round_votes(session, job.round_id, text_ids),
            codes["farm"],
            held.decisions.calibration,
        ),
        fits=read_fits(fits.load_fits(session, job.round_id), config),
        fallbacks=fallback_columns(held.decisions.fallback, consensus_voters(config)),
    )


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> Outputs:
    """Aggregate, correct if asked, count."""
    heartbeat.progress(0, 2)
    panel, config = inputs.panel, inputs.config
    panels = consensus_panels(inputs.panels, config)
    own = panels.calibrated
    # Where all abstained, such as on texts without a reference, nothing is known: the
    # prior alone would keep every word.
    heard = {t for t, p_NM in own.split(own.p_WM).items() if not np.isnan(p_NM).all()}
    posterior = pool_consensus(panels, config, inputs.fits, inputs.fallbacks)
    labelled = make_labels(own, posterior)
    consensus = {text_id: labelled[text_id] for text_id in labelled if text_id in heard}
    made = {"consensus": consensus}
    wanted = config.label_sources()
    if wanted & {"silver", "corrected"}:
        made["silver"] = _silver(panel)
    if "corrected" in wanted:
        made["corrected"] = {
            text_id: correct(label, inputs.codes["farm"][text_id])
            for text_id, label in made["silver"].items()
        }
    heartbeat.progress(1, 2)
    must_keep = {}
    for document in inputs.documents:
        label = consensus.get(document.text_id)
        if label is not None and document.text_id in inputs.train_ids:
            caught_N = inputs.codes["farm"][document.text_id] > 0
            kept = int((caught_N & label.keep_N).sum())
            must_keep[document.id] = (int(caught_N.sum()), kept)
    return Outputs(
        labels=made,
        counts=_count(inputs, made),
        stats=_judge_without_gold(inputs),
        must_keep=must_keep,
    )


def store(session: Session, job: JobRow, out: Outputs) -> None:
    """Write labels, then add to the round's integers."""
    for source in sorted(out.labels):
        labels.store_labels(session, job.round_id, source, out.labels[source])
    labels.add_label_counts(session, job.round_id, out.counts)
    quality.add_voter_stats(session, job.round_id, out.stats)
    quality.set_selection_counts(session, job.round_id, out.must_keep)


STAGE = Stage(load=load, compute=compute, store=store)


def correct(label: Label, codes_N: CodeArray | BoolArray) -> Label:
    """Force must-keep words, those whose code is not 0, to be kept, with certainty.

    Source: the label correction of docs/references.md, "The published line".
    """
    caught_N = codes_N != 0
    return Label(
        mean_N=np.where(caught_N, np.float16(1), label.mean_N).astype(np.float16),
        sd_N=np.where(caught_N, np.float16(0), label.sd_N).astype(np.float16),
    )


def _silver(panel: Panel) -> dict[int, Label]:
    """Take one voter at its word: of each text, the first that said anything about it.

    With one summariser these are its labels; with more, such as references of several
    origins, the order of the voters decides whose count.
    """
    silent_WM = np.isnan(panel.p_WM)
    num_words = len(panel.p_WM)
    p_W1 = np.full((num_words, 1), np.nan)
    strength_W1 = np.zeros((num_words, 1))
    heard = []
    for text_id, rows in panel.split(np.arange(num_words)).items():
        spoke = ~silent_WM[rows].all(axis=0)
        if spoke.any():
            first = int(spoke.argmax())
            p_W1[rows, 0] = panel.p_WM[rows, first]
            strength_W1[rows, 0] = panel.strength_WM[rows, first]
            heard.append(text_id)
    rule = make_aggregator("majority", {})
    posterior = rule.aggregate(p_W1, strength_W1, panel.stratum_W)
    made = make_labels(panel, posterior)
    return {text_id: made[text_id] for text_id in heard}


def _count(
    inputs: Inputs, made: dict[str, dict[int, Label]]
) -> dict[CountKey, LabelCounts]:
    """Count every voter and every source over all documents of the shard."""
    counter = LabelCounter()
    p_by_text = inputs.panel.split(inputs.panel.p_WM)
    for document in inputs.documents:
        text_id = document.text_id
        if text_id not in p_by_text:
            continue
        codes = {rule_set: inputs.codes[rule_set][text_id] for rule_set in RULE_SETS}
        for column, voter in enumerate(inputs.panel.voters):
            p_N = p_by_text[text_id][:, column]
            known_N = ~np.isnan(p_N)
            keep_N = np.nan_to_num(p_N) >= 0.5
            counter.add(voter, document.kind, keep_N, codes, known_N=known_N)
        for source, by_text in made.items():
            if text_id in by_text:
                counter.add(source, document.kind, by_text[text_id].keep_N, codes)
    return counter.rows()


def _judge_without_gold(inputs: Inputs) -> list[VoterStatRow]:
    """Compare each voter with the consensus of the others, and with must-keep."""
    panel = inputs.panel
    others_WM, comparable_WM = without_each(
        inputs.panels, inputs.config, inputs.fits, inputs.fallbacks
    )
    must_W = panel.stratum_W > 0
    rows: list[VoterStatRow] = []
    for column, voter in enumerate(panel.voters):
        p_W = panel.p_WM[:, column]
        codes_W = encode_votes(p_W)
        keep_W = np.nan_to_num(p_W) >= 0.5
        for truth, truth_W, known_W in (
            ("leave_one_out", others_WM[:, column], comparable_WM[:, column]),
            ("must_keep", must_W, must_W & (codes_W != ABSTAIN)),
        ):
            if not known_W.any():
                continue
            cells_S4 = confusion(keep_W, truth_W, panel.stratum_W, known_W)
            codes_S2C = code_histogram(codes_W, truth_W, panel.stratum_W, known_W)
            rows += stat_rows(voter, truth, cells_S4, codes_S2C)
    return rows


def stat_rows(
    voter: str,
    truth: str,
    cells_S4: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    codes_S2C: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
) -> list[VoterStatRow]:
    """Lay out one voter's counts by stratum and for `all`.

    Args:
        voter: its name.
        truth: what it was compared with.
        cells_S4: (S, 4) TP, FN, FP, TN.
        codes_S2C: (S, 2, 256) vote codes by truth, drop then keep.
    """
    rows = []
    strata = [(ALL, cells_S4.sum(axis=0), codes_S2C.sum(axis=0))]
    strata += [(name, cells_S4[s], codes_S2C[s]) for s, name in enumerate(STRATA)]
    for stratum, cells_4, codes_2C in strata:
        if not cells_4.sum():
            continue
        kk, kd, dk, dd = (int(cell) for cell in cells_4)
        compared = truth == "leave_one_out"
        rows.append(
            VoterStatRow(
                voter=voter,
                stratum=stratum,
                truth=truth,
                num_keep_kept=kk,
                num_keep_dropped=kd,
                num_drop_kept=dk,
                num_drop_dropped=dd,
                num_agreed=kk + dd if compared else 0,
                num_compared=kk + kd + dk + dd if compared else 0,
                keep_codes=codes_2C[1].tolist(),
                drop_codes=codes_2C[0].tolist(),
            )
        )
    return rows
