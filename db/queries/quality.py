"""How good voters, rules and students were in a round: integers first."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple

from psycopg import sql
from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows, psycopg_connection, staged_rows
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
