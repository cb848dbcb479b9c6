"""Is the process alive, and can it serve? The only routes that need no key."""

import logging
from collections.abc import Callable
from urllib.parse import parse_qs, unquote, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from redis import Redis, RedisError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from api.advice import advise
from api.deps import AppServices, CurrentServices
from api.errors import ApiError, InvalidSettings
from api.problems import problem
from db.errors import StoreError
from db.migrate import require_current

PING_TIMEOUT_S = 2.0
LOG = logging.getLogger(__name__)

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def check_health() -> dict[str, str]:
    """Say that the process answers; asks nobody and waits for nobody."""
    return {"status": "ok"}


@router.get("/readyz", response_model=None)
def check_readiness(
    request: Request, services: CurrentServices
) -> dict[str, object] | JSONResponse:
    """Say whether the database is at the newest migration and the broker answers."""
    checks = {
        "database": _result(lambda: _check_database(services)),
        "broker": _result(
            lambda: ping_broker(services.settings.broker_url.get_secret_value())
        ),
    }
    if all(found == "ok" for found in checks.values()):
        return {"status": "ready", "checks": checks}
    faults = [f"{name}: {found}" for name, found in checks.items() if found != "ok"]
    return problem(
        503,
        "; ".join(faults),
        instance=request.url.path,
        checks=checks,
    )


def ping_broker(url: str) -> None:
    """Ask Redis for an answer.

    Args:
        url: as Celery names it: `redis://…`, `rediss://…` or, for a Unix socket,
            `redis+socket:///PATH?virtual_host=0`.

    Raises:
        InvalidSettings: the URL is empty or not one of Redis.
        RedisError: no answer within two seconds.
    """
    parts = urlsplit(url)
    if parts.scheme == "redis+socket":
        query = parse_qs(parts.query)
        database = query.get("virtual_host", ["0"])[0].strip("/") or "0"
        client = Redis(
            unix_socket_path=unquote(parts.path),
            db=int(database) if database.isdecimal() else 0,
            password=query.get("password", [parts.password])[0],
            socket_timeout=PING_TIMEOUT_S,
        )
    elif parts.scheme in ("redis", "rediss"):
        client = Redis.from_url(
            url,
            socket_timeout=PING_TIMEOUT_S,
            socket_connect_timeout=PING_TIMEOUT_S,
        )
    else:
        raise InvalidSettings(
            f"FARM_BROKER_URL has the scheme {parts.scheme!r}; expected redis://… or "
            "redis+socket://…; set it"
        )
    try:
        client.ping()
    finally:
        client.close()


def _check_database(services: AppServices) -> None:
    with services.sessions() as session:
        require_current(session)


def _result(check: Callable[[], None]) -> str:
    """Run a check; say `ok` or what is wrong, without addresses or passwords."""
    try:
        check()
    except (StoreError, ApiError) as error:
        return advise(str(error))
    except PoolTimeout:
        return "all connections are in use; wait for running requests to end"
    except (DBAPIError, RedisError, OSError) as error:
        LOG.warning("not ready: %s", type(error).__name__)
        return "does not answer; start it, or correct its URL"
    return "ok"
