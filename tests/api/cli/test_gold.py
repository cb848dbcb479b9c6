import json

import pytest

from db.queries import gold


@pytest.fixture
def corpus(farm, ndjson):
    rows = [{"id": "a", "text": "disk full on sda1", "split": "audit"},
            {"id": "b", "text": "all is well", "split": "train"}]  # fmt: skip
    farm("corpus", "add", "ops", ndjson(*rows))
    return "ops"


def test_gold_is_stored_for_the_use_that_the_split_decides(
    farm, corpus, ndjson, sessions
):
    rows = [
        {"id": "a", "keep": [1, 1, None, 0], "question": "Which disk?",
         "facts": [{"name": "disk", "words": [0, 3]}]},
        {"id": "b", "keep": [0, 0, 0]},
    ]  # fmt: skip

    farm("gold", "add", corpus, ndjson(*rows, name="g"), "--origin", "ann")

    with sessions() as session:
        (first,), (second,) = gold.load_gold(session, range(100)).values()
    assert first.codes_N.tolist() == [254, 254, 255, 0]
    assert (first.use, first.question) == ("evaluate", "Which disk?")
    assert first.facts[0].words == (0, 3)
    assert second.use == "calibrate"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": "z", "keep": [1]}, "no document has the id 'z'"),
        ({"id": "b", "keep": [1]}, "keep has 1 values, 'b' has 3 words"),
        ({"id": "b"}, "cannot be read"),
        (
            {"id": "b", "keep": [1, 1, 1], "facts": [{"name": "f", "words": [3]}]},
            "beyond 0..2",
        ),
    ],
)
def test_a_bad_line_is_named_and_good_ones_kept(farm, corpus, tmp_path, row, reason):
    path = tmp_path / "gold"
    good = {"id": "a", "keep": [1, 1, 1, 0]}
    path.write_text(json.dumps(row) + "\n" + json.dumps(good) + "\n")

    result = farm("gold", "add", corpus, path, "--origin", "ann", exit_code=2)

    assert f"line 1: {reason}" in result.stderr or reason in result.stderr
    assert "gold of ann for 1 documents, 1 bad lines" in result.stdout


def test_other_gold_of_the_same_origin_is_refused(farm, corpus, ndjson):
    farm("gold", "add", corpus, ndjson({"id": "b", "keep": [0, 0, 0]}), "--origin", "x")
    other = ndjson({"id": "b", "keep": [1, 0, 0]})

    assert "origin" in farm.mistake("gold", "add", corpus, other, "--origin", "x")
