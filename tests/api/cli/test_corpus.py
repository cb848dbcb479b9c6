import json
from pathlib import Path

import pytest


def test_documents_are_added_once_and_bad_lines_named(farm, tmp_path):
    path = tmp_path / "docs.jsonl"
    good = json.dumps({"id": "a", "text": "error 42 in disk.c"})
    path.write_text(f"{good}\nnot json\n{json.dumps({'id': 'b'})}\n{good}\n")

    first = farm("corpus", "add", "ops", path, exit_code=2)
    again = farm("corpus", "add", "ops", path, exit_code=2)

    assert "ops: 1 added, 1 there already, 2 bad lines left out" in first.stdout
    assert "line 2: not JSON" in first.stderr
    assert "line 3: no text" in first.stderr
    assert "ops: 0 added, 2 there already" in again.stdout
    assert farm.json("corpus", "list")[0]["documents"] == 1


def test_a_report_in_json_lists_bad_lines(farm, tmp_path):
    path = tmp_path / "docs.jsonl"
    path.write_text('{"text": "one two"}\n[]\n')

    result = farm("corpus", "add", "ops", path, "--json", exit_code=2)

    (report,) = json.loads(result.stdout)
    assert (report["added"], report["num_bad"]) == (1, 1)
    assert report["bad"][0]["line"] == 2


def test_standard_input_is_a_file_named_dash(farm):
    farm("corpus", "add", "ops", "-", stdin='{"text": "from a pipe"}\n')

    assert farm.json("corpus", "list")[0]["words"] == 3


@pytest.mark.parametrize("content", [b"\xff\xfd", b"", b"\x00" * 10])
def test_no_content_breaks_the_command(farm, tmp_path, content):
    path = tmp_path / "odd"
    path.write_bytes(content)

    farm("corpus", "add", "ops", path, exit_code=2 if content else 0)


def test_a_missing_file_is_named(farm):
    assert "nowhere.jsonl: no such file" in farm.mistake(
        "corpus", "add", "ops", "nowhere.jsonl"
    )


def test_the_sample_is_there_with_gold(farm):
    said = farm("corpus", "sample", "--generated", "8").stdout

    (corpus,) = farm.json("corpus", "list")
    assert corpus["documents"] == 186 + 8
    assert said.startswith("sample: 194 added, 0 there already")


def test_a_new_corpus_says_whether_its_texts_may_leave(farm, ndjson):
    farm("corpus", "add", "open", ndjson({"text": "a b"}), "--external-ok")

    assert farm.json("corpus", "list")[0]["external_ok"] is True


def test_a_forgotten_text_is_gone(farm, ndjson):
    farm("corpus", "add", "ops", ndjson({"id": "a", "text": "one"}, {"text": "two"}))

    asked = farm("corpus", "forget", "a", stdin="n\n", exit_code=1)
    report = farm.json("corpus", "forget", "a", "--yes")

    assert "Delete a" in asked.stdout
    assert report == {"texts": 1, "documents": 1, "students": []}
    assert farm.json("corpus", "list")[0]["documents"] == 1
    assert "no stored text" in farm.mistake("corpus", "forget", "a", "--yes")


def test_an_empty_farm_says_how_to_begin(farm):
    assert "farm corpus add" in farm("corpus", "list").stdout
    assert farm.json("corpus", "list") == []


PAIR = {"text": "disk 7 failed with 12 errors", "reference": "disk failed 12"}


def test_references_are_added_with_their_documents(farm, ndjson):
    file = ndjson(PAIR, {"text": "one two", "reference": ""}, {"text": "x"})

    said = farm("corpus", "add", "ops", file, "--references", "c3", exit_code=2)
    report = farm(
        "corpus", "add", "ops", file, "--references", "qa", "--json", exit_code=2
    )

    assert "ops: 1 added, 0 there already, 1 references added, 2 bad" in said.stdout
    assert "line 2: reference has no words" in said.stderr
    assert "line 3: no reference" in said.stderr
    (row,) = json.loads(report.stdout)
    assert (row["added"], row["references"], row["num_bad"]) == (0, 1, 2)


def test_references_come_from_a_pipe_too(farm):
    said = farm(
        "corpus", "add", "ops", "-", "--references", "c3", stdin=json.dumps(PAIR) + "\n"
    )

    assert "1 references added" in said.stdout


def test_folders_and_kinds_of_references_are_named_on_the_command_line(farm):
    golden = Path(__file__).parents[2] / "golden" / "references"

    farm(
        "corpus", "add", "ops", golden / "dataset", "--references", "qa",
        "--format", "datasets", "--kind", "dense", exit_code=2,
    )  # fmt: skip
    farm("corpus", "add", "ops", golden / "headroom", "--references", "c3", exit_code=2)

    rows = farm.json("corpus", "losses", "ops")
    assert {(row["origin"], row["kind"]) for row in rows} == {
        ("qa", "all"), ("qa", "dense"),
        ("c3", "all"), ("c3", "Bash"), ("c3", "read_log"), ("c3", "c3"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--kind", "x"], "go with --references"),
        (["--references", "c3", "--format", "csv"], "found format 'csv'"),
        (["--references", "c3", "--format", "parquet"], "cannot be read as parquet"),
        (["--references", "c3", "--format", "datasets"], "state.json cannot be read"),
    ],
)
def test_a_mistake_about_references_is_named(farm, ndjson, options, says):
    said = farm.mistake("corpus", "add", "ops", ndjson(PAIR), *options)

    assert says in " ".join(said.replace("│", " ").split())


def test_a_missing_file_of_references_is_named(farm):
    assert "nowhere.jsonl: no such file" in farm.mistake(
        "corpus", "add", "ops", "nowhere.jsonl", "--references", "c3"
    )


def test_giant_words_are_named_by_kind(farm, ndjson):
    path = ndjson({"id": "a", "text": "x" * 200 + " word", "kind": "min_js"})

    said = farm("corpus", "add", "ops", path)

    assert "98% of the characters of kind 'min_js'" in " ".join(said.stderr.split())
