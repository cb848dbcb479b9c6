"""Forget a text and what hangs on it, and name the students that saw it."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.errors import NotFound


@dataclass(frozen=True, slots=True)
class WitnessRow:
    """A student whose weights were shaped by a forgotten text.

    Attributes:
        id: the student.
        loop: its loop's name, None for an imported student.
        round: its round's number, None for an imported student.
        recipe: its recipe.
        seed: its seed.
        fold: its fold, -1 for a main student.
        direct: it trained on the text itself; else an ancestor did.
    """

    id: int
    loop: str | None
    round: int | None
    recipe: str
    seed: int
    fold: int
    direct: bool


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """What `forget_text` deleted, and the students that it cannot undo."""

    texts: int
    documents: int
    students: list[WitnessRow]


_FIND = text("""
    SELECT t.id FROM texts t
    WHERE t.sha256 = :sha256
       OR EXISTS (SELECT FROM documents d
                  WHERE d.text_id = t.id AND d.external_id = :external_id
                    AND (CAST(:corpus_id AS bigint) IS NULL
                         OR d.corpus_id = :corpus_id))
    ORDER BY t.id FOR UPDATE
""")
_COUNT_DOCUMENTS = text("SELECT count(*) FROM documents WHERE text_id = ANY(:text_ids)")
_WITNESSES = text("""
    WITH RECURSIVE seen (id, direct) AS (
        SELECT id, true FROM students
        WHERE trained_text_ids && CAST(:text_ids AS bigint[])
        UNION
        SELECT s.id, false FROM students s JOIN seen ON s.parent_id = seen.id
    )
    SELECT s.id, l.name AS loop, r.number AS round, s.recipe, s.seed, s.fold,
           bool_or(seen.direct) AS direct
    FROM seen
    JOIN students s ON s.id = seen.id
    LEFT JOIN rounds r ON r.id = s.round_id
    LEFT JOIN loops l ON l.id = r.loop_id
    GROUP BY s.id, l.name, r.number
    ORDER BY s.id
""")
_DELETE = text("DELETE FROM texts WHERE id = ANY(:text_ids)")


def forget_text(
    session: Session,
    *,
    sha256: bytes | None = None,
    external_id: str | None = None,
    corpus_id: int | None = None,
) -> ForgetReport:
    """Delete a text from every corpus, with its votes, labels, gold and scores.

    Integer counts of past rounds, those of joint votes too, keep what it added to them:
    they hold no text.

    Args:
        session: the session.
        sha256: the text's digest, 32 bytes.
        external_id: the caller's name of its documents; all texts of that name go.
        corpus_id: look for `external_id` in this corpus only.

    Raises:
        NotFound: no text matches.
    """
    wanted = {"sha256": sha256, "external_id": external_id, "corpus_id": corpus_id}
    text_ids = list(session.scalars(_FIND, wanted))
    if not text_ids:
        name = sha256.hex() if sha256 is not None else repr(external_id)
        raise NotFound(
            f"no stored text is {name}; give its SHA-256 or the external_id of one of "
            "its documents"
        )
    found = {"text_ids": text_ids}
    num_documents = session.scalar(_COUNT_DOCUMENTS, found) or 0
    witnesses = [WitnessRow(*row) for row in session.execute(_WITNESSES, found)]
    session.execute(_DELETE, found)
    return ForgetReport(len(text_ids), num_documents, witnesses)
