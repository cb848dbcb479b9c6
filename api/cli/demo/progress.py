"""The demo's progress: a bar a step where someone watches, else a line a step."""

from typing import TYPE_CHECKING, Any

from api.cli.output import console, format_seconds
from api.cli.status import name_step

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Step = dict[str, Any]


def make_progress() -> "Progress":
    """Make the bars."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    terminal = console()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("jobs  {task.fields[time]}"),
        console=terminal,
        # Without a terminal bars cannot be redrawn; `update` prints lines instead.
        disable=not terminal.is_terminal,
    )


def update(bars: "Progress", tasks: dict[Any, Any], steps: list[Step]) -> None:
    """Bring the bars to what the jobs table says.

    Args:
        bars: what `make_progress` gave.
        tasks: what this function remembers between calls; {} at first.
        steps: rows of `db.queries.progress.list_steps`.
    """
    for step in steps:
        key = (step["round"], step["stage"], step["wave"], step["voter"])
        if key not in tasks:
            tasks[key] = _Bar(bars.add_task("", total=None, time=""))
        bar: _Bar = tasks[key]
        if bar.is_done:
            continue
        total = step["jobs"] - step["cancelled"]
        bar.is_done = step["done"] == total
        label = f"round {step['round']}  {name_step(step):24}"
        bars.update(
            bar.task,
            description=label,
            total=total,
            # A running job counts in part, so that long ones move.
            completed=round(step["jobs_worth"], 2),
            time=_describe_time(step, is_done=bar.is_done),
        )
        if bar.is_done and bars.disable:
            seconds = format_seconds(step["seconds"])
            bars.console.print(f"{label} {total} jobs, {seconds}")


class _Bar:
    """A step's bar and whether its end was shown."""

    def __init__(self, task: "TaskID") -> None:
        self.task = task
        self.is_done = False


def _describe_time(step: Step, *, is_done: bool) -> str:
    seconds, worth = step["seconds"], step["jobs_worth"]
    if is_done or not seconds or not worth:
        return format_seconds(seconds)
    total = step["jobs"] - step["cancelled"]
    left = (total - worth) * seconds / worth
    return f"{format_seconds(seconds)}, {format_seconds(left)} left"
