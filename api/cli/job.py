"""`farm job`: the rows of work."""

from typing import Annotated, Any

import typer

from api.cli.options import check_choice
from api.cli.output import AsJson, format_cell, print_json, say, show

app = typer.Typer(help="Jobs: the farm's units of work.", no_args_is_help=True)

COLUMNS = ("id", "loop", "round", "stage", "wave", "voter", "shard", "status",
           "attempt", "worker", "done", "seconds", "num_errors")  # fmt: skip
STATUSES = ("pending", "running", "done", "failed", "cancelled", "split")


@app.command("list")
def list_jobs(
    loop: Annotated[str, typer.Option(help="Only this loop's.")] = "",
    status: Annotated[str, typer.Option(help=f"One of {', '.join(STATUSES)}.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    from api.cli.connection import open_session
    from db.queries import jobs, loops

    if status:
        check_choice("--status", status, STATUSES)
    with open_session() as session:
        name = loops.get_loop(session, loop).name if loop else None
        rows = jobs.list_jobs(session, loop=name, status=status or None, limit=limit)
    for row in rows:
        row["done"] = describe_progress(row)
    show(rows, as_json=as_json, empty="no such jobs", columns=COLUMNS)


@app.command("show")
def show_job(
    job_id: Annotated[int, typer.Argument(help="The job's id.")],
    as_json: AsJson = False,
) -> None:
    """Show one job, with the error that stopped it."""
    from api.cli.connection import open_session
    from db.errors import NotFound
    from db.queries import jobs

    with open_session() as session:
        rows = jobs.list_jobs(session, job_id=job_id, limit=1)
    if not rows:
        raise NotFound(f"no job has id {job_id}; `farm job list` lists them")
    if as_json:
        print_json(rows[0])
        return
    for name, value in rows[0].items():
        if name != "last_error":
            say(f"{name:16} {format_cell(value)}")
    if rows[0]["last_error"]:
        say(f"\n{rows[0]['last_error'].rstrip()}")


@app.command("retry")
def retry_jobs(
    job_ids: Annotated[list[int], typer.Argument(help="Ids of failed jobs.")],
) -> None:
    """Let failed jobs run again, and the loops that ended for them."""
    from api import queue
    from api.cli.connection import actor, open_session

    with open_session() as session:
        for job_id in job_ids:
            queue.retry_job(session, job_id, actor())
    say(f"{len(job_ids)} jobs are pending again")


def describe_progress(row: dict[str, Any]) -> str:
    """Put a job's progress into a cell, '' where there is none."""
    total = row["progress_total"]
    return f"{row['progress_done']}/{total}" if total else ""
