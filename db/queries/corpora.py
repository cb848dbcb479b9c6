"""Corpora: they only grow, document by document, under one lock each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db.copy import copy_rows
from db.errors import Conflict, NotFound
from db.models import Corpus
from db.queries.forget import ForgetReport, WitnessRow, forget_text

__all__ = [
    "CorpusSummary",
    "DocumentRow",
    "ForgetReport",
    "NewDocument",
    "WitnessRow",
    "add_bands",
    "allows_external",
    "append_documents",
    "count_kinds",
    "create_corpus",
    "documents",
    "forget_text",
    "get_corpus",
    "list_corpora",
    "splits_of_groups",
]


@dataclass(frozen=True, slots=True)
class CorpusSummary:
    """A corpus and how much it holds."""

    id: int
    name: str
    external_ok: bool
    last_seq: int
    num_documents: int
    documents: dict[str, int]  # by split
    num_words: int


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A stored text's place in a corpus, before it has a number there."""

    text_id: int
    kind: str
    external_id: str
    group_id: str
    split: str


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document of a corpus; `num_words` is its text's."""

    id: int
    text_id: int
    seq: int
    kind: str
    external_id: str
    group_id: str
    split: str
    num_words: int


_DOCUMENT = {
    "corpus_id": "int8",
    "text_id": "int8",
    "seq": "int8",
    "kind": "text",
    "external_id": "text",
    "group_id": "text",
    "split": "text",
}
_BAND = {"corpus_id": "int8", "band": "int8", "document_id": "int8"}

_SUMMARY = text("""
    SELECT c.id, c.name, c.external_ok, c.last_seq, d.split,
           count(d.id) AS num_documents, coalesce(sum(t.num_words), 0) AS num_words
    FROM corpora c
    LEFT JOIN documents d ON d.corpus_id = c.id
    LEFT JOIN texts t ON t.id = d.text_id
    GROUP BY c.id, d.split
    ORDER BY c.name, d.split
""")
_LOCK = text("SELECT last_seq FROM corpora WHERE id = :corpus_id FOR UPDATE")
_KNOWN = text("""
    SELECT text_id FROM documents
    WHERE corpus_id = :corpus_id AND text_id = ANY(:text_ids)
""")
_SET_SEQ = text("UPDATE corpora SET last_seq = :seq WHERE id = :corpus_id")
# One list of columns for every reader that gives back a DocumentRow.
DOCUMENT_COLUMNS = """
    d.id, d.text_id, d.seq, d.kind, d.external_id, d.group_id, d.split, t.num_words
"""
_DOCUMENTS = text(f"""
    SELECT {DOCUMENT_COLUMNS}
    FROM documents d JOIN texts t ON t.id = d.text_id
    WHERE d.corpus_id = :corpus_id AND d.seq <= :max_seq
      AND (CAST(:split AS text) IS NULL OR d.split = :split)
      AND (CAST(:document_ids AS bigint[]) IS NULL OR d.id = ANY(:document_ids))
    ORDER BY d.seq
""")  # noqa: S608  # no input is interpolated
_SPLITS = text("""
    SELECT DISTINCT ON (group_id) group_id, split FROM documents
    WHERE corpus_id = :corpus_id AND group_id = ANY(:group_ids)
    ORDER BY group_id, seq
""")
_KINDS = text("""
    SELECT kind, count(*) AS num_documents FROM documents
    WHERE corpus_id = :corpus_id AND split = :split
    GROUP BY kind ORDER BY kind
""")
_DOCUMENT_IDS = text("""
    SELECT text_id, id FROM documents
    WHERE corpus_id = :corpus_id AND text_id = ANY(:text_ids)
""")


def create_corpus(session: Session, name: str, *, external_ok: bool = False) -> Corpus:
    """Make a corpus, or give the one that is there.

    Args:
        session: the session.
        name: the corpus's name.
        external_ok: may its texts leave the farm for a hosted model?

    Raises:
        Conflict: it exists and answers `external_ok` the other way.
    """
    session.execute(
        insert(Corpus)
        .values(name=name, external_ok=external_ok)
        .on_conflict_do_nothing(index_elements=["name"])
    )
    corpus = get_corpus(session, name)
    if corpus.external_ok != external_ok:
        raise Conflict(
            f"corpus {name!r} exists with external_ok={corpus.external_ok}, asked for "
            f"{external_ok}; choose another name or leave the option as it is"
        )
    return corpus


def get_corpus(session: Session, name: str) -> Corpus:
    """Find a corpus by name.

    Raises:
        NotFound: no corpus has that name; the message lists what exists.
    """
    corpus = session.scalar(select(Corpus).where(Corpus.name == name))
    if corpus is None:
        known = list(session.scalars(select(Corpus.name).order_by(Corpus.name)))
        raise NotFound(
            f"no corpus is named {name!r}; there are {known}; add documents to make one"
        )
    return corpus


def allows_external(session: Session, corpus_id: int) -> bool:
    """Say whether a corpus' texts may leave the farm for a hosted model."""
    return session.get_one(Corpus, corpus_id).external_ok


def list_corpora(session: Session) -> list[CorpusSummary]:
    """List every corpus by name, with its documents by split and its words."""
    counts: dict[int, dict[str, int]] = {}
    words: dict[int, int] = {}
    heads: dict[int, tuple[str, bool, int]] = {}
    for row in session.execute(_SUMMARY):
        heads[row.id] = (row.name, row.external_ok, row.last_seq)
        words[row.id] = words.get(row.id, 0) + int(row.num_words)
        splits = counts.setdefault(row.id, {})
        if row.split is not None:
            splits[row.split] = row.num_documents
    return [
        CorpusSummary(key, *head, sum(counts[key].values()), counts[key], words[key])
        for key, head in heads.items()
    ]


def append_documents(
    session: Session, corpus_id: int, documents: Sequence[NewDocument]
) -> tuple[int, int]:
    """Append documents in order; a text that the corpus holds is a duplicate.

    The corpus's row stays locked until the transaction ends, so that `seq` has no gap
    and no number appears behind a loop that was pinned before it.

    Returns:
        How many were added, and how many were duplicates.

    Raises:
        NotFound: no corpus has that id.
    """
    last_seq = session.scalar(_LOCK, {"corpus_id": corpus_id})
    if last_seq is None:
        raise NotFound(f"no corpus has id {corpus_id}; it was deleted meanwhile")
    first_of_text: dict[int, NewDocument] = {}
    for item in documents:
        first_of_text.setdefault(item.text_id, item)
    known = set(
        session.scalars(
            _KNOWN, {"corpus_id": corpus_id, "text_ids": list(first_of_text)}
        )
    )
    new = [item for text_id, item in first_of_text.items() if text_id not in known]
    copy_rows(
        session,
        "documents",
        _DOCUMENT,
        [
            (
                corpus_id,
                item.text_id,
                seq,
                item.kind,
                item.external_id,
                item.group_id,
                item.split,
            )
            for seq, item in enumerate(new, start=last_seq + 1)
        ],
        key=("corpus_id", "text_id"),
    )
    session.execute(_SET_SEQ, {"seq": last_seq + len(new), "corpus_id": corpus_id})
    return len(new), len(documents) - len(new)


def documents(
    session: Session,
    corpus_id: int,
    max_seq: int,
    split: str | None = None,
    document_ids: Iterable[int] | None = None,
) -> list[DocumentRow]:
    """List a corpus's documents up to a `seq`, in its order.

    Args:
        session: the session.
        corpus_id: the corpus.
        max_seq: documents with a greater `seq` are left out.
        split: only this split; None for all.
        document_ids: only these; None for all.
    """
    rows = session.execute(
        _DOCUMENTS,
        {
            "corpus_id": corpus_id,
            "max_seq": max_seq,
            "split": split,
            "document_ids": None if document_ids is None else list(document_ids),
        },
    )
    return [DocumentRow(*row) for row in rows]


def count_kinds(session: Session, corpus_id: int, split: str) -> dict[str, int]:
    """Count the documents of one split of a corpus by kind, in order of their names."""
    rows = session.execute(_KINDS, {"corpus_id": corpus_id, "split": split})
    return {row.kind: row.num_documents for row in rows}


def splits_of_groups(
    session: Session, corpus_id: int, group_ids: Iterable[str]
) -> dict[str, str]:
    """Give the split that each stored group lies in; unknown groups are left out."""
    rows = session.execute(
        _SPLITS, {"corpus_id": corpus_id, "group_ids": list(group_ids)}
    )
    return {row.group_id: row.split for row in rows}


def add_bands(
    session: Session, corpus_id: int, bands: Mapping[int, Sequence[int]]
) -> None:
    """Store the MinHash bands of appended documents, by their text's id."""
    found = session.execute(
        _DOCUMENT_IDS, {"corpus_id": corpus_id, "text_ids": list(bands)}
    )
    copy_rows(
        session,
        "document_bands",
        _BAND,
        [
            (corpus_id, band, document_id)
            for text_id, document_id in found
            for band in bands[text_id]
        ],
        key=("corpus_id", "band", "document_id"),
    )
