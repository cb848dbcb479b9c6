"""Fit what turns votes into evidence: temperature and strength of each teacher.

Against calibration gold of the train split, whatever the round selected of it and the
teacher voted on. Counts are integers and merge in any order; no gold, no change.

W = words of some texts, C = byte codes
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.queries import gold, loops, selections, texts, votes
from db.queries.jobs import JobRow
from db.queries.votes import VoteRow
from kompress.aggregation.calibration import Calibration, fit_calibration
from kompress.aggregation.statistics import NUM_CELLS, code_histogram
from kompress.config import RoundConfig, parse_config
from kompress.types import ABSTAIN, CodeArray, encode_votes
from worker.heartbeat import Heartbeat
from worker.panel import DECISION, Panel, make_panel
from worker.runtime import Runtime
from worker.stage import Stage
from worker.voters import teachers

# Votes and strata of so many texts are held at once.
BATCH_TEXTS = 500


@dataclass(frozen=True, slots=True)
class Inputs:
    """(2, 256) counts of each teacher's codes by truth, drop then keep."""

    counts: dict[str, NDArray[np.int64]]


def load(session: Session, job: JobRow) -> Inputs:
    """Count the round's votes against its calibration gold, some texts at a time."""
    held = loops.read_round(session, job.round_id)
    names = teachers(parse_config(RoundConfig, held.config))
    counts = {voter: np.zeros((2, NUM_CELLS), dtype=np.int64) for voter in names}
    if not names:
        return Inputs(counts)
    train = selections.load_selections(session, job.round_id)
    text_ids = sorted(row.text_id for row in train if row.role == "train")
    known = gold.load_gold(session, text_ids, use="calibrate")
    for start in range(0, len(known), BATCH_TEXTS):
        some = sorted(known)[start : start + BATCH_TEXTS]
        found = votes.load_round_votes(session, job.round_id, some)
        # A vote of several samples says how many they are: it needs no strength.
        for voter in sampled_voters(found):
            counts.pop(voter, None)
        panel = make_panel(
            tuple(counts), found, texts.load_strata(session, some, "farm")
        )
        truth = {text_id: known[text_id][0].codes_N for text_id in panel.text_ids}
        for voter, more_2C in count_codes(panel, truth).items():
            counts[voter] += more_2C
    return Inputs(counts)


def compute(
    runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat
) -> dict[str, Calibration]:
    """Fit each teacher."""
    found = {}
    for done, (voter, counts_2C) in enumerate(inputs.counts.items()):
        heartbeat.progress(done, len(inputs.counts))
        found[voter] = fit_calibration(counts_2C)
    return found


def store(session: Session, job: JobRow, out: dict[str, Calibration]) -> None:
    """Decide for the round; a round without teachers has nothing to decide."""
    if out:
        loops.record_decision(session, job.round_id, DECISION, as_decision(out))


STAGE = Stage(load=load, compute=compute, store=store)


def sampled_voters(found: Mapping[int, Sequence[VoteRow]]) -> set[str]:
    """Name the voters of whose votes one pools several samples."""
    return {row.voter for rows in found.values() for row in rows if row.num_samples > 1}


def count_codes(
    panel: Panel, gold_codes: Mapping[int, CodeArray]
) -> dict[str, NDArray[np.int64]]:
    """Count each voter's codes by truth.

    Args:
        panel: votes as they were cast, replicates pooled.
        gold_codes: by text, 254 keep, 0 drop, 255 unknown.

    Returns:
        (2, 256) counts by voter, drop then keep.
    """
    parts = [gold_codes[text_id] for text_id in panel.text_ids]
    truth_W = np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint8)
    counts = {}
    for column, voter in enumerate(panel.voters):
        codes_W = encode_votes(panel.p_WM[:, column])
        known_W = (truth_W != ABSTAIN) & (codes_W != ABSTAIN)
        counts_S2C = code_histogram(codes_W, truth_W >= 127, panel.stratum_W, known_W)
        counts[voter] = counts_S2C.sum(axis=0)
    return counts


def as_decision(found: Mapping[str, Calibration]) -> dict[str, dict[str, Any]]:
    """Lay out calibrations for `rounds.decisions`."""
    return {
        voter: {
            "temperature": own.temperature,
            "strength": own.strength,
            "num_words": own.num_words,
            "gold": own.has_gold,
        }
        for voter, own in sorted(found.items())
    }
