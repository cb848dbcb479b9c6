"""`farm migrate` and `farm down`: the services themselves."""

from typing import Annotated

import typer

from api.cli.output import say


def migrate(
    revision: Annotated[
        str, typer.Argument(help="Where to go: a revision's name, or head.")
    ] = "head",
) -> None:
    """Bring the database to the newest schema."""
    from sqlalchemy.orm import Session

    from api.cli.connection import open_engine
    from db.migrate import current_revision, upgrade

    with open_engine(start=True) as engine:
        with Session(engine) as session:
            before = current_revision(session) or "empty"
        upgrade(engine.url.render_as_string(hide_password=False), revision)
        with Session(engine) as session:
            after = current_revision(session)
    say(f"the database is at {after}" + (f", was {before}" if before != after else ""))


def stop_services() -> None:
    """Stop the embedded Postgres and Redis; their data stays."""
    from api import embedded
    from api.settings import load_settings

    home = load_settings().home.expanduser().resolve()
    before = embedded.status(home)
    embedded.stop(home)
    stopped = [name for name, runs in before.items() if runs]
    say(f"stopped {' and '.join(stopped)}" if stopped else f"nothing runs in {home}")
