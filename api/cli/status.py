"""`farm status`: live progress by stage, with rates and time left."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import AsJson, console, format_seconds, print_json, say, warn

if TYPE_CHECKING:
    from rich.console import Group
    from sqlalchemy.orm import Session

REFRESH_S = 1.0
BAR_WIDTH = 24
ENDED = ("stopped", "cancelled")


def show_status(
    loop: Annotated[str, typer.Argument(help="The loop; default: what runs.")] = "",
    watch: Annotated[
        bool, typer.Option("--watch", help="Redraw until the loop ends or Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how far loops are: jobs by stage, rates, time left, what is stuck."""
    from api.cli.connection import open_sessions

    with open_sessions() as sessions:
        if not watch:
            with sessions() as session:
                _print_once(read_status(session, loop), as_json=as_json)
            return
        from rich.live import Live

        with Live(console=console(), refresh_per_second=4) as live:
            while True:
                with sessions() as session:
                    status = read_status(session, loop)
                live.update(render(status))
                if loop and all(row["status"] in ENDED for row in status["loops"]):
                    return
                time.sleep(REFRESH_S)


def read_status(session: "Session", loop: str = "") -> dict[str, Any]:
    """Read the loops that run (or one by name), workers, and queues without any.

    Raises:
        NotFound: no loop has that name.
    """
    from api.cli.alerts import pilot_warnings
    from api.decided import describe_stop
    from db.queries import loops, progress, workers
    from db.queries.dispatch import ALIVE_S

    found = [loops.get_loop(session, loop)] if loop else []
    if not loop:
        every = loops.list_loops(session)
        found = [row for row in every if row.status not in ENDED] or list(every[:1])
    alive = [
        row for row in workers.list_workers(session) if row["silent_seconds"] <= ALIVE_S
    ]
    return {
        "loops": [
            {
                "name": row.name,
                "status": row.status,
                "stop_reason": describe_stop(row.stop_reason, row.stop),
                "steps": [with_rate(s) for s in progress.list_steps(session, row.id)],
                "failed_jobs": progress.failed_jobs(session, row.id),
                "warnings": pilot_warnings(loops.rounds_of(session, row.id)[-1:]),
            }
            for row in found
        ],
        "workers": alive,
        "unserved_queues": progress.unserved_queues(session, alive_s=ALIVE_S),
    }


def with_rate(step: dict[str, Any]) -> dict[str, Any]:
    """Add jobs a minute and seconds left to a step; None where nothing is known."""
    seconds, worth = step["seconds"], step["jobs_worth"]
    rate = worth / seconds if seconds and worth else None
    left = step["jobs"] - step["cancelled"] - worth
    is_open = step["pending"] + step["running"] + step["failed"] > 0
    if not is_open:
        seconds_left = 0.0
    elif rate and not step["failed"]:
        seconds_left = left / rate
    else:
        seconds_left = None
    return {
        **step,
        "jobs_per_minute": rate * 60 if rate else None,
        "seconds_left": seconds_left,
    }


def name_step(step: dict[str, Any]) -> str:
    """Name a step for people, for example `teach salience` or `aggregate 2`."""
    if step["voter"]:
        pilot = " (pilot)" if step["stage"] == "teach" and step["wave"] == 0 else ""
        return f"{step['stage']} {step['voter']}{pilot}"
    return f"{step['stage']} {step['wave']}" if step["wave"] > 1 else str(step["stage"])


def draw_bar(share: float) -> str:
    """Draw a bar of fixed width, full at 1."""
    full = round(max(0.0, min(1.0, share)) * BAR_WIDTH)
    return "█" * full + "░" * (BAR_WIDTH - full)


def render(status: dict[str, Any]) -> "Group":
    """Lay a status out as tables."""
    from rich.console import Group
    from rich.table import Table

    parts: list[Any] = []
    for row in status["loops"]:
        reason = f", {row['stop_reason']}" if row["stop_reason"] else ""
        title = f"{row['name']}: {row['status']}{reason}"
        table = Table(title=title, title_justify="left", title_style="bold")
        for name in (
            "round",
            "step",
            "progress",
            "jobs",
            "running",
            "jobs/min",
            "left",
        ):
            table.add_column(
                name, justify="left" if name in ("step", "progress") else "right"
            )
        for step in row["steps"]:
            table.add_row(*_cells(step))
        parts += [table, *(f"warning: {text}" for text in row["warnings"])]
    names = [worker["name"] for worker in status["workers"]]
    parts.append(f"workers alive: {', '.join(names) or 'none; `farm up` starts some'}")
    return Group(*parts)


def _cells(step: dict[str, Any]) -> list[str]:
    jobs = step["jobs"] - step["cancelled"]
    share = step["jobs_worth"] / jobs if jobs else 1.0
    rate, left = step["jobs_per_minute"], step["seconds_left"]
    failed = f" ({step['failed']} failed)" if step["failed"] else ""
    return [
        str(step["round"]),
        name_step(step),
        draw_bar(share),
        f"{step['done']}/{jobs}{failed}",
        str(step["running"]),
        f"{rate:.3g}" if rate else "–",
        format_seconds(left),
    ]


def _print_once(status: dict[str, Any], *, as_json: bool) -> None:
    from api.cli.alerts import print_failed

    if as_json:
        print_json(status)
        return
    if not status["loops"]:
        say("no loops yet; `farm demo` shows one, `farm loop start CORPUS` starts one")
    console().print(render(status))
    for row in status["loops"]:
        print_failed(row["failed_jobs"])
    for queue, jobs in status["unserved_queues"].items():
        warn(
            f"{jobs} jobs wait in {queue} and no live worker takes it; start one with "
            f"`farm up` or `farm worker start --queue {queue}`"
        )
