"""How good voters, rules and students were in a round: integers first."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple

from psycopg import sql
from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows, psycopg_connection, staged_rows
from db.queries.views import Rows
from kompress.rule_labels import LIKE_ALONE, voter_of
from kompress.types import ResidualRow, RuleStatRow, VoterStatRow

Histograms = dict[tuple[str, str, str], tuple[list[int], list[int]]]


_CONFUSION = {
    "num_keep_kept": "int8",
    "num_keep_dropped": "int8",
    "num_drop_kept": "int8",
    "num_drop_dropped": "int8",
}
_VOTER_STAT = {
    "round_id": "int8",
    "voter": "text",
    "stratum": "text",
    "truth": "text",
    **_CONFUSION,
    "num_agreed": "int8",
    "num_compared": "int8",
    "keep_codes": "int8[]",
    "drop_codes": "int8[]",
}
_RULE_STAT = {
    "round_id": "int8",
    "rule": "text",
    "stratum": "text",
    "truth": "text",
    **_CONFUSION,
    "best_voter": "text",
    "best_value": "float8",
    "difference_low": "float8",
    "difference_high": "float8",
}
_RESIDUAL = {
    "round_id": "int8",
    "document_id": "int8",
    "measured": "float8",
    "predicted": "float8",
    "influence": "float8",
    "predicted_influence": "float8",
}
_MUST_KEEP = {
    "document_id": "int8",
    "num_must_keep": "int4",
    "num_must_keep_kept": "int4",
}
_SET_MUST_KEEP = """
    UPDATE selections
    SET num_must_keep = staged.num_must_keep,
        num_must_keep_kept = staged.num_must_keep_kept
    FROM {staging} AS staged
    WHERE selections.round_id = {round_id}
      AND selections.document_id = staged.document_id
"""
_SET_WEIGHT = text("""
    UPDATE voter_stats SET weight = :weight
    WHERE round_id = :round_id AND voter = :voter AND stratum = :stratum
""")
_SET_ECE = text("""
    UPDATE voter_stats SET ece = :ece
    WHERE round_id = :round_id AND voter = :voter AND stratum = :stratum
      AND truth = :truth
""")
_HISTOGRAMS = text("""
    SELECT voter, stratum, truth, keep_codes, drop_codes FROM voter_stats
    WHERE round_id = :round_id
    ORDER BY voter, stratum, truth
""")
_RESIDUALS = text("""
    SELECT document_id, measured, predicted, influence, predicted_influence
    FROM residuals WHERE round_id = :round_id ORDER BY document_id
""")
_VOTER_COUNTS = text("""
    SELECT voter, stratum, truth,
           num_keep_kept, num_keep_dropped, num_drop_kept, num_drop_dropped
    FROM voter_stats
    WHERE round_id = :round_id AND truth IN ('gold', 'must_keep')
    ORDER BY truth, stratum, voter
""")
_RULE_COUNTS = text("""
    SELECT rule, stratum, truth, difference_low, difference_high,
           num_keep_kept, num_keep_dropped, num_drop_kept, num_drop_dropped
    FROM rule_stats
    WHERE round_id = :round_id
    ORDER BY truth, stratum, rule
""")
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


def add_voter_stats(
    session: Session, round_id: int, rows: Sequence[VoterStatRow]
) -> None:
    """Add a shard's integers and histograms to those of its round.

    Not repeatable: call it in the transaction that ends the shard's job.
    """
    copy_rows(
        session,
        "voter_stats",
        _VOTER_STAT,
        [(round_id, *astuple(row)) for row in rows],
        key=("round_id", "voter", "stratum", "truth"),
        on_conflict="add",
    )


def load_histograms(session: Session, round_id: int) -> Histograms:
    """Load the vote codes of words truly kept and truly dropped, 256 counts each.

    Returns:
        (keep codes, drop codes) by (voter, stratum, truth), in that order.
    """
    return {
        (row.voter, row.stratum, row.truth): (row.keep_codes, row.drop_codes)
        for row in session.execute(_HISTOGRAMS, {"round_id": round_id})
    }


def set_voter_fits(
    session: Session,
    round_id: int,
    weights: Mapping[tuple[str, str], float],
    ece: Mapping[tuple[str, str, str], float],
) -> None:
    """Write what a rule fitted beside the counts that are there.

    Args:
        session: the session.
        round_id: the round.
        weights: mean weight by (voter, stratum).
        ece: expected calibration error by (voter, stratum, truth), in [0, 1].
    """
    if weights:
        session.execute(
            _SET_WEIGHT,
            [
                {
                    "round_id": round_id,
                    "voter": voter,
                    "stratum": stratum,
                    "weight": weight,
                }
                for (voter, stratum), weight in sorted(weights.items())
            ],
        )
    if ece:
        session.execute(
            _SET_ECE,
            [
                {
                    "round_id": round_id,
                    "voter": voter,
                    "stratum": stratum,
                    "truth": truth,
                    "ece": value,
                }
                for (voter, stratum, truth), value in sorted(ece.items())
            ],
        )


def store_rule_stats(
    session: Session, round_id: int, rows: Sequence[RuleStatRow]
) -> None:
    """Store the rules' counts of a whole round; a repetition replaces them."""
    copy_rows(
        session,
        "rule_stats",
        _RULE_STAT,
        [(round_id, *astuple(row)) for row in rows],
        key=("round_id", "rule", "stratum", "truth"),
        on_conflict="replace",
    )


def set_selection_counts(
    session: Session, round_id: int, counts: Mapping[int, tuple[int, int]]
) -> None:
    """Write (must-keep words, surviving ones) of selected documents, by document id."""
    rows = [(document_id, *pair) for document_id, pair in sorted(counts.items())]
    with staged_rows(session, _MUST_KEEP, rows) as staging:
        psycopg_connection(session).execute(
            sql.SQL(_SET_MUST_KEEP).format(
                staging=staging, round_id=sql.Literal(round_id)
            )
        )


def store_residuals(
    session: Session, round_id: int, residuals: Mapping[int, ResidualRow]
) -> None:
    """Store residuals by document id."""
    copy_rows(
        session,
        "residuals",
        _RESIDUAL,
        [(round_id, document_id, *row) for document_id, row in residuals.items()],
        key=("round_id", "document_id"),
        on_conflict="replace",
    )


def load_residuals(session: Session, round_id: int) -> dict[int, ResidualRow]:
    """Load residuals by document id, in its order."""
    rows = session.execute(_RESIDUALS, {"round_id": round_id})
    return {row[0]: ResidualRow(*row[1:]) for row in rows}


def voter_counts(session: Session, round_id: int) -> Rows:
    """Read voters' counts against gold and must-keep, by truth, stratum and voter."""
    found = session.execute(_VOTER_COUNTS, {"round_id": round_id})
    return [dict(row) for row in found.mappings()]


def rule_counts(session: Session, round_id: int) -> Rows:
    """Read rules' counts, and the interval of each one less its best voter."""
    found = session.execute(_RULE_COUNTS, {"round_id": round_id})
    return [dict(row) for row in found.mappings()]


def compare_subjects(
    session: Session, loop_id: int, *, truth: str = "gold", stratum: str = "all"
) -> Rows:
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
