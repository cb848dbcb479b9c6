"""What a round selected, and the shards it was cut into."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows
from db.errors import Conflict
from db.queries.corpora import DOCUMENT_COLUMNS, DocumentRow
from db.queries.jobs import FIRST_CHILD_SHARD


@dataclass(frozen=True, slots=True)
class SelectionRow:
    """A selected document: why it is there, and its must-keep words so far counted."""

    document_id: int
    text_id: int
    kind: str
    group_id: str
    role: str
    random_slice: bool
    probability: float
    num_must_keep: int | None
    num_must_keep_kept: int | None


_SELECTION = {
    "round_id": "int8",
    "document_id": "int8",
    "role": "text",
    "random_slice": "bool",
    "probability": "float8",
}
_SHARD = {"round_id": "int8", "wave": "int4", "shard": "int4", "document_id": "int8"}

_LOAD = text("""
    SELECT s.document_id, d.text_id, d.kind, d.group_id, s.role, s.random_slice,
           s.probability, s.num_must_keep, s.num_must_keep_kept
    FROM selections s JOIN documents d ON d.id = s.document_id
    WHERE s.round_id = :round_id
    ORDER BY s.document_id
""")
_LOAD_SHARD = text("""
    SELECT s.document_id, d.text_id, d.kind, d.group_id, s.role, s.random_slice,
           s.probability, s.num_must_keep, s.num_must_keep_kept
    FROM shard_documents p
    JOIN selections s ON s.round_id = p.round_id AND s.document_id = p.document_id
    JOIN documents d ON d.id = s.document_id
    WHERE p.round_id = :round_id AND p.wave = :wave AND p.shard = :shard
    ORDER BY s.document_id
""")
_FROZEN = text("""
    SELECT shard, array_agg(document_id ORDER BY document_id) AS document_ids
    FROM shard_documents
    WHERE round_id = :round_id AND wave = :wave AND shard < :first_child
    GROUP BY shard ORDER BY shard
""")
_LAST_CHILD = text("""
    SELECT max(shard) FROM shard_documents
    WHERE round_id = :round_id AND wave = :wave AND shard >= :first_child
""")
_DOCUMENTS = text(f"""
    SELECT {DOCUMENT_COLUMNS}
    FROM shard_documents s
    JOIN documents d ON d.id = s.document_id
    JOIN texts t ON t.id = d.text_id
    WHERE s.round_id = :round_id AND s.wave = :wave AND s.shard = :shard
    ORDER BY d.seq
""")  # noqa: S608  # no input is interpolated
_SHARDS = text("""
    SELECT DISTINCT shard FROM shard_documents
    WHERE round_id = :round_id AND wave = :wave AND shard < :first_child
    ORDER BY shard
""")
# By the text's hash, so that the order of uploads decides nothing.
_PILOT = text("""
    SELECT s.document_id
    FROM selections s
    JOIN documents d ON d.id = s.document_id
    JOIN texts t ON t.id = d.text_id
    WHERE s.round_id = :round_id AND s.role = 'train'
    ORDER BY EXISTS (
                 SELECT FROM gold g WHERE g.text_id = t.id AND g.use = 'calibrate'
             ) DESC, s.random_slice DESC, t.sha256
    LIMIT :num_documents
""")


def store_selections(
    session: Session, round_id: int, rows: Iterable[tuple[int, str, bool, float]]
) -> None:
    """Store (document id, role, random_slice, probability) of a round's documents."""
    copy_rows(
        session,
        "selections",
        _SELECTION,
        [(round_id, *row) for row in rows],
        key=("round_id", "document_id"),
    )


def load_selections(session: Session, round_id: int) -> list[SelectionRow]:
    """Load a round's selection, by document id."""
    rows = session.execute(_LOAD, {"round_id": round_id})
    return [SelectionRow(*row) for row in rows]


def load_shard_selections(
    session: Session, round_id: int, wave: int, shard: int
) -> list[SelectionRow]:
    """Load the selection of one shard's documents, by document id."""
    key = {"round_id": round_id, "wave": wave, "shard": shard}
    return [SelectionRow(*row) for row in session.execute(_LOAD_SHARD, key)]


def pilot_documents(session: Session, round_id: int, num_documents: int) -> list[int]:
    """Choose train documents that every voter may see first, by id.

    Those with calibration gold come first, then those of the random slice, which every
    voter sees anyway.

    Args:
        session: the session.
        round_id: the round, its selection stored.
        num_documents: at most so many.
    """
    key = {"round_id": round_id, "num_documents": num_documents}
    return sorted(session.scalars(_PILOT, key))


def freeze_shards(
    session: Session, round_id: int, wave: int, shards: Sequence[Sequence[int]]
) -> None:
    """Store which documents each of a wave's shards holds, numbered from 0, for good.

    Args:
        session: the session.
        round_id: the round.
        wave: the wave, from 1; 0 is the pilot's.
        shards: document ids by shard.

    Raises:
        Conflict: the wave is frozen already, with other boundaries.
    """
    wanted = {number: sorted(ids) for number, ids in enumerate(shards) if ids}
    key = {"round_id": round_id, "wave": wave, "first_child": FIRST_CHILD_SHARD}
    frozen = {row.shard: row.document_ids for row in session.execute(_FROZEN, key)}
    if not frozen:
        _insert(session, round_id, wave, wanted)
    elif frozen != wanted:
        raise Conflict(
            f"wave {wave} of round {round_id} is frozen in {len(frozen)} shards that "
            f"differ from the {len(wanted)} given; a planned wave keeps its shards"
        )


def add_child_shards(
    session: Session, round_id: int, wave: int, shards: Sequence[Sequence[int]]
) -> list[int]:
    """Store the shards of a bisection beside the frozen ones, under the round's lock.

    Returns:
        The new shards' numbers, from `FIRST_CHILD_SHARD` on.
    """
    key = {"round_id": round_id, "wave": wave, "first_child": FIRST_CHILD_SHARD}
    last = session.scalar(_LAST_CHILD, key)
    first = FIRST_CHILD_SHARD if last is None else last + 1
    children = dict(enumerate(shards, start=first))
    _insert(session, round_id, wave, children)
    return list(children)


def shard_documents(
    session: Session, round_id: int, wave: int, shard: int
) -> list[DocumentRow]:
    """List the documents of one shard, in the corpus's order."""
    key = {"round_id": round_id, "wave": wave, "shard": shard}
    return [DocumentRow(*row) for row in session.execute(_DOCUMENTS, key)]


def shards(session: Session, round_id: int, wave: int) -> list[int]:
    """Number the shards that were frozen for a wave; a bisection's are not counted."""
    key = {"round_id": round_id, "wave": wave, "first_child": FIRST_CHILD_SHARD}
    return list(session.scalars(_SHARDS, key))


def _insert(
    session: Session, round_id: int, wave: int, shards: Mapping[int, Sequence[int]]
) -> None:
    copy_rows(
        session,
        "shard_documents",
        _SHARD,
        [
            (round_id, wave, shard, document_id)
            for shard, document_ids in shards.items()
            for document_id in document_ids
        ],
        key=("round_id", "wave", "shard", "document_id"),
    )
