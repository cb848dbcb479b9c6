"""What the rules that learn have learned in a round."""

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows

_FIT = {"round_id": "int8", "rule": "text", "data": "jsonb"}
_LOAD = text("""
    SELECT rule, data FROM rule_fits WHERE round_id = :round_id
    ORDER BY rule COLLATE "C"
""")
_SET_RATES = text("""
    UPDATE voter_stats
    SET fitted_sensitivity = :sensitivity, fitted_specificity = :specificity
    WHERE round_id = :round_id AND voter = :voter AND stratum = :stratum
""")


def store_fits(
    session: Session, round_id: int, fits: Mapping[str, dict[str, Any]]
) -> None:
    """Store fits by label; a repetition replaces them.

    Floats come back as the same bits (Postgres keeps the decimal digits, and Python
    writes enough of them), but for a zero's sign. NaN and infinity are no JSON.
    """
    copy_rows(
        session,
        "rule_fits",
        _FIT,
        [(round_id, rule, Jsonb(data)) for rule, data in sorted(fits.items())],
        key=("round_id", "rule"),
        on_conflict="replace",
    )


def load_fits(session: Session, round_id: int) -> dict[str, dict[str, Any]]:
    """Load what a round's rules have learned, by label."""
    rows = session.execute(_LOAD, {"round_id": round_id})
    return {row.rule: row.data for row in rows}


def set_fitted_rates(
    session: Session,
    round_id: int,
    rates: Mapping[tuple[str, str], tuple[float, float]],
) -> None:
    """Write (sensitivity, specificity) by (voter, stratum) beside the counts there."""
    if rates:
        session.execute(
            _SET_RATES,
            [
                {
                    "round_id": round_id,
                    "voter": voter,
                    "stratum": stratum,
                    "sensitivity": sensitivity,
                    "specificity": specificity,
                }
                for (voter, stratum), (sensitivity, specificity) in sorted(
                    rates.items()
                )
            ],
        )
