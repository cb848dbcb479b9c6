import pytest

from db.queries import scores
from kompress.types import Score

FILES = {"merged.pt", "onnx/kompress-fp32.onnx", "onnx/kompress-int8-wo.onnx",
         "model.safetensors", "tokenizer.json", "tokenizer_config.json", "config.json",
         "README.md"}  # fmt: skip


@pytest.fixture
def imported(farm, student_folder):
    return farm.json("student", "import", student_folder)["id"]


def test_a_student_is_exported_with_its_scores(farm, imported, sessions, tmp_path):
    with sessions.begin() as session:
        measured = [
            Score("agent", "all", "exact_pct", 0.9712, 50, rule_set="farm"),
            Score("agent", "all", "keep_rate", 0.7834, 80),
        ]
        scores.store_scores(session, None, "student", str(imported), imported, measured)

    found = farm.json("export", "student", imported, "-o", tmp_path / "out")

    assert set(found["files"]) >= FILES
    assert found["repo_id"] == f"kompress-farm/student-{imported}"
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| agent | all | exact_pct | 0.971 |  | 0.783 |" in card
    assert "- labels: imported" in card


def test_a_students_folder_is_exported_without_a_database(
    farm, student_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("FARM_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    said = farm("export", "student", student_folder, "-o", tmp_path / "out",
                "--repo-id", "org/name", "--hf-cache", tmp_path / "hf")  # fmt: skip

    assert f"HF_HOME={tmp_path / 'hf'}" in said.stdout
    assert (tmp_path / "hf/hub/models--org--name/refs/main").is_file()
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Not measured" in card
    assert card.count("org/name") >= 1


def test_an_export_can_be_exported_again(farm, student_folder, tmp_path):
    first = farm.json("export", "student", student_folder, "-o", tmp_path / "a")
    second = farm.json("export", "student", tmp_path / "a", "-o", tmp_path / "b")

    assert first["files"] == second["files"]


def test_mistakes_are_explained_and_nothing_is_overwritten(
    farm, student_folder, tmp_path
):
    (tmp_path / "mine").write_text("precious")

    def mistake(*arguments):
        return farm.mistake("export", "student", *arguments)

    assert "holds something" in mistake(student_folder, "-o", tmp_path)
    assert "holds something" in mistake(student_folder, "-o", tmp_path / "mine")
    assert "org/name" in mistake(student_folder, "-o", tmp_path / "x", "--repo-id", "x")
    assert "no student has id 99" in mistake("99", "-o", tmp_path / "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]
    assert (tmp_path / "mine").read_text() == "precious"
