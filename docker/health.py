#!/usr/bin/env python
"""The health check of a container: `python docker/health.py KIND`, exit code 0 or 1.

Not whether the container's process runs, which the engine knows, but whether it does
its work: the API is ready to serve, the relay talks to Postgres, the worker beats and
its Celery process answers through Redis, Flower shows its pages.
"""

import argparse
import os
import socket
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 8.0
# A relay and a supervisor say something every few seconds, also while they wait.
MAX_SILENCE_S = 15.0


def main() -> int:
    """Check what the command line names; one line says what was found."""
    parser = argparse.ArgumentParser(prog="health", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("api").add_argument("--port", type=int, required=True)
    kinds.add_parser("flower").add_argument("--port", type=int, required=True)
    kinds.add_parser("relay")
    kinds.add_parser("worker")
    options = parser.parse_args()
    if options.kind == "relay":
        fault = check_relay()
    elif options.kind == "worker":
        fault = check_worker(f"worker-{socket.gethostname()}")
    elif options.kind == "api":
        fault = check_url(f"http://127.0.0.1:{options.port}/readyz")
    else:
        fault = check_url(f"http://127.0.0.1:{options.port}/", _flower_login())
    sys.stdout.write(f"{fault or 'healthy'}\n")
    return 1 if fault else 0


def check_url(url: str, header: str = "") -> str:
    """Say what is wrong with a page, '' if it answers 200.

    Args:
        url: an http URL on this host.
        header: value of `Authorization`, '' for none.
    """
    headers = {"Authorization": header} if header else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  # our own URL
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310  # our own URL
            return "" if response.status == 200 else f"{url} gave {response.status}"
    except urllib.error.HTTPError as error:
        with error:
            return (
                f"{url} gave {error.code}: {error.read(500).decode(errors='replace')}"
            )
    except OSError as error:
        return f"{url} does not answer: {error}"


def check_relay() -> str:
    """Say what is wrong with the relay of this host, '' if it talks to Postgres."""
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415  # not for every kind

    from db.engine import make_engine, make_sessions  # noqa: PLC0415
    from db.queries.activity import seconds_since_last  # noqa: PLC0415

    engine = make_engine(os.environ["FARM_DATABASE_URL"], pool_size=1)
    try:
        with make_sessions(engine)() as session:
            silence_s = seconds_since_last(session, "farm relay")
    except DBAPIError as error:
        return f"Postgres does not answer: {error.orig}"
    finally:
        engine.dispose()
    if silence_s is None:
        return "the relay has no connection to Postgres"
    return _too_long("the relay", silence_s)


def check_worker(name: str) -> str:
    """Say what is wrong with a worker, '' if supervisor and Celery both answer.

    Args:
        name: its name in `workers`.
    """
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415  # not for every kind

    from db.engine import make_engine, make_sessions  # noqa: PLC0415
    from db.queries.workers import list_workers  # noqa: PLC0415
    from worker.app import app  # noqa: PLC0415

    engine = make_engine(os.environ["FARM_DATABASE_URL"], pool_size=1)
    try:
        with make_sessions(engine)() as session:
            rows = {row["name"]: row for row in list_workers(session)}
    except DBAPIError as error:
        return f"Postgres does not answer: {error.orig}"
    finally:
        engine.dispose()
    if name not in rows:
        return f"no worker has registered as {name}"
    fault = _too_long(f"worker {name}", float(rows[name]["silent_seconds"]))
    node = f"{name}@{socket.gethostname()}"
    if fault or app.control.ping(destination=[node], timeout=TIMEOUT_S):
        return fault
    return f"Celery's {node} does not answer through Redis"


def _too_long(who: str, silence_s: float) -> str:
    if silence_s <= MAX_SILENCE_S:
        return ""
    return f"{who} was last heard of {silence_s:.0f} s ago"


def _flower_login() -> str:
    from worker.flower import FlowerSettings, basic_auth  # noqa: PLC0415

    who = FlowerSettings()
    return basic_auth(who.flower_user, who.flower_password.get_secret_value())


if __name__ == "__main__":
    sys.exit(main())
