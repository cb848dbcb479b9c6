"""Scores: one measured value a row, of a student, voter, rule or baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows
from db.errors import NotFound
from kompress.types import Score, SubjectKind


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A stored score and the subject it is of."""

    round_id: int | None
    subject_kind: str
    subject: str
    student_id: int | None
    score: Score


_SCORE = {
    "round_id": "int8",
    "subject_kind": "text",
    "subject": "text",
    "student_id": "int8",
    "suite": "text",
    "stratum": "text",
    "rule_set": "text",
    "definition": "text",
    "override": "text",
    "target_keep_rate": "float8",
    "step": "int4",
    "metric": "text",
    "text_id": "int8",
    "value": "float8",
    "ci_low": "float8",
    "ci_high": "float8",
    "n": "int8",
}
_KEY = (
    "round_id",
    "subject_kind",
    "subject",
    "suite",
    "stratum",
    "rule_set",
    "definition",
    "override",
    "target_keep_rate",
    "step",
    "metric",
    "text_id",
)
_TEXT_IDS = text(
    "SELECT encode(sha256, 'hex') AS digest, id FROM texts WHERE sha256 = ANY(:digests)"
)
_LOAD = text("""
    SELECT s.*, coalesce(encode(t.sha256, 'hex'), '') AS digest
    FROM scores s LEFT JOIN texts t ON t.id = s.text_id
    WHERE s.round_id IS NOT DISTINCT FROM CAST(:round_id AS bigint)
      AND (CAST(:subject_kind AS text) IS NULL OR s.subject_kind = :subject_kind)
      AND (CAST(:subject AS text) IS NULL OR s.subject = :subject)
      AND (CAST(:suite AS text) IS NULL OR s.suite = :suite)
      AND (CAST(:metric AS text) IS NULL OR s.metric = :metric)
      AND (:per_text OR s.text_id IS NULL)
    ORDER BY s.subject_kind, s.subject, s.suite, s.stratum, s.rule_set, s.definition,
             s.override, s.target_keep_rate NULLS FIRST, s.step, s.metric, digest
""")

_DELETE = text("""
    DELETE FROM scores
    WHERE round_id IS NOT DISTINCT FROM CAST(:round_id AS bigint)
      AND subject_kind = :subject_kind AND subject = :subject
      AND suite = ANY(:suites)
""")


def store_scores(  # a row in the order of its columns
    session: Session,
    round_id: int | None,
    subject_kind: SubjectKind,
    subject: str,
    student_id: int | None,
    scores: Sequence[Score],
) -> None:
    """Store the scores of one subject; what exists stays.

    Args:
        session: the session.
        round_id: the round that measured them, None for those of an imported student.
        subject_kind: what the subject is.
        subject: a student's id as text, or the name of a voter, rule or baseline.
        student_id: the student, None for any other subject.
        scores: the values; those about one text name a stored text.

    Raises:
        NotFound: a score is about a text that is not stored.
    """
    text_ids = _find_texts(session, scores)
    copy_rows(
        session,
        "scores",
        _SCORE,
        [
            (
                round_id,
                subject_kind,
                subject,
                student_id,
                score.suite,
                score.stratum,
                score.rule_set,
                score.definition,
                score.override,
                score.target_keep_rate,
                score.step,
                score.metric,
                text_ids[score.text_sha256] if score.text_sha256 else None,
                score.value,
                score.ci_low,
                score.ci_high,
                score.n,
            )
            for score in scores
        ],
        key=_KEY,
    )


def replace_scores(  # a row in the order of its columns
    session: Session,
    round_id: int | None,
    subject_kind: SubjectKind,
    subject: str,
    student_id: int | None,
    scores: Sequence[Score],
) -> None:
    """Store the scores of one subject in place of its earlier ones on these suites.

    For figures whose texts may change from one evaluation to the next: those of a
    corpus that no loop has pinned.

    Args:
        session: the session.
        round_id: the round, None for an imported student's.
        subject_kind: what the subject is.
        subject: a student's id as text, or the name of a voter, rule or baseline.
        student_id: the student, None for any other subject.
        scores: the values; those about one text name a stored text.

    Raises:
        NotFound: a score is about a text that is not stored.
    """
    session.execute(
        _DELETE,
        {
            "round_id": round_id,
            "subject_kind": subject_kind,
            "subject": subject,
            "suites": sorted({score.suite for score in scores}),
        },
    )
    store_scores(session, round_id, subject_kind, subject, student_id, scores)


def load_scores(
    session: Session,
    round_id: int | None,
    subject_kind: SubjectKind | None = None,
    subject: str | None = None,
    *,
    suite: str | None = None,
    metric: str | None = None,
    per_text: bool = False,
) -> list[ScoreRow]:
    """Load a round's scores, in the order of subject, suite, stratum and so on.

    Args:
        session: the session.
        round_id: the round that measured them, None for those of no round.
        subject_kind: only such subjects; None for all.
        subject: only this subject; None for all.
        suite: only this suite; None for all.
        metric: only this metric; None for all.
        per_text: also the rows about one text.
    """
    values = {
        "round_id": round_id,
        "subject_kind": subject_kind,
        "subject": subject,
        "suite": suite,
        "metric": metric,
        "per_text": per_text,
    }
    return [
        ScoreRow(
            row.round_id, row.subject_kind, row.subject, row.student_id, _as_score(row)
        )
        for row in session.execute(_LOAD, values)
    ]


def _as_score(row: Any) -> Score:
    return Score(
        suite=row.suite,
        stratum=row.stratum,
        metric=row.metric,
        value=row.value,
        n=row.n,
        rule_set=row.rule_set,
        definition=row.definition,
        override=row.override,
        target_keep_rate=row.target_keep_rate,
        step=row.step,
        text_sha256=row.digest,
        ci_low=row.ci_low,
        ci_high=row.ci_high,
    )


def _find_texts(session: Session, scores: Sequence[Score]) -> dict[str, int]:
    wanted = sorted({score.text_sha256 for score in scores} - {""})
    digests = [bytes.fromhex(digest) for digest in wanted]
    rows = session.execute(_TEXT_IDS, {"digests": digests}) if digests else ()
    found = {row.digest: row.id for row in rows}
    if missing := [digest for digest in wanted if digest not in found]:
        raise NotFound(
            f"{len(missing)} scores are about texts that are not stored, the first "
            f"{missing[0]}; store the suite's texts before its scores"
        )
    return found
