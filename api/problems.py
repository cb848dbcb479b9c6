"""Every error as RFC 9457 problem+json: status, what to do; never a traceback."""

import json
import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg.errors import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedTable,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import compile_path

from api.advice import advise
from api.errors import ApiError, InvalidSettings, TooManyFailures, Unauthorized
from db.errors import NotFound, QueryRefused, SchemaOutdated, StoreError
from kompress.errors import KompressError

MEDIA_TYPE = "application/problem+json"
LOG = logging.getLogger(__name__)
RETRY_S = 5
METHOD_NOT_ALLOWED = HTTPStatus.METHOD_NOT_ALLOWED
NO_UTF8 = (
    "a value holds half of a surrogate pair, which is no Unicode text; send the pair "
    "or remove it"
)

# The first class that fits decides, so subclasses stand before their base.
_STATUS: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (Unauthorized, HTTPStatus.UNAUTHORIZED),
    (TooManyFailures, HTTPStatus.TOO_MANY_REQUESTS),
    (InvalidSettings, HTTPStatus.SERVICE_UNAVAILABLE),
    (ApiError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotFound, HTTPStatus.NOT_FOUND),
    (SchemaOutdated, HTTPStatus.SERVICE_UNAVAILABLE),
    (QueryRefused, HTTPStatus.BAD_REQUEST),
    (StoreError, HTTPStatus.CONFLICT),
    (KompressError, HTTPStatus.UNPROCESSABLE_ENTITY),
)
_DATABASE: tuple[tuple[type[Exception], HTTPStatus, str], ...] = (
    (
        IntegrityError,
        HTTPStatus.CONFLICT,
        "another request stored the same thing at the same moment; send this one again",
    ),
    (
        DataError,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "a value cannot be stored (a NUL, or a number out of range); correct it",
    ),
    (
        OperationalError,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the database does not answer; start it, or correct FARM_DATABASE_URL",
    ),
    (
        InterfaceError,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the database does not answer; start it, or correct FARM_DATABASE_URL",
    ),
)
_MISSING = (UndefinedTable, UndefinedColumn, UndefinedFunction)


def install(app: FastAPI) -> None:
    """Make an app answer every error with a problem."""
    for kind in (
        ApiError,
        StoreError,
        KompressError,
        DBAPIError,
        PoolTimeout,
        UnicodeEncodeError,
        HTTPException,
        RequestValidationError,
        ClientDisconnect,
        Exception,
    ):
        app.add_exception_handler(kind, _handle)


class _Problem(JSONResponse):
    """A problem as ASCII: it may quote half of a surrogate pair, which is no UTF-8."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def problem(
    status: int,
    detail: str,
    *,
    instance: str,
    headers: dict[str, str] | None = None,
    **extensions: Any,
) -> JSONResponse:
    """Build a problem response.

    Args:
        status: the HTTP status.
        detail: what was found, what was expected, how to fix it.
        instance: the path that was asked for.
        headers: further headers.
        extensions: further members, plain JSON.

    Source: RFC 9457; `type` is about:blank, so `title` is the status' phrase.
    """
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "instance": instance,
        **extensions,
    }
    return _Problem(body, status, headers)


def to_problem(error: Exception, instance: str) -> JSONResponse:
    """Turn any exception into a problem; what it is not meant to say stays unsaid."""
    if isinstance(error, HTTPException):
        headers = dict(error.headers or {})
        return problem(
            error.status_code,
            _http_detail(error, instance),
            instance=instance,
            headers=headers,
        )
    if isinstance(error, RequestValidationError):
        return _validation_problem(error, instance)
    if isinstance(error, ClientDisconnect):
        return problem(400, "the client went away in mid-upload", instance=instance)
    if isinstance(error, DBAPIError | PoolTimeout | UnicodeEncodeError):
        return _database_problem(error, instance)
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return problem(
                status,
                advise(str(error)),
                instance=instance,
                headers=_headers(error),
                errors=str(error).splitlines(),
            )
    return _unexpected(instance)


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": 'Bearer realm="farm"'}
    if isinstance(error, TooManyFailures):
        return {"Retry-After": str(error.retry_s)}
    return {}


async def _handle(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, HTTPException) and error.status_code == METHOD_NOT_ALLOWED:
        # The router names the methods of the first route alone that has the path.
        known = (error.headers or {}).get("Allow", "")
        error.headers = {"Allow": _methods_of(request, known)}
    return to_problem(error, request.url.path)


def _methods_of(request: Request, known: str) -> str:
    """Name every method that the app has for a path, by its description."""
    found = set(filter(None, known.split(", ")))
    for template, operations in request.app.openapi()["paths"].items():
        if compile_path(template)[0].match(request.scope["path"]):
            found |= {method.upper() for method in operations}
    return ", ".join(sorted(found))


def _http_detail(error: HTTPException, instance: str) -> str:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"nothing is at {instance!r}; GET /openapi.json lists the routes"
    if error.status_code == METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "")
        return f"this method is not for {instance!r}; expected {allowed}"
    return str(error.detail)


def _validation_problem(error: RequestValidationError, instance: str) -> JSONResponse:
    lines = [
        f"{'.'.join(map(str, e['loc']))}: {e['msg']}; found {e.get('input')!r:.80}"
        for e in error.errors()
    ]
    return problem(422, "\n".join(lines), instance=instance, errors=lines)


def _database_problem(
    error: DBAPIError | PoolTimeout | UnicodeEncodeError, instance: str
) -> JSONResponse:
    if isinstance(error, UnicodeEncodeError):
        return problem(422, NO_UTF8, instance=instance)
    if isinstance(error, PoolTimeout):
        return problem(
            503,
            "all connections to the database are in use; send the request again later",
            instance=instance,
            headers={"Retry-After": str(RETRY_S)},
        )
    if isinstance(error.orig, _MISSING):
        detail = "the database is not at the newest migration; run `farm migrate`"
        return problem(503, detail, instance=instance)
    for kind, status, detail in _DATABASE:
        if isinstance(error.orig, kind):
            # The class alone: the message may quote what was sent.
            LOG.warning("%s at %s", type(error.orig).__name__, instance)
            return problem(status, detail, instance=instance)
    return _unexpected(instance)


def _unexpected(instance: str) -> JSONResponse:
    return problem(
        500,
        "this is a fault of the farm, not of the request; the traceback is in the "
        "API's log",
        instance=instance,
    )
