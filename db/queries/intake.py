"""What intake asks of a corpus: what it holds already, what is nearly the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, INTEGER
from sqlalchemy.orm import Session

from db.models import Corpus, Document, Text

# Newest documents looked at in one band, and candidates kept for one text: a corpus of
# one template stays linear.
MAX_PER_BAND = 32
MAX_CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document that the corpus holds already."""

    text_id: int
    group_id: str
    split: str


@dataclass(frozen=True, slots=True)
class NearbyDocument:
    """A stored document that shares bands with an asked text.

    Attributes:
        asked: which of the asked texts.
        group_id: the stored document's group.
        content: its text, to compare.
    """

    asked: int
    group_id: str
    content: str


_NEARBY = text("""
    WITH asked AS (
        SELECT * FROM unnest(:numbers, :bands) AS a (number, band)
    ), shared AS (
        SELECT a.number, b.document_id, count(*) AS num_bands
        FROM asked a CROSS JOIN LATERAL (
            SELECT document_id FROM document_bands
            WHERE corpus_id = :corpus_id AND band = a.band
            ORDER BY document_id DESC LIMIT :max_per_band
        ) b
        GROUP BY a.number, b.document_id
    ), ranked AS (
        SELECT number, document_id, row_number() OVER (
            PARTITION BY number ORDER BY num_bands DESC, document_id) AS place
        FROM shared
    )
    SELECT r.number, d.group_id, t.content
    FROM ranked r
    JOIN documents d ON d.id = r.document_id JOIN texts t ON t.id = d.text_id
    WHERE r.place <= :max_candidates ORDER BY r.number, r.place
""").bindparams(
    bindparam("numbers", type_=ARRAY(INTEGER)), bindparam("bands", type_=ARRAY(BIGINT))
)


def find_corpus(session: Session, name: str) -> int | None:
    """Give a corpus' id, None if there is none of that name."""
    return session.scalar(select(Corpus.id).where(Corpus.name == name))


def lock_corpus(session: Session, name: str) -> int | None:
    """Hold a corpus' row until the transaction ends; its id, None if there is none."""
    return session.scalar(
        select(Corpus.id).where(Corpus.name == name).with_for_update()
    )


def stored_documents(
    session: Session, corpus_id: int, hashes: Sequence[bytes]
) -> dict[bytes, StoredDocument]:
    """Find which texts, by SHA-256, the corpus holds already."""
    rows = session.execute(
        select(Text.sha256, Document.text_id, Document.group_id, Document.split)
        .join(Document, Document.text_id == Text.id)
        .where(Document.corpus_id == corpus_id, Text.sha256.in_(hashes))
    )
    return {row.sha256: StoredDocument(*row[1:]) for row in rows}


def nearby_documents(
    session: Session, corpus_id: int, bands: Mapping[int, Sequence[int]]
) -> list[NearbyDocument]:
    """Find stored documents that share MinHash bands with texts.

    Args:
        session: the caller's transaction.
        corpus_id: the corpus.
        bands: band keys by the text's number.

    Returns:
        At most `MAX_CANDIDATES` a text, those with most bands in common first.
    """
    values = {
        "corpus_id": corpus_id,
        "numbers": [number for number, keys in bands.items() for _ in keys],
        "bands": [key for keys in bands.values() for key in keys],
        "max_per_band": MAX_PER_BAND,
        "max_candidates": MAX_CANDIDATES,
    }
    return [NearbyDocument(*row) for row in session.execute(_NEARBY, values)]
