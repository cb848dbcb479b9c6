import gzip
import json

import pytest
from sqlalchemy import select

from db.models import Event
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
        ({"id": "b", "keep": "010"}, "keep is"),
        ({"id": "b", "keep": ["0", "1", "0"]}, "for word 0"),
        ({"id": "b", "keep": [0, 0.1, 0]}, "for word 1"),
        ({"id": "b", "keep": [0, 1, 1.0]}, "for word 2"),
        ({"id": "b", "keep": [1, 255, 1]}, "keep has 255 for word 1"),
        ({"id": "b", "keep": [1, 1, -1]}, "keep has -1 for word 2"),
        ({"id": "b", "keep": [1, [], 0]}, "keep has [] for word 1"),
        ({"id": "b", "keep": {"0": 1, "1": 1, "2": 0}}, "keep is"),
        ({"id": "b", "keep": [1, 1, 1], "question": 7}, "question is 7"),
        ({"id": "b", "keep": [1, 1, 1], "question": "a\0b"}, "question holds NUL"),
        (
            {"id": "b", "keep": [1, 1, 1], "facts": [{"name": "f", "words": [1.5]}]},
            "the words of a fact are [1.5]",
        ),
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


def test_true_and_false_say_what_1_and_0_say(farm, corpus, ndjson, sessions):
    row = {"id": "b", "keep": [True, False, None]}

    farm("gold", "add", corpus, ndjson(row, name="g"), "--origin", "ann")

    with sessions() as session:
        ((stored,),) = gold.load_gold(session, range(100)).values()
    assert stored.codes_N.tolist() == [254, 0, 255]


def test_an_id_that_several_documents_share_is_reported(farm, ndjson, sessions):
    rows = [{"id": "same", "text": f"another text {n}"} for n in range(3)]
    farm("corpus", "add", "ops", ndjson(*rows))
    path = ndjson({"id": "same", "keep": [1, 0, 1]}, name="g")

    result = farm("gold", "add", "ops", path, "--origin", "ann", exit_code=2)

    assert "3 documents share the id 'same'" in result.stderr
    with sessions() as session:
        assert gold.load_gold(session, range(100)) == {}


def test_an_origin_changes_its_mind_on_purpose_only(farm, corpus, ndjson, sessions):
    row = {"id": "b", "keep": [0, 0, 0]}
    farm("gold", "add", corpus, ndjson(row, name="g"), "--origin", "ann")
    path = ndjson(row | {"keep": [1, 0, 0]}, name="g")

    refused = farm("gold", "add", corpus, path, "--origin", "ann", exit_code=2)
    done = farm("gold", "add", corpus, path, "--origin", "ann", "--replace", "--json")

    assert "replace the old" in refused.output
    assert json.loads(done.stdout) == {"stored": 1, "replaced": 1, "bad": []}
    with sessions() as session:
        ((known,),) = gold.load_gold(session, range(100)).values()
        (detail,) = session.scalars(
            select(Event.detail).where(Event.kind == "gold_replaced")
        )
    assert known.codes_N.tolist() == [254, 0, 0]
    assert detail == {"corpus": "ops", "origin": "ann", "num_texts": 1}


def test_packed_gold_is_read(farm, corpus, tmp_path):
    path = tmp_path / "gold.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": "b", "keep": [0, 1, 0]}\n'))

    done = farm("gold", "add", corpus, path, "--origin", "ann", "--json")

    assert json.loads(done.stdout)["stored"] == 1
