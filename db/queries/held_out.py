"""The held-out documents of a corpus, as suites are made of them."""

from typing import NamedTuple

from sqlalchemy.orm import Session

from db.queries import corpora, gold, texts
from kompress.types import Gold


class HeldOutRow(NamedTuple):
    """A held-out document: the fields of a suite's text, in their order."""

    text: str
    kind: str
    group_id: str
    sha256: str
    gold: Gold | None


def load_held_out(
    session: Session, corpus_id: int, corpus_seq: int, round_id: int | None = None
) -> list[HeldOutRow]:
    """Load a pinned corpus' held-out documents, with their evaluation gold.

    Args:
        session: the session.
        corpus_id: the corpus.
        corpus_seq: documents up to this one.
        round_id: gold as this round sees it; None for the newest.

    Returns:
        A row a document, in the documents' order; the first gold of a text counts.
    """
    documents = corpora.documents(session, corpus_id, corpus_seq, split="held_out")
    text_ids = sorted(document.text_id for document in documents)
    known = gold.load_gold(session, text_ids, use="evaluate", round_id=round_id)
    content = texts.load_texts(session, text_ids)
    hashes = texts.load_hashes(session, text_ids)
    return [
        HeldOutRow(
            content[document.text_id],
            document.kind,
            document.group_id,
            hashes[document.text_id].hex(),
            known[document.text_id][0] if document.text_id in known else None,
        )
        for document in documents
    ]
