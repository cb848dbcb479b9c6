import json

import numpy as np
import pytest

from db.queries import loops, students, texts
from db.queries.students import NewStudent
from kompress.stop_reason import LimitReached


@pytest.fixture
def trained(farm, home, ndjson, sessions):
    """An untrained, tiny student, stored as round 1's and promoted; gives its id."""
    from kompress.config import StudentConfig
    from kompress.students import Student, checkpoint
    from kompress.students.model import StudentModel
    from kompress.students.tokenizer import WordTokenizer, train_tokenizer

    texts = ["disk is full at 0x1F", "all is well with the disk"] * 20
    tokenizer = WordTokenizer(train_tokenizer(texts, vocab_size=300))
    config = StudentConfig(
        num_layers=1, hidden_size=8, num_heads=2, intermediate_size=8,
        span_channels=4, vocab_size=300,
    )  # fmt: skip
    student = Student.from_model(StudentModel(config), tokenizer, recipe={}, lineage={})
    folder = home / "student"
    student.save(folder)
    blob = checkpoint.pack(folder)
    import hashlib

    digest = hashlib.sha256(blob).hexdigest()
    place = home / "artifacts" / digest[:2] / digest
    place.parent.mkdir(parents=True)
    place.write_bytes(blob)
    held_out = {"text": "disk full", "split": "held_out", "kind": "bash_output"}
    farm("corpus", "add", "ops", ndjson(held_out, {"text": "well", "split": "train"}))
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
        loops.stop_loop(session, loop.id, LimitReached("rounds", 1, 1), student_id)
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
    assert f"student {trained}, promoted by loop mine" in said.stderr
    assert said.stdout == "disk is full at 0x1F\n"
    assert "kept 5 of 5 words (100.0%), override headroom-0.42" in said.stderr


def test_pairs_stay_together_and_what_is_overwritten_goes(
    farm, student_folder, tmp_path
):
    path = tmp_path / "values.yaml"
    frames = "\r".join(f"{n}%" for n in range(50))
    keys = [f"key{n}: value" for n in range(20)]
    path.write_text("\n".join([frames, *keys]) + "\n", newline="")
    arguments = ("compress", path, "--student", student_folder, "--override", "none")

    shown = farm.json(*arguments, "--keep-rate", "1", "--as-shown")
    half = farm.json(*arguments, "--keep-rate", "0.6", "--as-shown")

    assert shown["text"].split("\n") == ["49%", *keys]
    kept = set(half["text"].split("\n")) - {"49%"}
    assert kept
    assert kept < set(keys)


def test_whole_lines_are_kept_as_they_are(farm, student_folder, tmp_path):
    path = tmp_path / "log"
    path.write_text("".join(f"  step {n} is done\n" for n in range(40)) + "error: no\n")
    arguments = ("compress", path, "--student", student_folder, "--unit", "line")

    said = farm(*arguments, "--max-tokens", "30", "--markers")
    found = farm.json(*arguments, "--max-tokens", "30", "--markers")

    assert said.stdout == found["text"]
    assert "error: no\n" in found["text"]
    assert "lines left out (" in found["text"]
    assert len(found["text"]) <= 120
    assert "override none" in said.stderr
    assert "expected one of" in farm.mistake(*arguments)
    assert "expected one of word, line" in farm.mistake(
        "compress", path, "--student", student_folder, "--unit", "page"
    )


def test_a_pipe_gets_the_same_text_as_json_escapes_and_all(
    farm, student_folder, tmp_path
):
    path = tmp_path / "text"
    path.write_text("see \x1b[31mred\x1b[0m and 0x1F", newline="")
    arguments = ("compress", path, "--student", student_folder, "--keep-rate", "1")

    found = farm.json(*arguments)
    said = farm(*arguments)

    assert found["text"] == "see \x1b[31mred\x1b[0m and 0x1F"
    assert said.stdout == found["text"] + "\n"


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


@pytest.fixture
def elsewhere(student_folder, tmp_path):
    """An exported student that this farm does not know."""
    from kompress.export.headroom import export
    from kompress.students import load

    folder = tmp_path / "elsewhere"
    export(load(student_folder), folder, "org/name")
    return folder


def stored(sessions, home):
    """Count students and artifacts."""
    with sessions.begin() as session:
        rows = len(students.list_students(session))
    artifacts = [p for p in (home / "artifacts").rglob("*") if p.is_file()]
    return rows, len(artifacts)


def test_an_exported_student_is_imported_with_the_same_scores(
    farm, elsewhere, sessions, tmp_path
):
    path = tmp_path / "text"
    path.write_text("disk is full at 0x1F but not for long")

    found = farm.json("student", "import", elsewhere)

    ours = farm.json("compress", path, "--student", found["id"])
    theirs = farm.json("compress", path, "--student", elsewhere)
    assert ours == theirs
    with sessions.begin() as session:
        row = students.get_student(session, found["id"])
        assert (row.round_id, row.label_source, row.fold) == (None, "imported", -1)
        assert (row.recipe, row.seed, row.num_steps, row.num_tokens) == ("v4", 3, 7, 99)
        assert row.checkpoint_id == found["checkpoint_id"]
    (listed,) = farm.json("student", "list")
    assert (listed["id"], listed["loop"], listed["round"]) == (found["id"], None, None)


def test_an_imported_student_can_have_a_name(farm, elsewhere):
    farm("student", "import", elsewhere, "--name", "base")

    (row,) = farm.json("student", "list")
    assert row["recipe"] == "base"


def test_a_checkpoint_is_imported_once(farm, elsewhere, sessions, home):
    first = farm.json("student", "import", elsewhere)
    again = farm("student", "import", elsewhere)

    assert "holds this checkpoint already" in again.stdout
    assert farm.json("student", "import", elsewhere) == first
    assert stored(sessions, home) == (1, 1)


def test_texts_that_an_imported_student_saw_are_known_here(
    farm, ndjson, sessions, student_folder, tmp_path
):
    from hashlib import sha256

    from kompress.students import load

    farm("corpus", "add", "ops", ndjson({"text": "disk full"}, {"text": "unseen"}))
    student = load(student_folder)
    digests = [sha256(text).hexdigest() for text in (b"disk full", b"elsewhere")]
    student.lineage = {"texts": digests}
    student.save(tmp_path / "student")

    found = farm.json("student", "import", tmp_path / "student")

    with sessions.begin() as session:
        row = students.get_student(session, found["id"])
        (text_id,) = row.trained_text_ids
        assert texts.load_texts(session, [text_id]) == {text_id: "disk full"}


def test_a_kompress_of_another_make_is_imported(farm, elsewhere, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name in ("merged.pt", "tokenizer.json", "config.json"):
        (folder / name).write_bytes((elsewhere / name).read_bytes())
    path = tmp_path / "text"
    path.write_text("disk is full at 0x1F but not for long")

    found = farm.json("student", "import", folder, "--name", "theirs")

    ours = farm.json("compress", path, "--student", found["id"], "--keep-rate", "0.5")
    theirs = farm.json("compress", path, "--student", elsewhere, "--keep-rate", "0.5")
    assert ours["text"] == theirs["text"]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", lambda content: content[: len(content) // 2]),
        ("model.safetensors", lambda content: content[:-1] + b"\x01"),
        ("tokenizer.json", lambda content: content.replace(b"disk", b"dusk")),
        ("merged.pt", lambda content: content + b"x"),
        ("onnx/kompress-fp32.onnx", lambda content: content + b"x"),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_nothing_stored(
    farm, elsewhere, sessions, home, name, damage
):
    content = (elsewhere / name).read_bytes()
    (elsewhere / name).write_bytes(damage(content))

    assert name in farm.mistake("student", "import", elsewhere)
    assert stored(sessions, home) == (0, 0)


def test_a_foreign_checkpoint_that_is_wrong_is_refused_and_nothing_stored(
    farm, elsewhere, sessions, home, tmp_path
):
    import torch

    folder = tmp_path / "theirs"
    folder.mkdir()
    for name in ("tokenizer.json", "config.json"):
        (folder / name).write_bytes((elsewhere / name).read_bytes())
    whole = torch.load(elsewhere / "merged.pt", weights_only=True)

    def mistake(content):
        torch.save(content, folder / "merged.pt")
        return farm.mistake("student", "import", folder)

    encoder = dict(whole["encoder_state_dict"])
    encoder.pop("final_norm.weight")
    assert "final_norm.weight" in mistake(whole | {"encoder_state_dict": encoder})
    head = {"weight": torch.full((2, 32), torch.nan), "bias": torch.zeros(2)}
    assert "finite" in mistake(whole | {"token_head_state_dict": head})
    assert "merged.pt" in mistake({"code": farm})  # a pickle that asks for a class
    assert "does not exist" in farm.mistake("student", "import", tmp_path / "none")
    assert stored(sessions, home) == (0, 0)
