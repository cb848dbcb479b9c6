"""The record of a round's decisions: its shape in JSON, and who reads it in SQL."""

import ast
import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import pytest

from kompress.decisions import (
    BudgetRefusals,
    Calibration,
    Decisions,
    Diversity,
    ErrorSplit,
    Escalation,
    EvidenceTotals,
    Fallback,
    FitSummary,
    GoldRun,
    LeaveOneOutValue,
    Pilot,
    PilotFinding,
    PinnedEvidence,
    PredictionSummary,
    PromotionReport,
    PromotionTest,
    SelectionCounts,
    Spending,
    WorseText,
    as_json,
    from_json,
)
from kompress.errors import InvalidDecisions

ROOT = Path(__file__).parents[2]
PREDICTED = PredictionSummary(9, "features", 0.5, None)
EVERYTHING = Decisions(
    voters={"a": 1, "b": 2},
    quarantined=("b",),
    selection=SelectionCounts(10, 4.5, 4, 1, 0, 0),
    evidence=PinnedEvidence(
        EvidenceTotals(4, is_certain=True, gold_words=1, slice_words=2, all_words=3),
        (GoldRun("ann", 1, 3),),
        None,
    ),
    pilot=Pilot(8, "gold", "beta", PilotFinding("all", 90), ()),
    escalations={
        2: Escalation(
            num_documents=3,
            num_gold=1,
            spending=Spending("usd", 2.0, 1.5, 0.25, {"a": 2}, 1, None),
            asked={0: {"a": 2}},
        )
    },
    calibration={"a": Calibration(2.0, 0.5, 40)},
    fit=FitSummary("all", 1.0, 0.5, 100, 50, ("beta",), 7, 100, 25),
    reliability={"a": {"all": (0.75, 0.5)}},
    fallback={"hex": Fallback("a", 0.5, 0.9, -0.5, -0.25, 50)},
    diversity=Diversity(
        voters=("a", "b"), truth="gold", num_words=9, num_gold_words=4, alpha=0.5,
        alpha_soft=None, n_eff=1.5, n_eff_low=1.0, n_eff_high=2.0,
        mean_correlation=0.25, num_unidentified=0, copies=(("a", "b", 0.97),),
        identical=(("a", "b", 9),), split=ErrorSplit(4, 0.5, 0.125, 0.25, 0.125),
        strata=(("hex", 9, 4),),
        leave_one_out=(LeaveOneOutValue("a", 0.5, None, None, 4, 0.75, 0.5, 0.25),),
    ),
    residual_model=PREDICTED,
    influence_model=PREDICTED,
    promotion=PromotionReport(
        7, PromotionTest("better", "7"), {"7": 0.5}, None, 3, 2,
        (WorseText("ab", 0.5, 0.25),), "decisions", 0.8, {"7": 0.25}, None,
    ),
    budget=BudgetRefusals(2.0, 1.5, {"a": 1}),
)  # fmt: skip
# As `EVERYTHING` lies in the database: a change here needs a new version and a
# migration, unless it adds a field whose default says what older rounds did.
STORED = {
    "version": 2,
    "voters": {"a": 1, "b": 2},
    "quarantined": ["b"],
    "selection": {
        "num_population": 10, "num_expected": 4.5, "num_selected": 4,
        "num_random_slice": 1, "residuals_known": 0, "influences_known": 0,
    },
    "evidence": {
        "totals": {
            "num_documents": 4, "is_certain": True, "gold_words": 1,
            "slice_words": 2, "all_words": 3,
        },
        "gold_runs": [["ann", 1, 3]],
        "corpus_gold_runs": None,
    },
    "pilot": {
        "documents": 8,
        "truth": "gold",
        "rule": "beta",
        "overall": {
            "stratum": "all", "words": 90, "value": None, "best_voter": "",
            "best_value": None, "low": None, "high": None, "collapses": False,
            "silent": 0,
        },
        "strata": [],
    },
    "escalations": {
        "2": {
            "num_documents": 3,
            "num_gold": 1,
            "threshold_bits": None,
            "spending": {
                "unit": "usd", "budget": 2.0, "spent": 1.5, "gain_bits": 0.25,
                "num_calls": {"a": 2}, "num_replicates": 1,
                "least_bits_per_dollar": None,
            },
            "asked": {"0": {"a": 2}},
        }
    },
    "calibration": {"a": {"temperature": 2.0, "strength": 0.5, "num_words": 40}},
    "fit": {
        "documents": "all", "share": 1.0, "gold_share": 0.5,
        "num_words_available": 100, "num_gold_words_available": 50, "rules": ["beta"],
        "num_patterns": 7, "num_words": 100, "num_gold_words": 25,
    },
    "reliability": {"a": {"all": [0.75, 0.5]}},
    "fallback": {
        "hex": {
            "voter": "a", "aggregate": 0.5, "best": 0.9, "low": -0.5, "high": -0.25,
            "words": 50,
        }
    },
    "diversity": {
        "voters": ["a", "b"], "truth": "gold", "num_words": 9, "num_gold_words": 4,
        "alpha": 0.5, "alpha_soft": None, "n_eff": 1.5, "n_eff_low": 1.0,
        "n_eff_high": 2.0, "mean_correlation": 0.25, "num_unidentified": 0,
        "copies": [["a", "b", 0.97]], "identical": [["a", "b", 9]],
        "split": {
            "num_words": 4, "error": 0.5, "shared_bias": 0.125,
            "shared_variance": 0.25, "own_variance": 0.125,
        },
        "strata": [["hex", 9, 4]],
        "leave_one_out": [
            {
                "voter": "a", "bits": 0.5, "bits_low": None, "bits_high": None,
                "num_words": 4, "sensitivity": 0.75, "specificity": 0.5,
                "bits_of_another": 0.25,
            }
        ],
    },
    "residual_model": {
        "num_measured": 9, "predicted_by": "features", "r2": 0.5,
        "rank_correlation": None,
    },
    "influence_model": {
        "num_measured": 9, "predicted_by": "features", "r2": 0.5,
        "rank_correlation": None,
    },
    "promotion": {
        "promoted": 7,
        "test": {
            "outcome": "better", "top": "7", "earlier": None, "lead": None,
            "low": None, "high": None,
        },
        "f1_validation": {"7": 0.5},
        "f1_report": None,
        "num_validation": 3,
        "num_report": 2,
        "worse_texts": [{"text_sha256": "ab", "before": 0.5, "after": 0.25}],
        "figure": "decisions",
        "target_keep_rate": 0.8,
        "decisions_validation": {"7": 0.25},
        "decisions_report": None,
    },
    "budget": {"max_usd": 2.0, "spent_usd": 1.5, "refused_requests": {"a": 1}},
}  # fmt: skip


def test_every_field_has_its_place_in_json():
    assert as_json(EVERYTHING) == STORED
    assert set(STORED) - {"version"} == {f.name for f in dataclasses.fields(Decisions)}


def test_what_is_stored_is_read_back():
    stored = json.loads(json.dumps(as_json(EVERYTHING), allow_nan=False))

    assert from_json(stored) == EVERYTHING


def test_what_was_not_decided_is_left_out():
    assert as_json(Decisions()) == {"version": 2}
    # Gold was there, and nothing fell back.
    assert as_json(Decisions(fallback={})) == {"version": 2, "fallback": {}}
    assert from_json({}) == from_json({"version": 2}) == Decisions()


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"voters": {}}, "version None; expected 2"),
        ({"version": 3}, "version 3; expected 2"),
        ({"version": 2, "selection": {"num_population": 1}}, "do not fit"),
    ],
)
def test_another_shape_is_refused(stored, message):
    with pytest.raises(InvalidDecisions, match=message):
        from_json(stored)


def paths_of(kind, before=()):
    """Every path of a type in JSON; `*` stands for the key of a mapping."""
    yield before
    if dataclasses.is_dataclass(kind):
        for name, own in get_type_hints(kind).items():
            yield from paths_of(own, (*before, name))
    elif get_origin(kind) is Mapping:
        yield from paths_of(get_args(kind)[1], (*before, "*"))
    elif hasattr(kind, "__args__"):
        for part in get_args(kind):
            yield from paths_of(part, before)


# `decisions -> 'a' ->> 'b'`, `decisions ? 'a'`, `decisions #>> ARRAY['a', …]`.
STEP = r"\s*(?:->>?|\?)\s*'(\w+)'"
ARROWS = re.compile(rf"\bdecisions((?:{STEP})+)")
ARRAYS = re.compile(r"\bdecisions\s*#>>?\s*ARRAY\['(\w+)'")
RECORD = re.compile(
    rf"jsonb_to_record\(rounds\.decisions((?:{STEP})+)\) AS \w+ \(([^)]*)\)"
)


def newest_views():
    found = {}
    for path in sorted((ROOT / "db" / "views").glob("*_v*.sql")):
        found[path.stem.rpartition("_v")[0]] = path
    return list(found.values())


def sql_paths(sql):
    for steps, _ in ARROWS.findall(sql):
        yield tuple(re.findall(r"'(\w+)'", steps))
    for name in ARRAYS.findall(sql):
        yield (name,)
    for steps, _, columns in RECORD.findall(sql):
        before = tuple(re.findall(r"'(\w+)'", steps))
        for column in columns.split(","):
            yield (*before, column.split()[0])


def test_sql_reads_paths_that_the_record_has():
    known = set(paths_of(Decisions))
    queries = (ROOT / "db" / "queries").glob("*.py")

    read = {
        path: file.name
        for file in (*newest_views(), *queries)
        for path in sql_paths(file.read_text())
    }

    assert {("diversity", "split", "error"), ("voters",)} <= read.keys()
    assert {path: name for path, name in read.items() if path not in known} == {}


def reads_a_key(node):
    """Whether a node is `x.decisions[...]` or `x.decisions.get(...)`."""
    of = getattr(node, "value", None)
    return (
        isinstance(of, ast.Attribute)
        and of.attr == "decisions"
        and (isinstance(node, ast.Subscript) or getattr(node, "attr", "") == "get")
    )


def test_no_python_reads_decisions_by_a_key():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ("api", "db", "kompress", "worker")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if reads_a_key(node)
    ]

    assert found == []
