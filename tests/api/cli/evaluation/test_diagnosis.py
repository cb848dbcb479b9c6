import gzip
import json

import pytest


@pytest.fixture
def gold(tmp_path):
    """Six logs of six repositories; a failure that two people found, and a hint."""
    folder = tmp_path / "gold"
    folder.mkdir()
    with gzip.open(folder / "mini.jsonl.gz", "wt") as file:
        for number in range(6):
            lines = [f"step {n} is done" for n in range(20)]
            lines[10 + number] = f"error: disk {number} is full"
            span = [[11 + number, 11 + number, "E"]]
            row = {
                "id": f"log-{number}",
                "source": "mini",
                "repository": f"r{number}",
                "text": "\n".join(lines) + "\n",
                "gold": {"a": span, "b": span},
                "signals": [{"value": "is full", "importance": "critical"}],
            }
            file.write(json.dumps(row) + "\n")
    return folder


@pytest.mark.slow
def test_a_student_stands_beside_what_needs_no_weights(farm, student_folder, gold):
    arguments = ("eval", student_folder, "--suite", "diagnosis", "--gold", gold)

    rows = farm.json(*arguments)
    said = farm(*arguments)

    value = {(row["subject"], row["metric"]): row["value"] for row in rows}
    student = f"student {student_folder}"
    assert value["error_lines", "line_auc"] == 1
    assert value["error_lines", "signals@1000"] == 1
    assert 0 <= value[student, "line_auc"] <= 1
    # A failure goes first whatever a student says of its words.
    assert value[student, "signals@20%"] == 1
    assert value[student, "lost@20%"] == 0
    assert {"linear", "majority", "product of ranks"} <= {s for s, _ in value}
    assert all(row["n"] == 6 for row in rows)
    assert "mini: means over 6 logs" in said.stdout
    assert "not stored" in said.stdout


def test_the_suite_needs_a_folder(farm, student_folder, tmp_path):
    arguments = ("eval", student_folder, "--suite", "diagnosis")

    assert "--gold is ''" in farm.mistake(*arguments)
    assert "has no *.jsonl.gz" in farm.mistake(*arguments, "--gold", tmp_path)
