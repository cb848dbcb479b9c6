"""Labels, and the integers that every rate of them is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows
from kompress.types import CountKey, Label, LabelCounts

# Little-endian on every machine: the bytes are compared between hosts.
FLOAT16 = np.dtype("<f2")

_LABEL = {
    "round_id": "int8",
    "text_id": "int8",
    "source": "text",
    "mean": "bytea",
    "sd": "bytea",
}
_COUNT_KEY = ("round_id", "source", "kind", "category", "rule_set", "rule_version")
_COUNT = {
    "round_id": "int8",
    "source": "text",
    "kind": "text",
    "category": "text",
    "rule_set": "text",
    "rule_version": "text",
    "num_documents": "int8",
    "num_words": "int8",
    "num_kept": "int8",
    "num_must_keep": "int8",
    "num_must_keep_kept": "int8",
}
_LOAD = text("""
    SELECT text_id, mean, sd FROM labels
    WHERE round_id = :round_id AND source = :source
      AND (CAST(:text_ids AS bigint[]) IS NULL OR text_id = ANY(:text_ids))
    ORDER BY text_id
""")


def store_labels(
    session: Session, round_id: int, source: str, labels: Mapping[int, Label]
) -> None:
    """Store a round's labels of one source, by text id; what exists stays."""
    copy_rows(
        session,
        "labels",
        _LABEL,
        [
            (
                round_id,
                text_id,
                source,
                label.mean_N.astype(FLOAT16, copy=False).tobytes(),
                label.sd_N.astype(FLOAT16, copy=False).tobytes(),
            )
            for text_id, label in labels.items()
        ],
        key=("round_id", "text_id", "source"),
    )


def load_labels(
    session: Session,
    round_id: int,
    source: str,
    text_ids: Sequence[int] | None = None,
) -> dict[int, Label]:
    """Load a round's labels of one source, in the order of text ids.

    Args:
        session: the session.
        round_id: the round.
        source: a name of `kompress.types.LabelSource`.
        text_ids: only these texts; None for all. Texts without a label are left out.
    """
    rows = session.execute(
        _LOAD,
        {
            "round_id": round_id,
            "source": source,
            "text_ids": None if text_ids is None else list(text_ids),
        },
    )
    return {
        row.text_id: Label(
            np.frombuffer(row.mean, dtype=FLOAT16), np.frombuffer(row.sd, dtype=FLOAT16)
        )
        for row in rows
    }


def add_label_counts(
    session: Session, round_id: int, counts: Mapping[CountKey, LabelCounts]
) -> None:
    """Add a shard's integers to those of its round.

    Not repeatable: call it in the transaction that ends the shard's job.
    """
    copy_rows(
        session,
        "label_counts",
        _COUNT,
        [(round_id, *astuple(key), *astuple(count)) for key, count in counts.items()],
        key=_COUNT_KEY,
        on_conflict="add",
    )
