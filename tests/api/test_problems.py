import json

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError
from starlette.requests import ClientDisconnect

from api.errors import InvalidRequest
from api.problems import to_problem
from db.errors import Conflict, NotFound, QueryRefused, SchemaOutdated
from kompress.errors import InvalidConfig


def wrap(error):
    return DBAPIError.instance(
        "SELECT 'hunter2'", {}, error, psycopg.Error, hide_parameters=False
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("x"), 404),
        (Conflict("x"), 409),
        (QueryRefused("x"), 400),
        (SchemaOutdated("x"), 503),
        (InvalidConfig("x"), 422),
        (InvalidRequest("x"), 422),
        (ClientDisconnect(), 400),
        (wrap(psycopg.errors.UniqueViolation("hunter2")), 409),
        (wrap(psycopg.errors.NumericValueOutOfRange("hunter2")), 422),
        (wrap(psycopg.OperationalError("hunter2")), 503),
        (wrap(psycopg.errors.UndefinedTable("hunter2")), 503),
        (wrap(psycopg.errors.SyntaxError("hunter2")), 500),
        (RuntimeError("hunter2"), 500),
    ],
)
def test_every_error_is_a_problem_that_tells_no_secret(error, status):
    answer = to_problem(error, "/v1/x")

    body = json.loads(answer.body)
    assert answer.status_code == body["status"] == status
    assert answer.media_type == "application/problem+json"
    assert {"type", "title", "detail"} <= set(body)
    assert body["instance"] == "/v1/x"
    assert "hunter2" not in answer.body.decode()


def test_an_unknown_path_and_a_wrong_method_are_problems(client):
    missing = client.get("/v1/nothing")
    wrong = client.delete("/v1/loops")

    assert missing.status_code == 404
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "GET, POST"
    for answer in (missing, wrong):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


def test_a_body_that_is_not_json_or_has_unknown_keys_names_the_place(client):
    broken = client.post("/v1/loops", content=b"{")
    unknown = client.post("/v1/loops", json={"name": "x", "corpsu": "c"})

    assert broken.status_code == unknown.status_code == 422
    assert any(line.startswith("body.corpsu") for line in unknown.json()["errors"])
    assert any(line.startswith("body.corpus:") for line in unknown.json()["errors"])
    assert broken.headers["content-type"] == "application/problem+json"


def test_a_fault_of_ours_is_a_500_without_its_traceback(client):
    @client.app.get("/fault")
    def fault():
        raise RuntimeError("hunter2")

    answer = client.get("/fault")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in answer.text
