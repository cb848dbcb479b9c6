"""`farm demo`: a loop on real workers, watched, then told in words."""

import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import console, format_seconds, say, to_json, warn

if TYPE_CHECKING:
    import threading

    from sqlalchemy.orm import Session, sessionmaker

    from api.stack import Stack

CORPUS = "demo"
NUM_GENERATED = 500
SEED = 0
POLL_S = 0.5
WIDTH = 96
FAILED = 1
INTERRUPTED = 130
ENDED = ("stopped", "cancelled")


def run_demo(
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Also write every figure to this file."),
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, max=20, help="At most so many rounds.")
    ] = 5,
) -> None:
    """Label, train and repeat on the sample corpus: the whole farm in minutes."""
    from api.cli.connection import open_sessions
    from api.cli.up import open_stack, stop_on_signal
    from api.settings import load_settings

    if json_file is not None:
        _check_writable(json_file)
    started = time.monotonic()
    settings = load_settings()
    say("starting Postgres, Redis, the relay, three workers, the API and Flower …")
    with (
        stop_on_signal() as stop,
        open_sessions(start=True) as sessions,
        open_stack(settings, None, None, []) as (stack, doors),
    ):
        say(f"API     {doors.api_url}")
        say(f"Flower  {doors.flower_url}   user {doors.flower_user}, password "
            f"{doors.flower_password}")  # fmt: skip
        _load_corpus(sessions)
        loop_id, name = _start_loop(sessions, rounds)
        say(
            f"loop {name}: at most {rounds} rounds; every job below ran in a Celery "
            "worker\n"
        )
        _watch(sessions, stack, loop_id, stop)
        say("\nstopping the workers …")
        report_text = _report(sessions, loop_id, json_file)
    console().print(report_text)
    _say_goodbye(name, json_file, time.monotonic() - started)


def _check_writable(path: Path) -> None:
    """Fail now rather than after all the work."""
    is_new = not path.exists()
    with path.open("a", encoding="utf-8"):
        pass
    if is_new:
        path.unlink()


def _load_corpus(sessions: "sessionmaker[Session]") -> None:
    from api.intake import ingest_sample

    report = ingest_sample(sessions, CORPUS, generated=NUM_GENERATED, seed=SEED)
    say(
        f"corpus  {report.added} documents added, {report.duplicates} there already: "
        f"outputs of real tools, and {NUM_GENERATED} generated ones with planted facts"
    )


def _start_loop(sessions: "sessionmaker[Session]", rounds: int) -> tuple[int, str]:
    """Start the loop under a name of its own; ends what an interrupted demo left."""
    from api import queue
    from api.cli.connection import actor
    from api.loop_configs import load_loop_config
    from db.queries import corpora, loops
    from kompress.config import LoopConfig, parse_config

    plain = load_loop_config(None).model_dump()
    plain["stop"]["max_rounds"] = rounds
    config = parse_config(LoopConfig, plain)
    with sessions.begin() as session:
        corpus = corpora.get_corpus(session, CORPUS)
        for loop in loops.list_loops(session):
            if loop.corpus_id == corpus.id and loop.status not in ENDED:
                queue.cancel_loop(session, loop, actor())
                warn(f"loop {loop.name} of an earlier demo was open; it is cancelled")
        name = queue.free_name(session, CORPUS)
        loop = queue.start_loop(session, name, CORPUS, config, actor=actor())
        return loop.id, loop.name


def _watch(
    sessions: "sessionmaker[Session]",
    stack: "Stack",
    loop_id: int,
    stop: "threading.Event",
) -> None:
    """Draw progress until the loop ends.

    Raises:
        typer.Exit: a job failed or a program keeps ending (1), or Ctrl-C (130).
    """
    from api.cli.demo.progress import make_progress, update
    from db.queries import loops, progress

    tasks: dict[tuple[Any, ...], Any] = {}
    with make_progress() as bars:
        while True:
            for message in stack.tend():
                bars.console.print(message)
            with sessions() as session:
                loop = loops.get_loop(session, loop_id)
                steps = progress.list_steps(session, loop_id)
                failed = progress.failed_jobs(session, loop_id)
            update(bars, tasks, steps)
            if failed or stack.gave_up() or stop.is_set():
                break
            if loop.status in ENDED:
                return
            stop.wait(POLL_S)
    _give_up(sessions, stack, loop_id, failed)


def _give_up(
    sessions: "sessionmaker[Session]",
    stack: "Stack",
    loop_id: int,
    failed: list[dict[str, Any]],
) -> None:
    """Say why the demo ends early; a failed job stays to be looked at."""
    from api import queue
    from api.cli.alerts import print_failed
    from api.cli.connection import actor
    from db.queries import loops

    if failed:
        print_failed(failed)
        say(failed[0]["last_error"].rstrip())
        raise typer.Exit(FAILED)
    if program := stack.gave_up():
        warn(f"{program} keeps ending; the end of {stack.log_file(program)}:")
        lines = stack.log_file(program).read_text(errors="replace").splitlines()
        say("\n".join(lines[-20:]))
        raise typer.Exit(FAILED)
    with sessions.begin() as session:
        queue.cancel_loop(session, loops.get_loop(session, loop_id), actor())
    say("interrupted; the loop is cancelled, what it stored stays")
    raise typer.Exit(INTERRUPTED)


def _report(
    sessions: "sessionmaker[Session]", loop_id: int, json_file: Path | None
) -> Any:
    from rich.console import Group

    from api.cli.demo.figures import lay_out, read_figures
    from api.cli.demo.story import tell

    with sessions() as session:
        figures = read_figures(session, loop_id)
    story = tell(figures)
    if json_file is not None:
        json_file.write_text(to_json({**figures, "story": story}), encoding="utf-8")
    paragraphs = [f"\n{textwrap.fill(paragraph, WIDTH)}" for paragraph in story]
    return Group(*lay_out(figures), *paragraphs)


def _say_goodbye(name: str, json_file: Path | None, seconds: float) -> None:
    say(f"\n{format_seconds(seconds)} in all" + (
        f"; every figure is in {json_file}" if json_file else ""
    ))  # fmt: skip
    say(
        "Postgres and Redis keep running (`farm down` stops them). Ask them yourself:\n"
    )
    say(
        '  farm sql "select round, source, category, num_must_keep, mk_in_ref, '  # noqa: S608  # text to read
        f"keep_rate from label_quality where loop = '{name}' and kind = 'all' and "
        "rule_set = 'farm' order by category, round\""
    )
    say(
        '  farm sql "select round, stratum, rule, keep_rate, balanced_accuracy, '  # noqa: S608  # as above
        f"best_voter, collapsed from ensemble_paradox where loop = '{name}' and "
        "truth = 'gold' order by collapsed desc, stratum\""
    )
