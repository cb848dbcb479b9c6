import pytest

from api.cli.voter import parse_params
from api.errors import InvalidInput


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


def test_votes_on_a_file_are_shown(farm, tmp_path):
    path = tmp_path / "text"
    path.write_text("The disk is full\nand the program has ended")

    votes = farm.json("voter", "test", "syntax", path)
    said = farm("voter", "test", "syntax", path).stdout

    assert [vote["word"] for vote in votes][:4] == ["The", "disk", "is", "full"]
    assert all(0 <= vote["p"] <= 1 for vote in votes)
    kept = sum(vote["p"] >= 0.5 for vote in votes)
    assert f"keeps {kept} of 9 words" in said


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
