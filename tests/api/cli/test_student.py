import json

import numpy as np
import pytest

from db.queries import loops, students
from db.queries.students import NewStudent


@pytest.fixture
def trained(farm, home, ndjson, sessions):
    """An untrained, tiny student, stored as round 1's and promoted; gives its id."""
    from kompress.config import StudentConfig
    from kompress.students import Student, checkpoint
    from kompress.students.dual_head import STUDENTS
    from kompress.students.tokenizer import WordTokenizer, train_tokenizer

    texts = ["disk is full at 0x1F", "all is well with the disk"] * 20
    tokenizer = WordTokenizer(train_tokenizer(texts, vocab_size=300))
    config = StudentConfig(
        num_layers=1, hidden_size=8, num_heads=2, intermediate_size=8,
        span_channels=4, vocab_size=300,
    )  # fmt: skip
    student = Student.from_model(
        STUDENTS[config.variant](config), tokenizer, recipe={}, lineage={}
    )
    folder = home / "student"
    student.save(folder)
    blob = checkpoint.pack(folder)
    import hashlib

    digest = hashlib.sha256(blob).hexdigest()
    place = home / "artifacts" / digest[:2] / digest
    place.parent.mkdir(parents=True)
    place.write_bytes(blob)
    farm("corpus", "add", "ops", ndjson({"text": "disk full", "split": "held_out",
                                         "kind": "bash_output"}))  # fmt: skip
    farm("loop", "start", "ops", "--name", "mine")
    with sessions.begin() as session:
        loop = loops.get_loop(session, "mine")
        (first,) = loops.rounds_of(session, loop.id)
        student_id = students.store_student(
            session,
            NewStudent(
                round_id=first.id, recipe="spine", seed=0, label_source="silver",
                artifact_hash=digest, checkpoint_id=digest, manifest_hash=digest,
                trained_text_ids=[], num_steps=1, num_tokens=10,
            ),
        )  # fmt: skip
        loops.stop_loop(session, loop.id, "done", student_id)
    return student_id


def test_students_are_listed_with_their_round(farm, trained):
    (row,) = farm.json("student", "list", "--loop", "mine")

    assert (row["id"], row["loop"], row["round"]) == (trained, "mine", 1)
    assert row["promoted"] is True


def test_the_promoted_student_shortens_a_text(farm, trained, tmp_path):
    path = tmp_path / "text"
    path.write_text("disk is full at 0x1F")

    found = farm.json("compress", path, "--keep-rate", "0.4")
    said = farm("compress", path, "--keep-rate", "1")

    assert (found["num_words"], found["num_kept"]) == (5, 2)
    assert "0x1F" in found["text"]  # the override's word
    assert said.stdout == "disk is full at 0x1F\n"
    assert "kept 5 of 5 words (100.0%), override headroom-0.42" in said.stderr


def test_a_student_is_named_by_id_and_by_folder(farm, trained, home, tmp_path):
    path = tmp_path / "text"
    path.write_text("disk is full")

    by_id = farm.json("compress", path, "--student", trained, "--override", "none")
    by_folder = farm.json("compress", path, "--student", home / "student",
                          "--override", "none")  # fmt: skip

    assert by_id == by_folder
    assert by_id["override"] == ""


def test_a_student_is_scored_on_its_own_held_out_documents(farm, trained):
    rows = farm.json("eval", trained, "--suite", "agent")

    keep_rate = [
        r for r in rows if r["metric"] == "keep_rate" and r["stratum"] == "all"
    ]
    assert {row["suite"] for row in rows} == {"agent"}
    assert {row["n"] for row in keep_rate} == {2}
    assert np.isfinite([row["value"] for row in keep_rate]).all()
    assert "exact_pct" in farm("eval", trained, "--suite", "agent").stdout


def test_a_suite_without_texts_is_left_out(farm, trained):
    result = farm("eval", trained, "--suite", "planted", "--json")

    assert json.loads(result.stdout) == []
    assert "planted has no texts" in result.stderr


def test_what_cannot_be_is_explained(farm, trained, home, tmp_path):
    path = tmp_path / "text"
    path.write_text("disk is full")

    assert "expected one of dense" in farm.mistake("eval", trained, "--suite", "odd")
    assert "no student has id 99" in farm.mistake("compress", path, "--student", "99")
    assert "expected an id" in farm.mistake("compress", path, "--student", "best")
    assert "odd" in farm.mistake("compress", path, "--override", "odd")
    assert "--corpus NAME" in farm.mistake("eval", home / "student", "--suite", "agent")
    (home / "student" / "model.safetensors").write_bytes(b"x")
    assert "differ from the sha256" in farm.mistake(
        "compress", path, "--student", home / "student"
    )


def test_a_missing_artifact_names_the_variable(farm, trained, tmp_path, monkeypatch):
    path = tmp_path / "text"
    path.write_text("disk is full")
    monkeypatch.setenv("FARM_ARTIFACTS", tmp_path.as_uri())

    assert "FARM_ARTIFACTS" in farm.mistake("compress", path)


def test_no_student_yet_is_no_riddle(farm, tmp_path):
    path = tmp_path / "text"
    path.write_text("disk is full")

    assert "no student was promoted yet" in farm.mistake("compress", path)
    assert "no students yet" in farm("student", "list").stdout
