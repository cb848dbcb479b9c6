"""What /openapi.json and /docs say: every status, problem+json, the key.

FastAPI describes what a route gives when all is well. The guard, the limits and the
problems stand around all routes alike, so they are described here, once.
"""

from collections.abc import Iterator
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from api.limits import OPEN_PATHS
from api.problems import MEDIA_TYPE

JSON = dict[str, Any]

DOCS = "/docs"
ASSETS = "/openapi-assets"
SCHEME = "key"
METHODS = frozenset({"get", "post", "put", "patch", "delete"})
# The guard and the limits answer before any route does.
BEFORE_ROUTES = (400, 401, 408, 413, 429, 500, 503)
MEANINGS = {
    400: "The request is no HTTP, or the client went away.",
    401: "No key came, or none that is known and not revoked.",
    404: "Nothing has that id or name.",
    408: "The body did not come in time.",
    409: "What is stored does not allow it now.",
    413: "The body is too large.",
    415: "The body is encoded.",
    422: "A value cannot be used; the problem names it.",
    429: "Too many wrong keys came from this address; see Retry-After.",
    500: "A fault of the farm; the traceback is in its log.",
    503: "The farm or its database has no room or is not ready; see Retry-After.",
}
PROBLEM: JSON = {
    "title": "Problem",
    "description": "What went wrong and what to do, by RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "string"}},
    },
}


def install(app: FastAPI) -> None:
    """Describe what surrounds an app's routes, and open /docs without a CDN."""
    describe = app.openapi

    def openapi() -> JSON:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(describe())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's manual has it
    app.mount(ASSETS, StaticFiles(directory=str(files("fastapi_offline") / "static")))

    @app.get(DOCS, include_in_schema=False)
    async def show_docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=app.title,
            swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{root}{ASSETS}/favicon.png",
        )


def is_public(path: str) -> bool:
    """Tell what needs no key: health, and the description of the rest."""
    return (
        path in OPEN_PATHS
        or path in (DOCS, "/openapi.json")
        or path.startswith(f"{ASSETS}/")
    )


def _complete(schema: JSON) -> JSON:
    """Add the problems and the key to every operation."""
    parts = schema.setdefault("components", {})
    models = parts.setdefault("schemas", {})
    models.pop("HTTPValidationError", None)
    models.pop("ValidationError", None)
    models["Problem"] = PROBLEM
    parts["securitySchemes"] = {SCHEME: {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{SCHEME: []}]
    for path, method, operation in _operations(schema):
        if path in OPEN_PATHS:
            operation["security"] = []
        # FastAPI's own 422 is not the problem that we answer.
        operation["responses"].pop("422", None)
        for status in _statuses(path, method, operation):
            operation["responses"].setdefault(str(status), _response(status))
    return schema


def _operations(schema: JSON) -> Iterator[tuple[str, str, JSON]]:
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield path, method, operation


def _statuses(path: str, method: str, operation: JSON) -> Iterator[int]:
    """Say what an operation may answer when not all is well."""
    if path == "/healthz":
        return
    if path in OPEN_PATHS:
        yield 503
        return
    yield from BEFORE_ROUTES
    if operation.get("parameters") or "requestBody" in operation:
        yield from (404, 422)
    if method == "post":
        yield 409
    if path.endswith("/documents"):
        yield 415


def _response(status: int) -> JSON:
    return {
        "description": MEANINGS.get(status, HTTPStatus(status).phrase),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
