"""`farm loop` and `farm round`: experiments and their iterations."""

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.options import LoopName
from api.cli.output import AsJson, format_cell, print_json, print_table, say, show, warn

app = typer.Typer(help="Loops: rounds of labelling and training.", no_args_is_help=True)
rounds = typer.Typer(help="Rounds of a loop.", no_args_is_help=True)

RecipeName = Annotated[
    str, typer.Option(help="A recipe, see `farm loop recipes`, or the path of one.")
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(help="A TOML file, see `farm loop config`; default: the demo's."),
]
Origins = Annotated[
    list[str] | None,
    typer.Option(help="RECIPE=CORPUS: the corpus' own name of references."),
]
SilverVoter = Annotated[
    str,
    typer.Option(
        help="What votes where a recipe's references are missing: a kind of voter, "
        "or `none`; default: the recipe's stand-in."
    ),
]
NewName = Annotated[str, typer.Option(help="Its name; default CORPUS-NUMBER.")]
OnlyPlan = Annotated[
    bool, typer.Option("--plan", help="Print what it will cost, start nothing.")
]
SUMMARY_COLUMNS = ("round", "status", "num_documents", "num_failures", "mk_in_ref",
                   "label_keep_rate", "f1_gold", "f1_keep_rate", "exact_pct",
                   "exact_keep_rate", "override_delta", "student", "seconds",
                   "usd")  # fmt: skip


@app.command("config")
def print_config(recipe: RecipeName = "") -> None:
    """Print the demo's loop config, or a recipe's, to start your own from."""
    from api.loop_configs import demo_config_text, recipe_config_text

    say((recipe_config_text(recipe) if recipe else demo_config_text()).rstrip())


@app.command("recipes")
def list_recipes(as_json: AsJson = False) -> None:
    """List the recipes that ship: the published line by version, then our own."""
    from kompress.recipes.load import load_recipe, recipe_chain, shipped_recipes

    rows = []
    for name in shipped_recipes():
        chain = recipe_chain(load_recipe(name))
        recipe = chain[-1]
        rows.append(
            {
                "recipe": name,
                "change": recipe.change,
                "label_source": recipe.round["label_source"],
                "rounds": [link.name for link in chain],
                "published_exact_pct": recipe.published.exact_pct,
                "published_keep_rate": recipe.published.keep_rate,
                "published_note": recipe.published.note,
            }
        )
    columns = ("recipe", "change", "label_source", "rounds", "published_exact_pct",
               "published_keep_rate")  # fmt: skip
    show(rows, as_json=as_json, empty="no recipes", columns=columns)


@app.command("start")
def start_loop(
    corpus: Annotated[str, typer.Argument(help="The corpus to label.")],
    config: ConfigFile = None,
    recipe: RecipeName = "",
    origin: Origins = None,
    silver_voter: SilverVoter = "",
    name: NewName = "",
    priority: Annotated[int, typer.Option(help="Greater goes first.")] = 0,
    plan: OnlyPlan = False,
    as_json: AsJson = False,
) -> None:
    """Start a loop on the corpus as it is now."""
    from api import queue
    from api.cli.connection import actor, open_session
    from api.loop_configs import fit_recipe, load_loop_config

    _check_sources(recipe, config, origin or [], silver_voter)
    stem = f"{corpus}-{Path(recipe).name.removesuffix('.toml')}" if recipe else corpus
    loop_config = None if recipe else load_loop_config(config)
    with open_session(start=True) as session:
        if loop_config is None:
            loop_config, notes = fit_recipe(
                session, recipe, corpus, origin or [], silver_voter
            )
            for note in notes:
                # With --json, standard output is the loop alone.
                typer.echo(note, err=as_json)
        name = name or queue.free_name(session, stem)
        if plan:
            _print_plan(session, name, corpus, loop_config, as_json=as_json)
            return
        loop = queue.start_loop(
            session,
            name,
            corpus,
            loop_config,
            priority=priority,
            actor=actor(),
            endpoints=_endpoints(),
        )
        row = _loop_row(loop)
        _warn_unserved(session)
    if as_json:
        print_json(row)
        return
    say(f"loop {row['name']} runs on {row['corpus_seq']} documents of {corpus}")
    say(f"watch it: farm status {row['name']} --watch")


@app.command("list")
def list_loops(as_json: AsJson = False) -> None:
    """List loops, newest first."""
    from api.cli.connection import open_session
    from db.queries import loops

    with open_session() as session:
        rows = [_loop_row(loop) for loop in loops.list_loops(session)]
    columns = ("id", "name", "status", "corpus_seq", "priority", "promoted_student_id",
               "stop_reason", "created_at")  # fmt: skip
    empty = "no loops yet; `farm loop start CORPUS` starts one"
    show(rows, as_json=as_json, empty=empty, columns=columns)


@app.command("show")
def show_loop(name: LoopName, as_json: AsJson = False) -> None:
    """Show a loop: its rounds, what fails, what happened last."""
    from api.cli.alerts import (
        fallback_notes,
        pilot_warnings,
        print_ensemble,
        print_failed,
    )
    from api.cli.connection import open_session
    from api.decided import event_detail, with_stop_reasons
    from db.queries import loops, progress, records
    from db.queries.views import round_summary

    with open_session() as session:
        loop = loops.get_loop(session, name)
        row = _loop_row(loop)
        summary = with_stop_reasons(
            round_summary(session, loop.name), loops.list_stops(session, loop.id)
        )
        failed = progress.failed_jobs(session, loop.id)
        held = loops.rounds_of(session, loop.id)
        by_id = {one.id: one for one in held}
        events = [
            {
                "at": e.at,
                "actor": e.actor,
                "kind": e.kind,
                "detail": event_detail(e, by_id),
            }
            for e in records.list_events(session, loop.id, limit=1000)
        ]
        config = loop.config
        warnings, notes = pilot_warnings(held), fallback_notes(held)
    if as_json:
        details = {"rounds": summary, "failed_jobs": failed, "events": events,
                   "warnings": warnings, "fallbacks": notes}  # fmt: skip
        print_json({**row, "config": config, **details})
        return
    for key, value in row.items():
        say(f"{key:20} {format_cell(value)}")
    print_table(summary, SUMMARY_COLUMNS, title="Rounds")
    print_failed(failed)
    print_ensemble(warnings, notes)
    print_table(events[-10:], ("at", "actor", "kind", "detail"), title="Last events")


@app.command("pause")
def pause_loop(name: LoopName) -> None:
    """Send no more of a loop's jobs; running ones hand themselves back."""
    _change(name, "pause_loop", "is paused; `farm loop resume` lets it go on")


@app.command("resume")
def resume_loop(name: LoopName) -> None:
    """Let a paused loop go on where it was."""
    _change(name, "resume_loop", "runs again")


@app.command("cancel")
def cancel_loop(name: LoopName) -> None:
    """End a loop; what is stored stays."""
    _change(name, "cancel_loop", "is cancelled; what it stored stays")


@rounds.command("enqueue")
def enqueue_round(
    name: LoopName,
    config: Annotated[
        Path | None, typer.Option(help="TOML: what this round does differently.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a round to a loop that has stopped."""
    from api import queue
    from api.cli.connection import actor, open_session
    from api.loop_configs import read_toml
    from db.queries import loops

    changes = read_toml(config) if config else None
    with open_session() as session:
        loop = loops.get_loop(session, name)
        row = queue.enqueue_round(session, loop, actor(), changes)
        found = {"loop": loop.name, "round": row.number, "id": row.id}
    if as_json:
        print_json(found)
    else:
        say(f"round {found['round']} of {found['loop']} waits for workers")


def _endpoints() -> Path | None:
    """Give the operator's file of endpoints, if the environment names one."""
    from api.settings import load_settings

    return load_settings().endpoints


def _print_plan(
    session: Any, name: str, corpus: str, config: Any, *, as_json: bool
) -> None:
    """Print what a loop will ask, unless its start would be refused."""
    from api.cli.plan import plan_loop, print_plan
    from api.queue import check_start

    check_start(session, name, corpus, config, endpoints=_endpoints())
    print_plan(plan_loop(session, corpus, config, _endpoints()), as_json=as_json)


def _check_sources(
    recipe: str, config: Path | None, origin: list[str], silver_voter: str
) -> None:
    """Refuse options that do not go together."""
    from api.errors import InvalidInput

    if not recipe and (origin or silver_voter):
        raise InvalidInput("--origin and --silver-voter fit a recipe; add --recipe")
    if recipe and config:
        raise InvalidInput(
            "--config and --recipe were both given; expected one of them; "
            "`farm loop config --recipe NAME` prints a config to change"
        )


def _change(name: str, verb: str, outcome: str) -> None:
    from api import queue
    from api.cli.connection import actor, open_session
    from db.queries import loops

    with open_session() as session:
        loop = loops.get_loop(session, name)
        getattr(queue, verb)(session, loop, actor())
        say(f"{loop.name} {outcome}")


def _loop_row(loop: Any) -> dict[str, Any]:
    from api.decided import describe_stop

    names = ("id", "name", "status", "stop_reason", "corpus_id", "corpus_seq",
             "priority", "promoted_student_id", "created_at",
             "finished_at")  # fmt: skip
    row = {name: getattr(loop, name) for name in names}
    return row | {"stop_reason": describe_stop(loop.stop_reason, loop.stop)}


def _warn_unserved(session: Any) -> None:
    """Say so if nothing will run: the commonest reason for a loop that hangs."""
    from db.queries import progress
    from db.queries.dispatch import ALIVE_S

    session.flush()
    for queue_name in progress.unserved_queues(session, alive_s=ALIVE_S):
        warn(
            f"no live worker takes the queue {queue_name}; start one with `farm up` or "
            f"`farm worker start --queue {queue_name}`"
        )
