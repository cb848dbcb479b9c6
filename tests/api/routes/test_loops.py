import json

import pytest
from sqlalchemy import text

from api import queue
from api.intake import ingest
from kompress.config import LoopConfig, parse_config
from kompress.types import Document

# What differs between two loops that were started alike.
OWN = ("id", "name", "loop_id", "round_id", "created_at", "run_after")


@pytest.fixture
def corpus(sessions):
    ingest(sessions, "c", [Document("one two", "log", "a", split="train")])
    return "c"


def post(client, config, name="x"):
    return client.post(
        "/v1/loops", json={"name": name, "corpus": "c", "config": config, "priority": 3}
    )


def rows_of(sessions, name):
    tables = {
        "loops": "SELECT l.* FROM loops l WHERE name = :name",
        "rounds": "SELECT r.* FROM rounds r JOIN loops l ON l.id = r.loop_id "
        "WHERE l.name = :name",
        "jobs": "SELECT j.* FROM jobs j JOIN rounds r ON r.id = j.round_id "
        "JOIN loops l ON l.id = r.loop_id WHERE l.name = :name",
        "events": "SELECT e.kind, e.detail FROM events e JOIN loops l "
        "ON l.id = e.loop_id WHERE l.name = :name",
    }
    with sessions() as session:
        return {
            table: [
                {key: value for key, value in row.items() if key not in OWN}
                for row in session.execute(text(query), {"name": name}).mappings()
            ]
            for table, query in tables.items()
        }


def test_both_sides_enqueue_the_same_rows(client, sessions, corpus, config):
    answer = post(client, config, "over-http")
    with sessions.begin() as session:
        parsed = parse_config(LoopConfig, config)
        queue.start_loop(session, "directly", "c", parsed, priority=3, actor="me")

    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/loops/{answer.json()['id']}"
    http, direct = rows_of(sessions, "over-http"), rows_of(sessions, "directly")
    assert http == direct
    assert [len(http[name]) for name in ("loops", "rounds", "jobs", "events")] == [
        1
    ] * 4


def test_a_loop_is_found_by_id_and_by_name(client, corpus, config):
    made = post(client, config).json()

    by_id = client.get(f"/v1/loops/{made['id']}").json()
    by_name = client.get("/v1/loops/x").json()

    assert made == by_id == by_name
    assert by_name["corpus"] == "c"
    assert [row["number"] for row in by_name["rounds"]] == [1]


def test_a_config_with_mistakes_is_422_and_names_the_keys(client, corpus):
    voters = [{"name": "v", "kind": "salience"}]
    answer = post(client, {"base": {"voters": voters, "foldz": 1}, "seed": "x"})

    assert answer.status_code == 422
    assert {line.split(":")[0] for line in answer.json()["errors"]} == {
        "base.foldz",
        "seed",
    }


def test_unknown_loops_and_corpora_are_404_and_doubles_409(client, corpus, config):
    assert client.get("/v1/loops/none").status_code == 404
    assert client.get("/v1/loops/99999999999999999999").status_code == 404
    assert client.post("/v1/loops/none/pause").status_code == 404
    assert post(client, config).status_code == 201
    assert post(client, config).status_code == 409
    body = {"name": "y", "corpus": "none", "config": config}
    assert client.post("/v1/loops", json=body).status_code == 404


def test_a_loop_is_paused_resumed_and_cancelled(client, corpus, config):
    post(client, config)

    for action, status in [
        ("pause", "paused"),
        ("resume", "running"),
        ("cancel", "cancelled"),
    ]:
        answer = client.post(f"/v1/loops/x/{action}")
        assert (answer.status_code, answer.json()["status"]) == (200, status)

    again = client.post("/v1/loops/x/resume")
    assert again.status_code == 409
    assert answer.json()["rounds"][0]["status"] == "cancelled"


def test_a_round_is_added_once_none_is_open(client, sessions, corpus, config):
    post(client, config)
    early = client.post("/v1/loops/x/rounds")
    with sessions.begin() as session:
        session.execute(text("UPDATE rounds SET status = 'finished', open_jobs = 0"))

    wrong = client.post("/v1/loops/x/rounds", json={"changes": {"folds": 1}})
    added = client.post("/v1/loops/x/rounds", json={"changes": {"folds": 0}})

    assert early.status_code == 409
    assert wrong.status_code == 422
    assert added.status_code == 201
    assert (added.json()["number"], added.json()["config"]["folds"]) == (2, 0)


def test_a_corpus_without_train_documents_is_409(client, sessions, config):
    ingest(sessions, "c", [Document("one two", "log", "a", split="audit")])

    answer = post(client, config)

    assert answer.status_code == 409
    assert "none of them in train" in answer.json()["detail"]


@pytest.mark.parametrize("key", ["9" * 20, "9" * 5_000, "%C2%B2"])
def test_a_number_that_is_no_id_is_no_loop(client, key):
    answer = client.get(f"/v1/loops/{key}")

    assert answer.status_code == 404
    assert len(answer.json()["detail"]) < 1_000


@pytest.mark.parametrize("number", ["9" * 20, "9" * 5_000])
def test_a_parent_that_is_no_id_is_named(client, corpus, config, number):
    base = config["base"] | {"recipe": {"parent": f"student/{number}"}}

    answer = post(client, config | {"base": base})

    assert answer.status_code == 422
    assert "recipe.parent" in answer.json()["detail"]


def test_half_a_surrogate_pair_is_no_name(client, corpus, config):
    body = json.dumps({"name": "x", "corpus": "c\ud800", "config": config})
    answer = client.post(
        "/v1/loops", content=body, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 422
    assert "surrogate" in answer.json()["detail"]


def test_a_full_pool_is_503_and_says_when_to_come_again(client, api_key):
    pool = client.app.state.services.sessions.kw["bind"].pool
    assert client.get("/v1/loops/x").status_code == 404
    pool._timeout = 0.2
    held = [pool.connect() for _ in range(pool.size() + pool._max_overflow)]
    try:
        answer = client.get("/v1/loops/x")
        health = client.get("/healthz")
    finally:
        for connection in held:
            connection.close()

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert health.status_code == 200


def test_loops_are_listed_newest_first_by_pages(client, corpus, config):
    for name in ("x", "y", "z"):
        assert post(client, config, name).status_code == 201

    page = client.get("/v1/loops?limit=2").json()
    rest = client.get(f"/v1/loops?limit=2&before_id={page['next_before_id']}").json()

    assert [row["name"] for row in page["loops"]] == ["z", "y"]
    assert [(row["name"], row["corpus"]) for row in rest["loops"]] == [("x", "c")]
    assert rest["next_before_id"] is None


def test_a_loop_of_a_corpus_alone_is_the_one_that_the_command_starts(client, corpus):
    made = client.post("/v1/loops", json={"corpus": "c"})
    again = client.post("/v1/loops", json={"corpus": "c"})

    assert (made.status_code, again.status_code) == (201, 201)
    assert [made.json()["name"], again.json()["name"]] == ["c-1", "c-2"]
    # As `farm loop config` prints it.
    voters = [voter["name"] for voter in made.json()["config"]["base"]["voters"]]
    assert voters == ["salience", "self_information", "syntax"]


def test_a_loop_may_be_that_of_a_recipe_that_ships(client, corpus):
    sent = {"corpus": "c", "recipe": "v3", "silver_voter": "syntax"}
    made = client.post("/v1/loops", json=sent)

    assert made.status_code == 201
    assert made.json()["name"] == "c-v3-1"
    assert "the voter syntax stands in" in made.json()["notes"][0]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"recipe": "/etc/passwd"}, "no recipe is called '/etc/passwd'"),
        ({"recipe": "v3.toml"}, "no recipe is called 'v3.toml'"),
        ({"recipe": "v3", "config": {}}, "expected one of them"),
        ({"origins": {"qa": "mine"}}, "add `recipe`"),
        ({"recipe": "v3", "silver_voter": "none"}, "needs references of origin 'qa'"),
    ],
)
def test_what_a_recipe_cannot_be_is_said(client, corpus, sent, expected):
    answer = client.post("/v1/loops", json={"corpus": "c", **sent})

    assert answer.status_code == 422
    assert expected in answer.json()["detail"]


def test_another_method_is_told_all_that_the_path_has(client):
    answer = client.delete("/v1/loops")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"


def test_a_truth_value_is_no_priority(client, corpus):
    answer = client.post("/v1/loops", json={"corpus": "c", "priority": False})

    assert answer.status_code == 422
    assert "priority" in answer.json()["detail"]
