import numpy as np
import pytest

from db.queries import gold
from kompress.types import Gold
from tests.worker.worlds import query

CONFIG = """
[base]
label_source = "consensus"
folds = 0
[base.selection]
random_slice = 0.0
[base.escalation]
share = 0.25
[base.aggregation]
pilot_documents = 3
[[base.voters]]
name = "grammar"
kind = "syntax"
[[base.voters]]
name = "large"
kind = "teacher"
wave = 2
params = { engine = "openai", endpoint = "hosted", model = "large" }
[stop]
max_usd = 0.01
"""
ENDPOINTS = """
[hosted]
url = "https://api.example.com/v1"
models = ["large"]
external = true
forced_tokens = true
logprobs = true
[hosted.prices.large]
input = 1000.0
output = 2000.0
"""


@pytest.fixture
def loop_file(farm, ndjson, tmp_path, monkeypatch):
    (tmp_path / "endpoints.toml").write_text(ENDPOINTS)
    monkeypatch.setenv("FARM_ENDPOINTS", str(tmp_path / "endpoints.toml"))
    rows = [{"text": f"disk {n} is full of {n} logs"} for n in range(40)]
    farm("corpus", "add", "ops", ndjson(*rows), "--external-ok")
    path = tmp_path / "loop.toml"
    path.write_text(CONFIG)
    return path


def test_a_plan_says_what_teachers_cost_and_stores_nothing(farm, loop_file, sessions):
    plan = farm.json("loop", "start", "ops", "--config", loop_file, "--plan")

    grammar, large = plan["voters"]
    train, audit = (
        query(sessions, "SELECT count(*) FROM documents WHERE split = :s", s=split)[0][
            0
        ]
        for split in ("train", "audit")
    )
    assert grammar["documents"] == train + audit
    assert (grammar["requests"], grammar["usd"]) == (0, 0.0)
    # A quarter of all, what of audit is not among it, and the pilot's three.
    assert large["documents"] == round((train + audit) / 4 + audit * 3 / 4 + 3)
    # One request a text, 7 words and so 7 letters each.
    assert large["output_tokens"] == pytest.approx(7 * large["requests"], abs=7)
    usd = (1000 * large["input_tokens"] + 2000 * large["output_tokens"]) / 1e6
    assert large["usd"] == pytest.approx(usd, abs=0.003)
    assert plan["total"]["usd"] == large["usd"]
    assert plan["escalation_saves"]["usd"] == large["full_usd"] - large["usd"] > 0
    assert query(sessions, "SELECT count(*) FROM loops") == [(0,)]


def test_a_plan_counts_the_documents_with_gold_that_later_waves_see(
    farm, loop_file, sessions
):
    before = farm.json("loop", "start", "ops", "--config", loop_file, "--plan")
    ids = [text_id for (text_id,) in query(sessions, """
        SELECT text_id FROM documents WHERE split = 'train' ORDER BY text_id
    """)]  # fmt: skip
    with sessions.begin() as session:
        # Two runs of texts, by different people.
        for who, text_id in [("ann", i) for i in ids[:4]] + [("bob", ids[6])]:
            known = Gold(who, "calibrate", np.zeros(7, dtype=np.uint8))
            gold.store_gold(session, [(text_id, known)])

    after = farm.json("loop", "start", "ops", "--config", loop_file, "--plan")

    # Five documents of gold; a quarter of them are among the most open ones.
    grown = [
        plan["voters"][1]["documents"] for plan in (before, after)
    ]  # rounded to whole documents
    assert 3 <= grown[1] - grown[0] <= 5
    assert after["voters"][0] == before["voters"][0]


def test_a_plan_in_words_names_voters_savings_and_what_stands_against_it(
    farm, loop_file
):
    said = farm("loop", "start", "ops", "--config", loop_file, "--plan").output

    assert "large" in said
    assert "escalation saves about" in said
    assert "stop.max_usd is 0.01" in said


def test_a_plan_names_an_endpoint_that_is_not_there(farm, loop_file, tmp_path):
    (tmp_path / "endpoints.toml").write_text("")

    said = farm.mistake("loop", "start", "ops", "--config", loop_file, "--plan")

    assert "no endpoint is called 'hosted'" in said


@pytest.mark.parametrize(
    ("corpus", "name", "said"),
    [
        ("ops", "a b", "found the loop name 'a b'"),
        ("ops", "taken", "a loop named 'taken' exists"),
        ("private", "new", "which is external, but corpus 'private'"),
        ("audit", "new", "none of them in train"),
    ],
)
def test_a_plan_refuses_what_the_start_refuses(
    farm, loop_file, ndjson, corpus, name, said
):
    farm("loop", "start", "ops", "--name", "taken")
    farm("corpus", "add", "private", ndjson({"text": "a b", "split": "train"}))
    farm("corpus", "add", "audit", ndjson({"text": "a b", "split": "audit"}))
    arguments = ["loop", "start", corpus, "--config", loop_file, "--name", name]

    assert said in farm.mistake(*arguments)
    assert said in farm.mistake(*arguments, "--plan")
