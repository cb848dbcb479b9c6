import pytest

from api.app import create_app
from api.errors import InvalidSettings
from api.settings import ApiSettings

ROUTES = {
    ("post", "/v1/corpora/{name}/documents"),
    ("get", "/v1/corpora"),
    ("get", "/v1/loops"),
    ("get", "/v1/students"),
    ("get", "/v1/jobs"),
    ("post", "/v1/loops"),
    ("get", "/v1/loops/{id}"),
    ("post", "/v1/loops/{id}/rounds"),
    ("post", "/v1/loops/{id}/pause"),
    ("post", "/v1/loops/{id}/resume"),
    ("post", "/v1/loops/{id}/cancel"),
    ("get", "/v1/loops/{id}/quality"),
    ("get", "/v1/loops/{id}/events"),
    ("get", "/v1/students/{id}"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
}


def test_the_routes_are_those_of_the_contract(client):
    paths = client.get("/openapi.json").json()["paths"]

    found = {(method, path) for path, item in paths.items() for method in item}
    assert found == ROUTES


def test_a_service_without_a_database_says_what_to_set():
    with pytest.raises(InvalidSettings, match="FARM_DATABASE_URL is not set"):
        create_app(ApiSettings())
