"""Voters and aggregation rules side by side, from the same audit documents."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from kompress.rule_labels import LIKE_ALONE, voter_of

_COMPARE = text("""
    WITH stats AS (
        SELECT r.number, 1 AS place, 'voter' AS subject_kind, s.voter AS subject,
               s.truth, s.num_keep_kept AS kk, s.num_keep_dropped AS kd,
               s.num_drop_kept AS dk, s.num_drop_dropped AS dd
        FROM voter_stats s JOIN rounds r ON r.id = s.round_id
        WHERE r.loop_id = :loop_id AND s.stratum = :stratum AND s.truth = :truth
          AND s.truth <> 'must_keep'
        UNION ALL
        SELECT r.number, CASE WHEN s.rule LIKE :alone THEN 1 ELSE 2 END,
               CASE WHEN s.rule LIKE :alone THEN 'voter' ELSE 'rule' END, s.rule,
               s.truth, s.num_keep_kept, s.num_keep_dropped, s.num_drop_kept,
               s.num_drop_dropped
        FROM rule_stats s JOIN rounds r ON r.id = s.round_id
        WHERE r.loop_id = :loop_id AND s.stratum = :stratum AND s.truth = :truth
          AND (s.truth = 'must_keep' OR s.rule NOT LIKE :alone)
    )
    SELECT number AS round, subject_kind, subject, truth,
           CAST(kk + kd + dk + dd AS bigint) AS num_words,
           CAST(kk AS float) / nullif(kk + kd, 0) AS recall,
           CASE WHEN truth <> 'must_keep' THEN
               CAST(kk AS float) / nullif(kk + dk, 0)
           END AS precision,
           CASE WHEN truth <> 'must_keep' THEN
               2 * CAST(kk AS float) / nullif(2 * kk + kd + dk, 0)
           END AS f1,
           CAST(kk + dk AS float) / nullif(kk + kd + dk + dd, 0) AS keep_rate,
           CASE WHEN truth <> 'must_keep' THEN
               (CAST(kk AS float) / nullif(kk + kd, 0)
                + CAST(dd AS float) / nullif(dk + dd, 0)) / 2
           END AS balanced_accuracy
    FROM stats ORDER BY number, place, subject
""")


def compare_subjects(
    session: Session, loop_id: int, *, truth: str = "gold", stratum: str = "all"
) -> list[dict[str, Any]]:
    """Put each voter and each rule of a loop's rounds against one truth.

    Args:
        session: the session.
        loop_id: the loop.
        truth: `gold`, `must_keep` or `leave_one_out`.
        stratum: a name of `STRATA`, or `all`.

    Returns:
        Rows by round, voters first: recall, precision, f1, balanced accuracy and, so
        that no figure stands without it, keep_rate on the same words. Against
        `must_keep` all keep the same share of each text, and only recall is given: a
        round has such rows where it was judged without gold, and else none, since
        recall at a voter's own keep_rate would elect whoever keeps everything.
        Against `leave_one_out` there are only voters.

    Source: ours; ratios of integers, as design §1.
    """
    values = {
        "loop_id": loop_id,
        "truth": truth,
        "stratum": stratum,
        "alone": LIKE_ALONE,
    }
    found = [dict(row) for row in session.execute(_COMPARE, values).mappings()]
    for row in found:
        row["subject"] = voter_of(row["subject"]) or row["subject"]
    return found
