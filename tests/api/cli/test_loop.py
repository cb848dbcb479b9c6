import json

import pytest

from api.errors import InvalidInput
from api.loop_configs import load_loop_config
from db.queries import loops, workers
from kompress.errors import InvalidConfig
from kompress.stop_reason import LimitReached

SIMPLE = """
[base]
label_source = "silver"
folds = 0
[[base.voters]]
name = "grammar"
kind = "syntax"
"""


@pytest.fixture
def corpus(farm, ndjson):
    farm(
        "corpus",
        "add",
        "ops",
        ndjson({"text": "disk full", "split": "train"}, {"text": "all well"}),
    )
    return "ops"


@pytest.fixture
def simple(tmp_path):
    path = tmp_path / "loop.toml"
    path.write_text(SIMPLE)
    return path


def test_the_demo_config_is_the_story_of_three_rounds_that_goes_on():
    config = load_loop_config(None)

    first, second, third = (config.resolve(number) for number in (1, 2, 3))
    assert [voter.kind for voter in first.voters] == ["salience"]
    assert [voter.kind for voter in second.voters] == [
        "salience",
        "self_information",
        "syntax",
    ]
    assert [r.label_source for r in (first, second, third)] == [
        "silver",
        "consensus",
        "self_label",
    ]
    assert [r.folds for r in (first, second, third)] == [2, 2, 0]
    assert third.recipe.parent == "previous"
    # Each round trains on at most 1.2 M tokens, folds included.
    budgets = {r.recipe.max_train_tokens for r in (first, second, third)}
    assert None not in budgets
    assert max(budgets) <= 1_200_000
    assert config.resolve(5) == third
    # It can converge: the fourth round is the first that repeats one.
    assert (config.stop.max_rounds, config.stop.patience) == (5, 1)


def test_the_printed_config_can_be_started(farm, corpus, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(farm("loop", "config").stdout)

    row = farm.json("loop", "start", corpus, "--config", path)

    assert (row["name"], row["status"], row["corpus_seq"]) == ("ops-1", "running", 2)


def test_a_loop_warns_that_nobody_takes_its_queue(farm, corpus, simple, sessions):
    alone = farm("loop", "start", corpus, "--config", simple)
    with sessions.begin() as session:
        workers.register(session, "w", queues=["control"], slots=1, version="1")
    served = farm("loop", "start", corpus, "--config", simple)

    assert "no live worker takes the queue control" in alone.stderr
    assert served.stderr == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[base", "is not TOML"),
        ("[base]\nlabel_source = 3", "base.voters"),
        (SIMPLE + "[base.recipe]\nepochs = 'many'", "base.recipe.epochs"),
        (SIMPLE.replace('"syntax"', '"oracle"'), "oracle"),
        (SIMPLE + "\n[stop]\nmax_round = 3", "stop.max_round"),
        (SIMPLE + "[base.recipe]\nparent = 'student/7'", "no student has id 7"),
        (SIMPLE + "[base.recipe]\nparent = 'student/x'", "expected student/ID"),
    ],
)
def test_a_wrong_config_names_the_key(farm, corpus, tmp_path, text, expected):
    path = tmp_path / "loop.toml"
    path.write_text(text)

    assert expected in farm.mistake("loop", "start", corpus, "--config", path)


def test_a_config_that_is_no_toml_or_no_loop_is_refused(tmp_path):
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(InvalidInput, match=r"x\.toml is not TOML"):
        load_loop_config(path)
    path.write_text("[base]")
    with pytest.raises(InvalidConfig, match=r"x\.toml is no loop config"):
        load_loop_config(path)


def test_an_empty_corpus_is_explained(farm, sessions):
    from db.queries import corpora

    with sessions.begin() as session:
        corpora.create_corpus(session, "void")

    assert "has no documents" in farm.mistake("loop", "start", "void")
    assert "no corpus is named" in farm.mistake("loop", "start", "other")


def test_a_loop_is_paused_resumed_and_cancelled(farm, corpus, simple):
    farm("loop", "start", corpus, "--config", simple, "--name", "mine")

    farm("loop", "pause", "mine")
    assert farm.json("loop", "show", "mine")["status"] == "paused"
    farm("loop", "resume", "mine")
    assert farm.json("loop", "list")[0]["status"] == "running"
    farm("loop", "cancel", "mine")
    shown = farm.json("loop", "show", "mine")
    assert (shown["status"], shown["rounds"][0]["status"]) == ("cancelled", "cancelled")
    kinds = [event["kind"] for event in shown["events"]]
    assert kinds == ["loop_started", "loop_paused", "loop_resumed", "loop_cancelled"]
    assert "cancelled" in farm.mistake("loop", "resume", "mine")
    assert "no loop is called" in farm.mistake("loop", "pause", "other")


def test_a_round_is_added_only_where_none_is_open(farm, corpus, simple, sessions):
    farm("loop", "start", corpus, "--config", simple, "--name", "mine")
    assert "mine" in farm.mistake("round", "enqueue", "mine")
    with sessions.begin() as session:
        loop = loops.get_loop(session, "mine")
        (first,) = loops.rounds_of(session, loop.id)
        loops.finish_round(session, first.id, LimitReached("rounds", 1, 1))
        loops.stop_loop(session, loop.id, LimitReached("rounds", 1, 1), None)

    row = farm.json("round", "enqueue", "mine")

    assert (row["loop"], row["round"]) == ("mine", 2)
    assert farm.json("loop", "show", "mine")["status"] == "running"


def test_a_table_shows_the_same_loop(farm, corpus, simple):
    farm("loop", "start", corpus, "--config", simple, "--name", "mine")

    said = farm("loop", "show", "mine").stdout

    assert "loop_started" in said
    assert "Rounds" in said
    assert (
        "farm status ops-1 --watch"
        in farm("loop", "start", corpus, "--config", simple).stdout
    )
    assert json.loads(farm("loop", "list", "--json").stdout)[1]["name"] == "mine"


def test_a_recipe_runs_its_chain_with_a_stand_in_that_is_named(farm, corpus):
    said = farm("loop", "start", corpus, "--recipe", "v4", "--name", "mine").stdout
    shown = farm.json("loop", "show", "mine")

    assert "the voter salience stands in" in said
    assert "farm corpus add ops FILE --references qa" in said
    config = shown["config"]
    assert [r["recipe"]["name"] for r in config["rounds"]] == ["v3", "v4"]
    # The chain, and two rounds more at most, until one gains nothing.
    assert config["stop"] | {"max_rounds": 4, "patience": 1} == config["stop"]
    row = farm.json("loop", "start", corpus, "--recipe", "v3.1")
    assert row["name"] == "ops-v3.1-1"


def test_a_recipe_of_ones_own_is_a_file(farm, corpus, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('follows = "v3"\nlabel_source = "self_label"\n'
                    '[recipe]\nname = "mine"\nparent = "previous"\n')  # fmt: skip

    row = farm.json("loop", "start", corpus, "--recipe", path)

    config = farm.json("loop", "show", row["name"])["config"]
    assert [r["recipe"]["name"] for r in config["rounds"]] == ["v3", "mine"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--recipe", "v7"], "expected one of v3, v3.1, v3.2"),
        (["--recipe", "v8"], "needs references of origin 'c3', 'qa'"),
        (["--recipe", "v8"], "--references c3`, or --origin c3=ORIGIN"),
        (["--recipe", "v4", "--silver-voter", "oracle"], "'oracle'; expected one of"),
        (["--recipe", "v4", "--config", "x.toml"], "were both given"),
        (["--silver-voter", "syntax"], "add --recipe"),
    ],
)
def test_a_recipe_that_cannot_run_says_why(farm, corpus, options, expected):
    assert expected in farm.mistake("loop", "start", corpus, *options)
    assert farm.json("loop", "list") == []


def test_recipes_are_listed_with_their_change(farm):
    rows = {row["recipe"]: row for row in farm.json("loop", "recipes")}

    assert rows["v4"]["rounds"] == ["v3", "v4"]
    assert rows["v4"]["change"] == "self-labels of v3's student"
    assert rows["v11"]["published_exact_pct"] == 0.906
    assert list(rows)[:2] == ["v3", "v3.1"]
    assert "LoRA on Wqkv and Wo" in farm("loop", "recipes").stdout


def test_a_printed_recipe_can_be_started(farm, corpus, tmp_path):
    path = tmp_path / "v3.toml"
    text = farm("loop", "config", "--recipe", "v3").stdout
    path.write_text(text.replace('"references"', '"salience"').replace("origin", "# "))

    assert 'name = "v3"' in text
    row = farm.json("loop", "start", corpus, "--config", path)
    assert row["status"] == "running"
