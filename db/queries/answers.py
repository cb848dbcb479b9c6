"""Answers: what a request to a model returned, kept apart from the votes read in it.

An answer belongs to a text, a request's fingerprint and a replicate, not to a loop: who
asks the same again, in whatever round, reads it and pays nothing.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows


class AnswerKey(NamedTuple):
    """What a request is known by; its tuple's order is the order of all writes."""

    text_id: int
    request_fingerprint: str
    replicate: int


class StoredAnswer(NamedTuple):
    """What came back: the packed samples, and the tokens that were paid."""

    body: bytes
    input_tokens: int
    output_tokens: int


_ANSWER = {
    "text_id": "int8",
    "request_fingerprint": "text",
    "replicate": "int4",
    "body": "bytea",
    "input_tokens": "int4",
    "output_tokens": "int4",
}
_LOAD = text("""
    SELECT a.text_id, a.request_fingerprint, a.replicate, a.body, a.input_tokens,
           a.output_tokens
    FROM unnest(CAST(:text_ids AS bigint[]), CAST(:fingerprints AS text[]),
                CAST(:replicates AS integer[]))
         AS wanted (text_id, request_fingerprint, replicate)
    JOIN answers a USING (text_id, request_fingerprint, replicate)
""")


def load_answers(
    session: Session, keys: Collection[AnswerKey]
) -> dict[AnswerKey, StoredAnswer]:
    """Read the answers that are there."""
    if not keys:
        return {}
    return {
        AnswerKey(*row[:3]): StoredAnswer(*row[3:])
        for row in session.execute(_LOAD, as_columns(keys))
    }


def store_answers(
    session: Session, rows: Sequence[tuple[AnswerKey, StoredAnswer]]
) -> None:
    """Store answers; one that is there stays as it is."""
    copy_rows(
        session,
        "answers",
        _ANSWER,
        [(*key, *answer) for key, answer in sorted(rows, key=lambda row: row[0])],
        key=("text_id", "request_fingerprint", "replicate"),
    )


def as_columns(keys: Collection[AnswerKey]) -> dict[str, list[int] | list[str]]:
    """Lay keys out as the arrays of an `unnest`, in key order."""
    ordered = sorted(keys)
    return {
        "text_ids": [key.text_id for key in ordered],
        "fingerprints": [key.request_fingerprint for key in ordered],
        "replicates": [key.replicate for key in ordered],
    }
