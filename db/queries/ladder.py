"""The ladder: every version that was tried, what it scored, cost and taught.

Verdicts and lessons are what people wrote, as events of kind `lesson`; the newest
counts and the others stay in the audit trail.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.models import Round, Student
from db.queries import records

KIND = "lesson"


@dataclass(frozen=True, slots=True)
class StudentNote:
    """What somebody wrote about a student."""

    student: int
    verdict: str
    lesson: str


_LADDER = text("""
    SELECT
        loops.name AS loop,
        rounds.number AS round,
        rounds.status,
        coalesce(students.recipe, rounds.config #>> '{recipe,name}') AS version,
        coalesce(
            students.recipe_config ->> 'change',
            rounds.config #>> '{recipe,change}',
            ''
        ) AS change,
        coalesce(students.label_source, rounds.config ->> 'label_source')
            AS label_source,
        students.id AS student,
        scored.exact_pct,
        scored.keep_rate,
        scored.token_savings,
        spent.seconds,
        spent.usd,
        CASE
            WHEN noted.verdict <> '' THEN noted.verdict
            WHEN loops.promoted_student_id = students.id THEN 'promoted'
            WHEN students.id IS NULL THEN rounds.status
        END AS verdict,
        coalesce(noted.lesson, '') AS lesson
    FROM rounds
    JOIN loops ON loops.id = rounds.loop_id
    LEFT JOIN students ON students.round_id = rounds.id AND students.fold = -1
    CROSS JOIN LATERAL (
        SELECT
            max(value) FILTER (
                WHERE metric = 'exact_pct' AND rule_set = :rule_set
            ) AS exact_pct,
            max(value) FILTER (WHERE metric = 'keep_rate') AS keep_rate,
            max(value) FILTER (WHERE metric = 'token_savings') AS token_savings
        FROM scores
        WHERE scores.round_id = rounds.id AND subject_kind = 'student'
            AND scores.student_id = students.id AND suite = :suite
            AND stratum = 'all' AND definition = 'multiset' AND override = ''
            AND target_keep_rate IS NULL AND step = 0 AND text_id IS NULL
    ) AS scored
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(spent) FILTER (WHERE costs.kind = 'seconds'), 0) AS seconds,
            CAST(coalesce(
                sum(CAST(spent AS numeric)) FILTER (WHERE costs.kind = 'usd'), 0
            ) AS float8) AS usd
        FROM jobs JOIN costs ON costs.job_id = jobs.id
        WHERE jobs.round_id = rounds.id
    ) AS spent
    LEFT JOIN LATERAL (
        SELECT detail ->> 'verdict' AS verdict, detail ->> 'lesson' AS lesson
        FROM events
        WHERE kind = 'lesson' AND loop_id = loops.id
            AND detail ->> 'student' = CAST(students.id AS text)
        ORDER BY events.id DESC LIMIT 1
    ) AS noted ON true
    WHERE CAST(:loop_id AS bigint) IS NULL OR loops.id = :loop_id
    ORDER BY loops.id, rounds.number, students.id
""")
_NEWEST = text("""
    SELECT detail ->> 'verdict' AS verdict, detail ->> 'lesson' AS lesson FROM events
    WHERE kind = 'lesson' AND detail ->> 'student' = CAST(:student_id AS text)
    ORDER BY id DESC LIMIT 1
""")


def list_versions(
    session: Session,
    loop_id: int | None = None,
    *,
    suite: str = "agent",
    rule_set: str = "farm",
) -> list[dict[str, Any]]:
    """List the versions of one loop or of all, in the order they were tried.

    Every round is there: also those of cancelled loops, and those without a student.

    Args:
        session: the session.
        loop_id: only this loop's; None for all.
        suite: what exact_pct, keep_rate and token_savings were measured on, at the
            student's own threshold, without override.
        rule_set: whose must-keep words exact_pct counts.

    Returns:
        loop, round, status, version, change, label_source, student, exact_pct,
        keep_rate, token_savings, seconds (of work, all jobs of the round), usd, verdict
        (what was written, else `promoted`, the status of a round without a student, or
        None), lesson ('' if none).
    """
    values = {"loop_id": loop_id, "suite": suite, "rule_set": rule_set}
    return [dict(row) for row in session.execute(_LADDER, values).mappings()]


def note_student(
    session: Session,
    student: Student,
    actor: str,
    *,
    verdict: str | None = None,
    lesson: str | None = None,
) -> StudentNote:
    """Write what a student taught; what is None stays as it was written before.

    Args:
        session: the session.
        student: the student.
        actor: who writes.
        verdict: a word, such as `kept` or `rejected`.
        lesson: a sentence.
    """
    before = session.execute(_NEWEST, {"student_id": student.id}).one_or_none()
    noted = StudentNote(
        student=student.id,
        verdict=verdict if verdict is not None else before.verdict if before else "",
        lesson=lesson if lesson is not None else before.lesson if before else "",
    )
    held = session.get(Round, student.round_id) if student.round_id else None
    records.add_event(
        session,
        actor,
        KIND,
        loop_id=held.loop_id if held else None,
        round_id=student.round_id,
        detail={
            "student": noted.student,
            "verdict": noted.verdict,
            "lesson": noted.lesson,
        },
    )
    return noted
