import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from db.queries import corpora, labels, loops, quality
from kompress.decisions import Calibration
from kompress.types import CountKey, Label, LabelCounts, VoterStatRow


@pytest.fixture
def loop(farm, ndjson, sessions):
    """A loop whose first round labelled one text: keep, drop, keep."""
    text = {"id": "a", "kind": "log", "text": "disk is full", "split": "train"}
    farm("corpus", "add", "ops", ndjson(text))
    farm("loop", "start", "ops", "--name", "mine")
    mean_N = np.array([0.9, 0.1, 0.5], dtype=np.float16)
    label = Label(mean_N, np.zeros(3, dtype=np.float16))
    with sessions.begin() as session:
        found = loops.get_loop(session, "mine")
        (first,) = loops.rounds_of(session, found.id)
        (document,) = corpora.documents(session, found.corpus_id, 1)
        labels.store_labels(session, first.id, "silver", {document.text_id: label})
        counts = {
            CountKey("silver", "all", "all", "farm", "2"): LabelCounts(1, 3, 2, 2, 1),
            CountKey("silver", "all", "number", "farm", "2"): LabelCounts(
                1, 3, 2, 1, 1
            ),
            CountKey("silver", "log", "all", "farm", "2"): LabelCounts(1, 3, 2, 2, 1),
            CountKey("silver", "all", "all", "kompress-r0", "r0+2"): LabelCounts(
                1, 3, 2, 0, 0
            ),
        }
        labels.add_label_counts(session, first.id, counts)
    return "mine"


def test_json_gives_every_row_of_the_view(farm, loop):
    rows = farm.json("quality")

    assert len(rows) == 4
    by_key = {(r["kind"], r["category"], r["rule_set"]): r for r in rows}
    whole = by_key["all", "all", "farm"]
    assert (whole["mk_in_ref"], whole["num_must_keep"]) == (0.5, 2)
    assert whole["keep_rate"] == pytest.approx(2 / 3)
    assert by_key["all", "all", "kompress-r0"]["mk_in_ref"] is None
    assert list(whole) == [
        "loop", "round", "source", "kind", "category", "rule_set", "rule_version",
        "num_documents", "num_words", "num_kept", "num_must_keep",
        "num_must_keep_kept", "mk_in_ref", "keep_rate",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("by", "kind", "category"),
    [("round", "all", "all"), ("category", "all", "number"), ("kind", "log", "all")],
)
def test_a_row_stands_for_what_was_asked(farm, loop, by, kind, category):
    rows = farm.json("quality", loop, "--by", by, "--rule-set", "farm")

    assert [(row["kind"], row["category"]) for row in rows] == [(kind, category)]
    assert "0.500" in farm("quality", loop, "--by", "round").stdout


@pytest.fixture
def criteria(farm, loop, sessions):
    """Two teachers of the loop: one keeps for an agent, one for a question."""
    voters = [
        {"name": f"for_{c}", "kind": "teacher",
         "params": {"criterion": c, "engine": "vllm", "model": "m"}}
        for c in ("qa", "agent")
    ]  # fmt: skip
    kept = {"for_qa": (4, 1, 3), "for_agent": (6, 3, 4)}  # all, hex, number
    with sessions.begin() as session:
        found = loops.get_loop(session, loop)
        (first,) = loops.rounds_of(session, found.id)
        first.config = {**first.config, "voters": voters}
        counts = {}
        for source, (whole, hexes, numbers) in kept.items():
            # Of 10 words 4 are hex and 4 numbers.
            counts |= {
                CountKey(source, "all", "all", "farm", "2"): LabelCounts(
                    2, 10, whole, 8, hexes + numbers
                ),
                CountKey(source, "all", "number", "farm", "2"): LabelCounts(
                    2, 4, numbers, 4, numbers
                ),
                CountKey(source, "all", "hex", "farm", "2"): LabelCounts(
                    2, 4, hexes, 4, hexes
                ),
                CountKey(source, "all", "plain", "farm", "2"): LabelCounts(
                    2, 2, 0, 0, 0
                ),
                CountKey(source, "log", "all", "farm", "2"): LabelCounts(1, 9, 1, 1, 0),
            }
        labels.add_label_counts(session, first.id, counts)
        fitted = {"for_qa": Calibration(2.0, 3.5, 70), "for_agent": Calibration()}
        loops.decide(session, first.id, lambda made: replace(made, calibration=fitted))
        stats = [
            VoterStatRow(voter, "all", "must_keep", 3, 1, 0, 0, 0, 0, [], [])
            for voter in kept
        ]
        quality.add_voter_stats(session, first.id, stats)
    return ["--source", "for_qa", "--source", "for_agent"]


def test_sources_stand_side_by_side_by_category(farm, loop, criteria):
    said = farm("quality", loop, "--by", "category", *criteria).stdout

    rows = [
        [cell.strip() for cell in line.strip("│ ").split("│")]
        for line in said.splitlines()
        if line.startswith("│")
    ]
    assert "for qa (qa)" in said
    assert "for agent (agent)" in said
    # mk_in_ref of hex 1/4 and 3/4, number 3/4 and 4/4, all 4/8 and 7/8.
    assert rows == [
        ["1", "hex", "4", "0.250", "0.750", "0.500"],
        ["1", "number", "4", "0.750", "1.000", "0.250"],
        ["1", "all", "8", "0.500", "0.875", "0.375"],
        ["1", "keep_rate of all words", "–", "0.400", "0.600", "–"],
        ["1", "documents", "–", "2", "2", "–"],
    ]


def test_teachers_of_two_criteria_are_pointed_out(farm, loop, criteria):
    said = farm("quality", loop, "--by", "category").stdout

    assert "--source for_agent --source for_qa" in said


def test_only_the_sources_asked_for_are_shown(farm, loop, criteria):
    rows = farm.json("quality", loop, *criteria[:2])
    wrong = farm.mistake("quality", loop, "--source", "nobody")

    assert {row["source"] for row in rows} == {"for_qa"}
    assert len(rows) == 5
    assert "expected one of for_agent, for_qa, silver" in wrong


def test_what_voters_were_calibrated_by_is_shown(farm, loop, criteria):
    rows = farm.json("quality", loop, "--by", "voter")
    said = farm("quality", loop, "--by", "voter").stdout

    shown = {
        row["voter"]: (row["temperature"], row["strength"], row["calibration_words"])
        for row in rows
    }
    assert shown == {"for_qa": (2.0, 3.5, 70), "for_agent": (1.0, 1.0, 0)}
    assert "no calibration gold under the votes of for_agent" in said
    assert "3.500" in said
    assert "3.500" not in farm("quality", loop, "--by", "voter", *criteria[2:]).stdout


def test_what_is_missing_is_said(farm, loop):
    assert "no voter was judged" in farm("quality", "--by", "voter").stdout
    assert "no loop is called" in farm.mistake("quality", "other")
    assert farm.json("quality", loop, "--round", "2") == []


def test_a_farm_without_loops_says_so(farm):
    assert "farm loop start" in farm.mistake("quality")


def test_sql_reads_views_and_nothing_else(farm, loop):
    query = "select source, mk_in_ref from label_quality where category = 'number'"

    assert farm.json("sql", query) == [{"source": "silver", "mk_in_ref": 1.0}]
    assert "silver" in farm("sql", query).stdout
    assert "farm_reader may read the views" in farm.mistake(
        "sql", "select * from texts"
    )
    assert "refused" in farm.mistake("sql", "drop view label_quality")
    assert "no rows" in farm("sql", "select 1 where false").stdout


def test_sql_stops_at_its_limits(farm):
    limited = farm("sql", "select generate_series(1, 9)", "--max-rows", "3", "--json")
    slow = farm.mistake("sql", "select pg_sleep(9)", "--timeout", "0.2")

    assert len(json.loads(limited.stdout)) == 3
    assert "only the first 3 rows" in limited.stderr
    assert "time limit" in slow


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_labels_are_exported_word_by_word(farm, loop, tmp_path, ending):
    path = tmp_path / f"labels.{ending}"

    farm("export", "labels", loop, "--out", path)

    frame = pl.read_ndjson(path) if ending == "jsonl" else pl.read_parquet(path)
    (row,) = frame.to_dicts()
    assert (row["id"], row["kind"], row["split"]) == ("a", "log", "train")
    assert row["keep"] == [True, False, True]
    assert row["reference"] == "disk full"
    assert row["mean"] == pytest.approx([0.9, 0.1, 0.5], abs=1e-3)


def test_an_export_that_cannot_be_is_explained(farm, loop, tmp_path):
    out = tmp_path / "x.jsonl"

    assert ".parquet" in farm.mistake("export", "labels", loop, "--out", "x.csv")
    assert "no round 7" in farm.mistake("export", "labels", loop, "--round", "7",
                                        "--out", out)  # fmt: skip
    assert "no labels 'consensus'" in farm.mistake(
        "export", "labels", loop, "--source", "consensus", "--out", out
    )
    full = tmp_path / "no" / "such" / "folder.jsonl"
    assert "no such file" in farm.mistake("export", "labels", loop, "--out", full)
