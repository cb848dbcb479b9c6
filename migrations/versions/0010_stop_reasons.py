"""Store why a loop stopped as a code and its figures; the words are the program's.

Reasons that are stored already are taken apart; one in other words stays as it is.
"""

import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TABLES = ("rounds", "loops")
FIGURES = {
    "F1": "f1_gold",
    "exact_pct at the target keep_rate": "exact_at_target",
    "mk_in_ref before override": "mk_in_ref_raw",
}
CONVERGED = re.compile(
    r"converged: no gain in (.+) for (\d+) rounds? at keep_rate at most (\S+), and "
    r"override_delta (\S+) is within (\S+)"
)
LIMITS = {
    "rounds": re.compile(r"limit on rounds: (\S+) of (\S+) are done"),
    "usd": re.compile(r"limit on money: (\S+) of (\S+) USD are spent"),
    "seconds": re.compile(r"limit on time: (\S+) of (\S+) s are used"),
}

Record = dict[str, Any]


def upgrade() -> None:
    bind = op.get_bind()
    for name in TABLES:
        op.add_column(name, sa.Column("stop", JSONB))
        rows = sa.table(
            name, sa.column("id"), sa.column("stop_reason"), sa.column("stop", JSONB)
        )
        stored = sa.select(rows.c.id, rows.c.stop_reason).where(
            rows.c.stop_reason != ""
        )
        for row_id, sentence in bind.execute(stored).all():
            if stop := read(sentence):
                new = rows.update().values(stop=stop, stop_reason=stop["code"])
                bind.execute(new.where(rows.c.id == row_id))


def downgrade() -> None:
    """Go back; of a reason its code is left."""
    for table in TABLES:
        op.drop_column(table, "stop")


def read(sentence: str) -> Record | None:
    """Read the figures out of a sentence; None where it has other words."""
    if match := CONVERGED.fullmatch(sentence):
        names, num_rounds, keep_rate, delta, tolerance = match.groups()
        return {
            "code": "converged",
            "figures": [FIGURES[name] for name in names.split(", ")],
            "num_rounds": int(num_rounds),
            "target_keep_rate": float(keep_rate),
            "override_delta": float(delta),
            "override_tolerance": float(tolerance),
        }
    for of, pattern in LIMITS.items():
        if match := pattern.fullmatch(sentence):
            used, maximum = map(float, match.groups())
            return {"code": "limit", "of": of, "used": used, "maximum": maximum}
    return None
