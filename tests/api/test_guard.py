import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.app import create_app
from db.migrate import downgrade, upgrade
from db.queries import keys

KEY = "farm_a1b2c3d4_" + "0" * 48


def get(client, key=None):
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return client.get("/v1/loops/none", headers=headers)


def test_a_farm_without_keys_refuses_and_says_how_to_make_one(stranger):
    answer = get(stranger, KEY)

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "farm key add" in answer.json()["detail"]


def test_only_a_known_and_unrevoked_key_passes(stranger, api_key, sessions):
    assert get(stranger).status_code == 401
    assert get(stranger, api_key[:-1]).status_code == 401
    assert get(stranger, "farm_none_" + "0" * 48).status_code == 401
    assert get(stranger, api_key).status_code == 404
    basic = stranger.get("/v1/loops/x", headers={"Authorization": f"Basic {api_key}"})
    assert basic.status_code == 401

    with sessions.begin() as session:
        keys.revoke_key(session, "tests")

    answer = get(stranger, api_key)
    assert answer.status_code == 401
    assert api_key not in answer.text


def test_many_wrong_keys_are_no_longer_looked_up_and_good_ones_pass(stranger, api_key):
    assert get(stranger, api_key).status_code == 404
    wrong = [get(stranger, f"farm_a1b2c3d4_{n:048d}").status_code for n in range(30)]

    assert set(wrong) == {401, 429}
    assert wrong[:20] == [401] * 20
    late = get(stranger, KEY)
    assert late.status_code == 429
    assert int(late.headers["retry-after"]) >= 1
    # Whoever passed before is not kept out by another's guesses.
    assert get(stranger, api_key).status_code == 404


def test_a_key_that_was_revoked_is_forgotten(stranger, api_key, sessions):
    assert get(stranger, api_key).status_code == 404
    with sessions.begin() as session:
        keys.revoke_key(session, "tests")

    assert get(stranger, api_key).status_code == 401


@pytest.mark.parametrize("path", ["/metrics", "/openapi", "/nothing", "/"])
def test_everything_but_health_and_the_description_needs_a_key(stranger, path):
    assert stranger.get(path).status_code == 401


def test_the_environment_brings_only_the_first_key(settings, sessions):
    settings = settings.model_copy(update={"api_key": SecretStr(KEY)})
    with TestClient(create_app(settings)) as client:
        assert get(client, KEY).status_code == 404
    with sessions.begin() as session:
        keys.revoke_key(session, "bootstrap")

    other = settings.model_copy(update={"api_key": SecretStr(KEY.replace("a", "b"))})
    with TestClient(create_app(other)) as client:
        assert get(client, KEY).status_code == 401
        assert get(client, KEY.replace("a", "b")).status_code == 401


def test_a_first_key_of_another_form_is_named_but_not_shown(settings):
    settings = settings.model_copy(update={"api_key": SecretStr("hunter2")})
    with TestClient(create_app(settings)) as client:
        answer = get(client, "hunter2")

    assert answer.status_code == 503
    assert "FARM_API_KEY" in answer.json()["detail"]
    assert "hunter2" not in answer.text


def test_a_database_behind_is_503_and_names_the_command(settings, database_url):
    downgrade(database_url, "base")
    with TestClient(create_app(settings)) as client:
        answer = get(client, KEY)
        assert answer.status_code == 503
        assert "farm migrate" in answer.json()["detail"]
        assert client.get("/healthz").status_code == 200
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert "farm migrate" in ready.json()["checks"]["database"]

        upgrade(database_url)

        assert get(client, KEY).status_code == 401


def test_a_body_of_megabytes_is_refused_with_or_without_a_stated_size(client):
    chunk = b" " * 65_536

    stated = client.post("/v1/loops", content=chunk * 17)
    chunked = client.post("/v1/loops", content=(chunk for _ in range(17)))

    assert [stated.status_code, chunked.status_code] == [413, 413]
    assert "1,048,576 bytes" in chunked.json()["detail"]
