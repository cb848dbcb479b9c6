"""`python -m worker start --queue Q …`, `… relay` and `… ask`."""

import argparse
import logging
import socket
import sys

from pydantic import ValidationError

from db.engine import make_engine, make_sessions
from db.errors import StoreError
from worker.relay import run_relay, stop_on_signals
from worker.settings import WorkerSettings
from worker.supervisor import needs_engine, plan_worker, supervise


def main() -> int:
    """Run a worker's supervisor or a relay until a signal ends it, or ask once."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    options = _parse()
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        missing = ", ".join(
            f"FARM_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()
        )
        sys.stderr.write(f"worker settings: {missing}; set them\n")
        return 2
    try:
        engine = make_engine(
            settings.database_url.get_secret_value(),
            pool_size=2,
            application_name=f"farm {options.command}",
        )
    except StoreError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sessions = make_sessions(engine)
    if options.command == "ask":
        # Engines and protocols are for who asks; a relay needs neither.
        from worker.ask import run_ask  # noqa: PLC0415

        return run_ask(settings, sessions)
    stop = stop_on_signals()
    if options.command == "relay":
        # The relay needs Celery's app only to send; workers load it themselves.
        from worker.app import CelerySender  # noqa: PLC0415

        run_relay(sessions, CelerySender(), settings, stop)
        return 0
    try:
        plan = plan_worker(
            options.name,
            options.queue,
            options.slots,
            has_engine=needs_engine(sessions, options.queue),
        )
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return supervise(plan, sessions, settings, stop)


def _parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="worker", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start a worker and keep it alive")
    start.add_argument("--queue", action="append", required=True)
    start.add_argument("--slots", type=int, default=None)
    start.add_argument("--name", default=f"worker-{socket.gethostname()}")
    commands.add_parser("relay", help="send hints for pending jobs")
    commands.add_parser("ask", help="let a teacher vote on one text: JSON in and out")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
