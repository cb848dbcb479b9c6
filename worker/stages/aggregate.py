"""Turn the votes on one shard into labels, and count what came out.

Everything stored here is an integer or a float16 of one text alone, so the result does
not depend on how documents were cut into shards.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from db.queries import fits, labels, loops, quality, selections, texts, votes
from db.queries.corpora import DocumentRow
from db.queries.jobs import JobRow
from kompress.config import RoundConfig, parse_config
from kompress.labelling.consensus import FittedConsensus, label_consensus, read_fitted
from kompress.labelling.counting import count_caught, count_labels
from kompress.labelling.label_sources import correct, label_silver
from kompress.labelling.panel import Panels, make_panels
from kompress.labelling.voter_stats import judge_without_gold
from kompress.types import (
    RULE_SETS,
    CodeArray,
    CountKey,
    Label,
    LabelCounts,
    VoterStatRow,
)
from worker.evidence import load_boundaries
from worker.heartbeat import Heartbeat
from worker.runtime import Runtime
from worker.stage import Stage


@dataclass(frozen=True, slots=True)
class AggregateInputs:
    """A shard's votes and what is known of its texts.

    Attributes:
        documents: of the shard.
        train_ids: the texts of those that may be trained on.
        codes: must-keep codes by rule set and text.
        versions: of the rules that gave them, likewise.
        panels: the votes.
        fitted: what the consensus is made by.
    """

    documents: list[DocumentRow]
    train_ids: set[int]
    codes: dict[str, dict[int, CodeArray]]
    versions: dict[str, dict[int, str]]
    panels: Panels
    fitted: FittedConsensus


@dataclass(frozen=True, slots=True)
class AggregateOutputs:
    """Labels by source, and the integers made of them.

    Attributes:
        labels: by source and text.
        counts: of voters and sources.
        stats: of voters, against must-keep and each other.
        must_keep: must-keep words of the consensus by document: total and kept.
    """

    labels: dict[str, dict[int, Label]]
    counts: dict[CountKey, LabelCounts]
    stats: list[VoterStatRow]
    must_keep: dict[int, tuple[int, int]]


def load(session: Session, job: JobRow) -> AggregateInputs:
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
    return AggregateInputs(
        documents=documents,
        train_ids={row.text_id for row in chosen if row.role == "train"},
        codes=codes,
        versions=texts.load_rule_versions(session, text_ids),
        panels=make_panels(
            config.panel(),
            votes.load_round_votes(session, job.round_id, text_ids),
            codes["farm"],
            held.decisions.calibration,
            load_boundaries(session, text_ids),
        ),
        fitted=read_fitted(
            config,
            fits.load_fits(session, job.round_id),
            held.decisions.fallback,
        ),
    )


def compute(
    runtime: Runtime, inputs: AggregateInputs, heartbeat: Heartbeat
) -> AggregateOutputs:
    """Aggregate, correct if asked, count."""
    heartbeat.progress(0, 2)
    panel, codes = inputs.panels.calibrated, inputs.codes["farm"]
    consensus = label_consensus(inputs.panels, inputs.fitted)
    made = {"consensus": consensus}
    wanted = inputs.fitted.config.label_sources()
    if wanted & {"silver", "corrected"}:
        made["silver"] = label_silver(panel)
    if "corrected" in wanted:
        made["corrected"] = {
            text_id: correct(label, codes[text_id])
            for text_id, label in made["silver"].items()
        }
    heartbeat.progress(1, 2)
    kind_of = {document.text_id: document.kind for document in inputs.documents}
    return AggregateOutputs(
        labels=made,
        counts=count_labels(panel, made, kind_of, inputs.codes, inputs.versions),
        stats=judge_without_gold(inputs.panels, inputs.fitted),
        must_keep={
            document.id: count_caught(
                consensus[document.text_id], codes[document.text_id]
            )
            for document in inputs.documents
            if document.text_id in consensus and document.text_id in inputs.train_ids
        },
    )


def store(session: Session, job: JobRow, out: AggregateOutputs) -> None:
    """Write labels, then add to the round's integers."""
    for source in sorted(out.labels):
        labels.store_labels(session, job.round_id, source, out.labels[source])
    labels.add_label_counts(session, job.round_id, out.counts)
    quality.add_voter_stats(session, job.round_id, out.stats)
    quality.set_selection_counts(session, job.round_id, out.must_keep)


STAGE = Stage(load=load, compute=compute, store=store)
