"""`farm up`: the whole farm on this machine until Ctrl-C."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.output import say, warn

if TYPE_CHECKING:
    from api.programs import Doors
    from api.settings import ApiSettings
    from api.stack import Stack

TEND_S = 0.5
KEY_NAME = "farm up"


def run_up(
    api_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: 8000 or a free one.")
    ] = None,
    flower_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: 5555 or a free one.")
    ] = None,
    voter: Annotated[
        list[str],
        typer.Option(
            help="Also take jobs of a voter with a name of its own; repeat it."
        ),
    ] = [],  # noqa: B006  # typer reads the default, nobody changes it
) -> None:
    """Run Postgres, Redis, the relay, workers, the API and Flower until Ctrl-C."""
    from api.settings import load_settings

    settings = load_settings()
    with stop_on_signal() as stop:
        say("starting …")
        with open_stack(settings, api_port, flower_port, voter) as (stack, doors):
            _print_welcome(settings, doors, stack)
            while not stop.wait(TEND_S):
                for message in stack.tend():
                    warn(message)
            say("stopping: running jobs are handed back …")
    say("stopped; Postgres and Redis keep running, `farm down` stops them")


@contextmanager
def open_stack(
    settings: "ApiSettings",
    api_port: int | None,
    flower_port: int | None,
    voters: list[str],
) -> "Iterator[tuple[Stack, Doors]]":
    """Start the services, migrate, and run the programs until the end of the block.

    Raises:
        InvalidInput: a port that was asked for is in use.
        SchemaOutdated: a configured database is not at the newest migration.
        StackRunning: another process runs the stack of this home.
    """
    from api.cli.connection import find_services
    from api.embedded import Keeper
    from api.programs import list_programs, wait_until_open
    from api.stack import Stack, end_leftovers
    from kompress.recipes.load import shipped_voters
    from kompress.voters import VOTERS

    home = settings.home.expanduser().resolve()
    # Before anything looks at ports: a killed farm may still listen on them.
    end_leftovers(home)
    services = find_services(settings)
    _check_schema(services.database_url)
    doors = _choose_doors(settings, api_port, flower_port)
    names = sorted({*VOTERS, *shipped_voters(), *voters})
    programs = list_programs(
        services, doors, voters=names, lease_s=settings.lease_s, home=home
    )
    keeper = Keeper(
        home,
        postgres=not settings.database_url.get_secret_value(),
        redis=not settings.broker_url.get_secret_value(),
    )
    with Stack(programs, home, keeper.tend) as stack:
        if not wait_until_open(doors, lambda: _tend(stack)):
            warn(f"the API or Flower does not answer yet; see {home / 'logs'}")
        yield stack, doors


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set, instead of an exception."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tend(stack: "Stack") -> None:
    for message in stack.tend():
        warn(message)


def _check_schema(database_url: str) -> None:
    from sqlalchemy.orm import Session

    from db.engine import make_engine
    from db.migrate import require_current

    engine = make_engine(database_url, pool_size=1)
    try:
        with Session(engine) as session:
            require_current(session)
    finally:
        engine.dispose()


def _choose_doors(
    settings: "ApiSettings", api_port: int | None, flower_port: int | None
) -> "Doors":
    from api.programs import Doors, choose_port, make_password

    given = settings.model_fields_set  # from the environment, not a default
    api = choose_port(
        settings.api_port if api_port is None else api_port,
        is_given=api_port is not None or "api_port" in given,
    )
    flower = choose_port(
        settings.flower_port if flower_port is None else flower_port,
        is_given=flower_port is not None or "flower_port" in given,
        taken=[api],
    )
    password = settings.flower_password.get_secret_value() or make_password()
    return Doors(api, flower, settings.flower_user, password)


def _print_welcome(settings: "ApiSettings", doors: "Doors", stack: "Stack") -> None:
    say(f"\nAPI     {doors.api_url}/docs")
    say(f"Flower  {doors.flower_url}   user {doors.flower_user}, password "
        f"{doors.flower_password}")  # fmt: skip
    say(f"data    {stack.home}")
    say(f"logs    {stack.home / 'logs'}")
    if key := _make_first_key(settings):
        say(f"\nAPI key {key}\n        shown this once; more with `farm key add NAME`")
    say("\nCtrl-C stops the farm; in another terminal try `farm status --watch`")


def _make_first_key(settings: "ApiSettings") -> str:
    """Make a key if there is none and the environment brings none."""
    from api.cli.connection import open_session
    from db.queries import keys

    if settings.api_key.get_secret_value():
        return ""
    with open_session() as session:
        return "" if keys.list_keys(session) else keys.create_key(session, KEY_NAME)
