import tomllib

import pytest

from api.cli.voter import parse_params
from api.errors import InvalidInput
from kompress.config import VoterConfig, parse_config


def test_a_voter_without_a_fit_is_stored_and_its_config_printed(farm):
    said = farm("voter", "add", "grammar", "--kind", "syntax").stdout

    (row,) = farm.json("voter", "list")
    assert (row["name"], row["kind"]) == ("grammar", "syntax")
    assert 'name = "grammar"' in said
    assert "--queue teach.grammar" in said


def test_a_voter_that_is_fitted_waits_for_its_first_round(farm):
    said = farm("voter", "add", "dull", "--kind", "salience", "--param",
                "keep_rate=0.4").stdout  # fmt: skip

    assert "fits and stores it" in said
    assert "keep_rate = 0.4" in said
    assert farm.json("voter", "list") == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("x", "--kind", "oracle"), "expected one of"),
        (("x", "--kind", "salience", "--param", "kep=1"), "kep"),
        (("x", "--kind", "salience", "--param", "keep_rate=2"), "keep_rate"),
        (("x", "--kind", "salience", "--param", "keep_rate"), "name=value"),
        (("Bad Name", "--kind", "salience"), "name"),
    ],
)
def test_a_wrong_voter_is_explained(farm, arguments, expected):
    assert expected in farm.mistake("voter", "add", *arguments)


ENDPOINTS = """
[hosted]
url = "https://models.invalid/v1"
models = ["large"]
external = true
"""
LOCAL = ("--kind", "teacher", "--param", "engine=vllm", "--param", "model=org/small")
HOSTED = ("--kind", "teacher", "--param", "engine=openai", "--param", "model=large")


@pytest.fixture
def endpoints(tmp_path, monkeypatch):
    path = tmp_path / "endpoints.toml"
    path.write_text(ENDPOINTS)
    monkeypatch.setenv("FARM_ENDPOINTS", str(path))
    return path


def test_a_teacher_is_stored_and_its_worker_explained(farm):
    said = farm("voter", "add", "small", *LOCAL, "--param", "criterion=qa",
                "--param", "gpus=2").stdout  # fmt: skip

    (row,) = farm.json("voter", "list")
    shown = {key: row[key] for key in ("protocol", "criterion", "engine", "model")}
    assert shown == {
        "protocol": "word_votes", "criterion": "qa", "engine": "vllm",
        "model": "org/small",
    }  # fmt: skip
    assert "[[base.voters]]" in said
    assert 'engine = "vllm"' in said
    assert (
        "CUDA_VISIBLE_DEVICES=0,1 farm worker start --queue teach.small --slots 1"
        in said
    )
    listed = farm("voter", "list").stdout
    assert "org/small" in listed
    assert "kinds: references" in listed
    assert "simulated" not in listed  # for drills


def test_an_endpoint_decides_what_a_teacher_is(farm, endpoints):
    add = ("voter", "add", "big", *HOSTED, "--param", "endpoint=hosted")

    said = farm(*add).stdout
    farm(*add)
    (first,) = farm.json("voter", "list")
    endpoints.write_text(ENDPOINTS + "logprobs = true")
    farm(*add)

    # At an endpoint that can do more it is another voter.
    rows = farm.json("voter", "list")
    assert len({first["fingerprint"], *(row["fingerprint"] for row in rows)}) == 2
    assert first["endpoint"] == "hosted"
    assert "share the limit of endpoint 'hosted'" in said
    assert "CUDA" not in said


def test_a_judge_belongs_under_the_judges(farm):
    said = farm("voter", "add", "judge", *LOCAL, "--param", "protocol=pairwise").stdout

    assert "[[base.pairwise.judges]]" in said
    assert "[base.pairwise.judges.params]" in said
    config = tomllib.loads(said.partition("config:")[2].partition("and start")[0])
    (judge,) = config["base"]["pairwise"]["judges"]
    assert parse_config(VoterConfig, judge).params["protocol"] == "pairwise"
    assert config["base"]["protocol"] == "both"


def test_a_teacher_that_corrects_waits_for_the_student_it_corrects(farm):
    said = farm("voter", "add", "expert", *LOCAL, "--param", "protocol=correct").stdout

    assert "the first round that uses it" in said
    assert farm.json("voter", "list") == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((*HOSTED, "--param", "endpoint=other"), "has: hosted"),
        (
            ("--kind", "teacher", "--param", "engine=openai", "--param", "model=tiny",
             "--param", "endpoint=hosted"),
            "does not serve 'tiny'",
        ),
        (HOSTED, "needs an endpoint"),
        ((*LOCAL, "--param", "criterion=taste"), "criterion"),
        (("--kind", "teacher", "--param", "engine=vllm"), "model"),
    ],
)  # fmt: skip
def test_a_wrong_teacher_is_explained(farm, endpoints, arguments, expected):
    assert expected in farm.mistake("voter", "add", "x", *arguments)


def test_votes_on_a_file_are_shown(farm, tmp_path):
    path = tmp_path / "text"
    path.write_text("The disk is full\nand the program has ended")

    votes = farm.json("voter", "test", "syntax", path)
    said = farm("voter", "test", "syntax", path).stdout

    assert [vote["word"] for vote in votes][:4] == ["The", "disk", "is", "full"]
    assert all(0 <= vote["p"] <= 1 for vote in votes)
    kept = sum(vote["p"] >= 0.5 for vote in votes)
    assert f"keeps {kept} of 9 words" in said


def test_a_stored_voter_is_tried_by_its_name(farm, tmp_path):
    path = tmp_path / "text"
    path.write_text("The disk is full\nand the program has ended")
    dice = ("--param", "sensitivity={all=0.0}", "--param", "specificity={all=1.0}")
    farm("voter", "add", "lazy", "--kind", "simulated", *dice)

    votes = farm.json("voter", "test", "lazy", path)
    changed = farm.json("voter", "test", "lazy", path, "--param", "samples=3")

    # It keeps nothing, neither what must be kept nor the rest.
    assert all(vote["p"] < 0.5 for vote in votes + changed)
    assert "farm voter list" in farm.mistake("voter", "test", "nobody", path)


@pytest.mark.slow  # another process
def test_a_workers_program_asks_a_teacher_and_explains_its_refusal(
    farm, endpoints, tmp_path
):
    path = tmp_path / "text"
    path.write_text("The disk is full")
    judge = ("teacher", path, *LOCAL[2:], "--param", "protocol=pairwise")
    elsewhere = ("teacher", path, *HOSTED[2:], "--param", "endpoint=other")

    assert "compares references" in farm.mistake("voter", "test", *judge)
    assert "has: hosted" in farm.mistake("voter", "test", *elsewhere)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", "is empty"), (b"\xff", "not UTF-8"), (b"a\0b", "NUL")],
)
def test_a_file_that_is_no_text_is_explained(farm, tmp_path, content, expected):
    path = tmp_path / "text"
    path.write_bytes(content)

    assert expected in farm.mistake("voter", "test", "syntax", path)


def test_a_voter_goes_into_quarantine_and_comes_back(farm):
    farm("voter", "add", "grammar", "--kind", "syntax")

    farm("voter", "quarantine", "grammar")
    assert farm.json("voter", "list")[0]["quarantined_at"]
    farm("voter", "quarantine", "grammar", "--release")
    assert farm.json("voter", "list")[0]["quarantined_at"] is None
    assert "grammar" in farm.mistake("voter", "quarantine", "other")


def test_parameters_are_read_as_toml_or_text():
    found = parse_params(["a=0.5", "b=true", "c=[1, 2]", "d=plain text", "e='q'"])

    assert found == {"a": 0.5, "b": True, "c": [1, 2], "d": "plain text", "e": "q"}
    with pytest.raises(InvalidInput, match="name=value"):
        parse_params(["=1"])
