"""Flower behind one password: `python -m worker.flower --port 5555`.

Flower leaves /metrics, /healthcheck, its static files and its error pages open; here
every URL asks for `FARM_FLOWER_USER` and `FARM_FLOWER_PASSWORD`. It is read-only: jobs
are retried and cancelled in Postgres.
"""

import argparse
import hmac
import os
import signal
import sys
from base64 import b64encode
from typing import Any

from flower.app import Flower
from flower.options import default_options
from flower.urls import settings as flower_settings
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler


class FlowerSettings(BaseSettings):
    """Who may look at Flower.

    Attributes:
        flower_user: the user's name, without a colon.
        flower_password: the password, not empty.
    """

    model_config = SettingsConfigDict(env_prefix="FARM_", extra="ignore")

    flower_user: str = Field(default="farm", pattern="^[^:]+$")
    flower_password: SecretStr = Field(min_length=1)


class AskForPassword(RequestHandler):
    """Answers whoever came without the password, whatever they asked for."""

    def prepare(self) -> None:
        """End the request before any method is looked up."""
        self.set_status(401)
        self.set_header("WWW-Authenticate", 'Basic realm="farm"')
        self.finish("Flower asks for the user and password of this farm.\n")


class ClosedFlower(Flower):  # type: ignore[misc]  # flower ships no types
    """Flower that routes no request without the password."""

    def __init__(self, expected: str, **kwargs: Any) -> None:
        """Keep the `Authorization` header that opens it."""
        super().__init__(**kwargs)
        self._expected = expected.encode()

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Route a request, or send it to `AskForPassword`."""
        found = request.headers.get("Authorization", "").encode()
        if hmac.compare_digest(found, self._expected):
            return super().find_handler(request, **kwargs)
        return self.get_handler_delegate(request, AskForPassword)


def basic_auth(user: str, password: str) -> str:
    """Give the `Authorization` header of HTTP basic authentication.

    Source: RFC 7617.
    """
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def main() -> int:
    """Serve Flower until a signal ends it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="worker.flower", description=__doc__)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    arguments = parser.parse_args()
    try:
        who = FlowerSettings()
    except ValidationError as error:
        lines = [f"FARM_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
        sys.stderr.write(f"{'; '.join(lines)}; set it\n")
        return 2
    # After the settings: a mistake in them should not read as one of Celery.
    from worker.app import app  # noqa: PLC0415

    # Flower asks workers from many threads at once, each with two connections: over the
    # workers' small pool they would wait for each other for ever, also at the end.
    app.conf.broker_pool_limit = 0
    user, password = who.flower_user, who.flower_password.get_secret_value()
    default_options.address = arguments.address
    default_options.port = arguments.port
    default_options.read_only = True
    # `args` is the hint's title: loop, round, stage, shard.
    default_options.tasks_columns = "name,args,state,received,started,runtime,worker"
    # Flower refuses its API without authentication of its own.
    default_options.basic_auth = [f"{user}:{password}"]
    served = ClosedFlower(
        basic_auth(user, password), capp=app, options=default_options, **flower_settings
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # Its threads wait on the broker for many seconds, and it keeps nothing.
        signal.signal(number, lambda *_: os._exit(0))
    served.start_http_server()
    served.start()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
