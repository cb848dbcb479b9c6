"""`farm gc`: make room."""

from typing import Annotated

import typer

from api.cli.output import AsJson, print_json, say


def collect_garbage(
    days: Annotated[
        int | None,
        typer.Option(min=1, help="Keep so many days; default: FARM_RETENTION_DAYS."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete; without it only say what would go.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete old records of work that has ended, and files that no row names."""
    from api.cli.connection import actor, open_sessions
    from api.settings import load_settings
    from db.garbage import EVENT, collect
    from db.queries import records

    settings = load_settings()
    days = settings.retention_days if days is None else days
    with open_sessions() as sessions:
        found = collect(sessions, settings.artifacts_url, days=days, dry_run=not yes)
        if yes:
            with sessions.begin() as session:
                records.add_event(session, actor(), EVENT, detail=found.as_dict())
    if as_json:
        print_json({"deleted": yes, "days": days} | found.as_dict())
        return
    verb = "deleted" if yes else "would delete"
    say(
        f"{verb} {found.files} files ({found.bytes / 2**20:,.1f} MiB), {found.jobs} "
        f"jobs with their costs, {found.events} events, {found.answers} answers older "
        f"than {days} days, {found.workers} dead workers"
        + ("" if yes else "; --yes does it")
    )
