"""Candidate references: immutable rows, one for each text, origin and replicate."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows
from db.errors import NotFound
from kompress.types import BoolArray, Candidate, CandidateRow, CandidateVerdict


@dataclass(frozen=True, slots=True)
class OriginSummary:
    """What one origin wrote about the texts of a corpus.

    Attributes:
        num_references: how many references there are.
        digest: SHA-256, hex, of all of them and their texts; another reference gives
            another digest, another order of uploads does not.
    """

    num_references: int
    digest: str


_CANDIDATE = {
    "text_id": "int8",
    "origin": "text",
    "replicate": "int4",
    "reference": "text",
    "keep": "bytea",
}
_KEY = ("text_id", "origin", "replicate")
# Rows of one round trip, from a cursor of the server: texts of 8 MB would fill memory.
_STREAM = {"yield_per": 100}

_LOAD = text("""
    SELECT c.text_id, c.replicate, c.reference, c.keep, t.num_words
    FROM candidates c JOIN texts t ON t.id = c.text_id
    WHERE c.origin = :origin AND c.text_id = ANY(:text_ids)
    ORDER BY c.text_id, c.replicate
""")
_LIST = text("""
    SELECT c.id, c.text_id, c.origin, c.replicate, c.reference, c.keep, c.quality,
           c.quality_se, c.is_sound, t.num_words
    FROM candidates c JOIN texts t ON t.id = c.text_id
    WHERE c.text_id = ANY(:text_ids)
    ORDER BY c.text_id, c.origin COLLATE "C", c.replicate
""")
# In the order of ids, so that two rounds that judge the same references cannot
# deadlock.
_LOCK = text("""
    SELECT id FROM candidates WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE
""")
_JUDGE = text("""
    UPDATE candidates c
    SET quality = given.quality, quality_se = given.quality_se,
        is_sound = given.is_sound
    FROM unnest(CAST(:ids AS int8[]), CAST(:quality AS float8[]),
                CAST(:quality_se AS float8[]), CAST(:is_sound AS bool[]))
         AS given (id, quality, quality_se, is_sound)
    WHERE c.id = given.id
""")
_HASHES = text("""
    SELECT t.sha256, c.replicate, sha256(convert_to(c.reference, 'UTF8')) AS digest
    FROM candidates c
    JOIN documents d ON d.text_id = c.text_id
    JOIN texts t ON t.id = c.text_id
    WHERE c.origin = :origin AND d.corpus_id = :corpus_id AND d.seq <= :max_seq
    ORDER BY t.sha256, c.replicate
""")
_ORIGINS = text("""
    SELECT c.origin, count(*) AS num_references FROM candidates c
    JOIN documents d ON d.text_id = c.text_id
    WHERE d.corpus_id = :corpus_id
    GROUP BY c.origin ORDER BY c.origin
""")
_PAIRS = text("""
    SELECT d.kind, t.content, c.reference FROM candidates c
    JOIN documents d ON d.text_id = c.text_id
    JOIN texts t ON t.id = c.text_id
    WHERE d.corpus_id = :corpus_id AND c.origin = :origin
    ORDER BY d.seq, c.replicate
""")


def store_candidates(session: Session, rows: Sequence[tuple[int, Candidate]]) -> int:
    """Store references; what exists stays as it is.

    Args:
        session: the session.
        rows: (text id, candidate) each; of several with one text, origin and replicate
            the first counts.

    Returns:
        How many are new.
    """
    first: dict[tuple[int, str, int], Candidate] = {}
    for text_id, item in rows:
        first.setdefault((text_id, item.origin, item.replicate), item)
    return copy_rows(
        session,
        "candidates",
        _CANDIDATE,
        [
            (
                *key,
                item.reference,
                None if item.keep_N is None else np.packbits(item.keep_N).tobytes(),
            )
            for key, item in first.items()
        ],
        key=_KEY,
    )


def load_candidates(
    session: Session, text_ids: Sequence[int], origin: str
) -> dict[tuple[int, int], Candidate]:
    """Load an origin's references by (text id, replicate).

    Texts without one are left out.
    """
    values = {"text_ids": list(text_ids), "origin": origin}
    return {
        (row.text_id, row.replicate): Candidate(
            origin=origin,
            reference=row.reference,
            keep_N=_unpack(row.keep, row.num_words),
            replicate=row.replicate,
        )
        for row in session.execute(_LOAD, values)
    }


def list_candidates(
    session: Session, text_ids: Sequence[int]
) -> dict[int, list[CandidateRow]]:
    """List all references of some texts, whoever wrote them.

    Returns:
        By text id, each list in the order of origins and replicates; texts without any
        are left out.
    """
    found: dict[int, list[CandidateRow]] = {}
    for row in session.execute(_LIST, {"text_ids": list(text_ids)}):
        candidate = Candidate(
            origin=row.origin,
            reference=row.reference,
            keep_N=_unpack(row.keep, row.num_words),
            replicate=row.replicate,
        )
        found.setdefault(row.text_id, []).append(
            CandidateRow(
                row.id,
                row.text_id,
                candidate,
                row.quality,
                row.quality_se,
                row.is_sound,
            )
        )
    return found


def store_verdicts(session: Session, verdicts: Sequence[CandidateVerdict]) -> None:
    """Write what the newest fit says; the references themselves stay as they are."""
    ordered = sorted(verdicts, key=lambda verdict: verdict.candidate_id)
    ids = [verdict.candidate_id for verdict in ordered]
    session.execute(_LOCK, {"ids": ids})
    session.execute(
        _JUDGE,
        {
            "ids": ids,
            "quality": [verdict.quality for verdict in ordered],
            "quality_se": [verdict.quality_se for verdict in ordered],
            "is_sound": [verdict.is_sound for verdict in ordered],
        },
    )


def summarize_origin(
    session: Session, corpus_id: int, max_seq: int, origin: str
) -> OriginSummary:
    """Count and hash an origin's references of a pinned corpus.

    Args:
        session: the session.
        corpus_id: the corpus.
        max_seq: documents with a greater `seq` are left out.
        origin: who wrote the references.
    """
    values = {"corpus_id": corpus_id, "max_seq": max_seq, "origin": origin}
    total = hashlib.sha256()
    num_references = 0
    for row in session.execute(_HASHES, values, execution_options=_STREAM):
        total.update(row.sha256 + row.replicate.to_bytes(4, "big") + row.digest)
        num_references += 1
    return OriginSummary(num_references, total.hexdigest())


def list_origins(session: Session, corpus_id: int) -> dict[str, int]:
    """Count the references of a corpus by origin, in order of their names."""
    rows = session.execute(_ORIGINS, {"corpus_id": corpus_id})
    return {row.origin: row.num_references for row in rows}


def iter_pairs(
    session: Session, corpus_id: int, origin: str
) -> Iterator[tuple[str, str, str]]:
    """Stream (kind, text, reference) of a corpus' documents, in its order.

    Raises:
        NotFound: the corpus has no reference of that origin; the message lists those
            that it has.
    """
    known = list_origins(session, corpus_id)
    if origin not in known:
        raise NotFound(
            f"the corpus has no references of origin {origin!r}; there are "
            f"{sorted(known)}; add references under that name"
        )
    values = {"corpus_id": corpus_id, "origin": origin}
    for row in session.execute(_PAIRS, values, execution_options=_STREAM):
        yield row.kind, row.content, row.reference


def _unpack(keep: bytes | None, num_words: int) -> BoolArray | None:
    """Unpack keep bits; the last byte is padded."""
    if keep is None:
        return None
    bits_N = np.unpackbits(np.frombuffer(keep, dtype=np.uint8), count=num_words)
    return bits_N.astype(np.bool_)
