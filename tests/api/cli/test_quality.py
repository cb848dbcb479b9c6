import json

import numpy as np
import polars as pl
import pytest

from db.queries import corpora, labels, loops
from db.queries.labels import CountKey, Counts
from kompress.types import Label


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
            CountKey("silver", "all", "all", "farm"): Counts(1, 3, 2, 2, 1),
            CountKey("silver", "all", "number", "farm"): Counts(1, 3, 2, 1, 1),
            CountKey("silver", "log", "all", "farm"): Counts(1, 3, 2, 2, 1),
            CountKey("silver", "all", "all", "kompress-r0"): Counts(1, 3, 2, 0, 0),
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
        "loop", "round", "source", "kind", "category", "rule_set", "num_documents",
        "num_words", "num_kept", "num_must_keep", "num_must_keep_kept", "mk_in_ref",
        "keep_rate",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("by", "kind", "category"),
    [("round", "all", "all"), ("category", "all", "number"), ("kind", "log", "all")],
)
def test_a_row_stands_for_what_was_asked(farm, loop, by, kind, category):
    rows = farm.json("quality", loop, "--by", by, "--rule-set", "farm")

    assert [(row["kind"], row["category"]) for row in rows] == [(kind, category)]
    assert "0.500" in farm("quality", loop, "--by", "round").stdout


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
