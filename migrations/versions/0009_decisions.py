"""Store a round's decisions as one versioned record, facts without sentences.

Rounds that are stored already are rewritten, so that they show the same.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op

import db

revision = "0009"
down_revision = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

FOLDER = Path(db.__file__).resolve().parent / "views"
VERSION = 2
SELECTION = ("num_population", "num_expected", "num_selected", "num_random_slice",
             "residuals_known", "influences_known")  # fmt: skip
SPENDING = ("unit", "budget", "spent", "gain_bits", "num_calls", "num_replicates",
            "least_bits_per_dollar")  # fmt: skip
SPLIT = ("error", "shared_bias", "shared_variance", "own_variance")
FINDING = ("words", "value", "best_voter", "best_value", "low", "high",
           "silent")  # fmt: skip
# What a promotion said of its test, by the outcome that it is now.
BETTER = "and beats every earlier student"
TOO_FEW = re.compile(r"too few to test it against the earlier (\S+)$")
WITHIN = re.compile(
    r"its lead of (\S+) over the earlier (\S+) lies within the 95 % interval "
    r"(\S+) to (\S+)$"
)
SAME = ("voters", "quarantined", "reliability", "fallback", "budget",
        "residual_model", "influence_model")  # fmt: skip

Record = dict[str, Any]


def upgrade() -> None:
    bind = op.get_bind()
    stored = sa.text("SELECT id, decisions FROM rounds WHERE decisions <> '{}'")
    store = sa.text("UPDATE rounds SET decisions = CAST(:new AS jsonb) WHERE id = :id")
    for round_id, old in bind.execute(stored).all():
        bind.execute(store, {"id": round_id, "new": json.dumps(rewrite(old))})
    _replace_view("v02")


def downgrade() -> None:
    _replace_view("v01")
    # What version 1 has in another shape; it can do without.
    op.execute("""
        UPDATE rounds SET decisions = decisions
            - '{version,evidence,pilot,escalations,fit,diversity,promotion}'::text[]
    """)


def rewrite(old: Mapping[str, Any]) -> Record:
    """Turn decisions without a version into those of version 2."""
    changed = {
        name: change(old[name]) for name, change in CHANGES.items() if old.get(name)
    }
    same = {name: old[name] for name in SAME if name in old}
    escalations = _escalations(old)
    return {
        "version": VERSION,
        **same,
        **changed,
        **({"escalations": escalations} if escalations else {}),
    }


def _selection(old: Mapping[str, Any]) -> Record:
    return {name: old.get(name, 0) for name in SELECTION}


def _evidence(old: Mapping[str, Any]) -> Record:
    return {
        "totals": old["totals"],
        "gold_runs": old["gold_runs"],
        "corpus_gold_runs": old.get("lesson_gold_runs"),
    }


def _pilot(old: Mapping[str, Any]) -> Record:
    overall = {name: old[name] for name in FINDING if name in old}
    # What was stored speaks of all strata together.
    overall["collapses"] = old["high"] is not None and old["high"] < 0
    return {
        "documents": old["documents"],
        "truth": old["truth"],
        "rule": old["rule"],
        "overall": {"stratum": "all", **overall},
        "strata": old["strata"],
    }


def _escalations(old: Mapping[str, Any]) -> Record:
    found = {}
    for name, one in old.items():
        if not name.startswith("escalation_"):
            continue
        spending = {key: one.get(key) for key in SPENDING} if "unit" in one else None
        asked = one.get("voters", {})
        found[name.removeprefix("escalation_")] = {
            "num_documents": one["num_documents"],
            "num_gold": one.get("num_gold", 0),
            "threshold_bits": one.get("threshold_bits"),
            "spending": spending,
            "asked": {k: v for k, v in asked.items() if isinstance(v, dict)},
        }
    return found


def _diversity(old: Mapping[str, Any]) -> Record:
    moved = {"num_voters", "variance", "num_split_words", "gains", *SPLIT}
    return {
        **{name: value for name, value in old.items() if name not in moved},
        "split": {
            "num_words": old["num_split_words"],
            **{name: old[name] for name in SPLIT},
        },
        "leave_one_out": old["gains"],
    }


def _promotion(old: Mapping[str, Any]) -> Record:
    if "promoted" not in old:
        return {"promoted": None, "test": {"outcome": "no_student"}}
    return {
        "promoted": old["promoted"],
        "test": _promotion_test(old["reason"], old["f1_validation"]),
        "f1_validation": old["f1_validation"],
        "f1_report": old["f1_report"],
        "num_validation": old["num_validation"],
        "num_report": old["num_report"],
        "worse_texts": [
            {"text_sha256": one["text"], "before": one["before"], "after": one["after"]}
            for one in old["worse_texts"]
        ],
    }


def _promotion_test(reason: str, f1: Mapping[str, float]) -> Record:
    """Read the facts out of a sentence."""
    top, found, _ = reason.partition(" has the highest F1")
    if not found:
        return {"outcome": "untested"}
    if match := WITHIN.search(reason):
        lead, earlier, low, high = match.groups()
        return {
            "outcome": "within_interval",
            "top": top,
            "earlier": earlier,
            "lead": float(lead),
            "low": float(low),
            "high": float(high),
        }
    if match := TOO_FEW.search(reason):
        earlier = match.group(1)
        lead = f1[top] - f1[earlier]
        return {
            "outcome": "too_few_groups",
            "top": top,
            "earlier": earlier,
            "lead": lead,
        }
    return {"outcome": "better" if BETTER in reason else "highest", "top": top}


def _calibration(old: Mapping[str, Any]) -> Record:
    return {voter: _without_gold(one) for voter, one in old.items()}


def _without_gold(old: Mapping[str, Any]) -> Record:
    """Leave out whether there was gold: the words of it say so."""
    return {name: value for name, value in old.items() if name != "gold"}


CHANGES = {
    "selection": _selection,
    "evidence": _evidence,
    "pilot": _pilot,
    "calibration": _calibration,
    "fit": _without_gold,
    "diversity": _diversity,
    "promotion": _promotion,
}


def _replace_view(version: str) -> None:
    op.execute("DROP VIEW ensemble_diversity")
    sql = (FOLDER / f"ensemble_diversity_{version}.sql").read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
    op.execute("GRANT SELECT ON ensemble_diversity TO farm_reader")
