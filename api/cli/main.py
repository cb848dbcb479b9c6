"""The `farm` command and its groups of commands."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from api.cli import (
    compress,
    corpus,
    export,
    garbage,
    gold,
    job,
    key,
    ladder,
    loop,
    pareto,
    serve,
    services,
    sql,
    status,
    student,
    up,
    voter,
    worker,
)
from api.cli.demo.command import run_demo
from api.cli.evaluation.command import evaluate_student
from api.cli.mistakes import exit_with
from api.cli.paradox.command import show_paradox
from api.cli.quality.command import show_quality
from kompress import VERSION


def _print_version(asked: bool) -> None:  # typer's
    if asked:
        typer.echo(f"farm {VERSION}")
        raise typer.Exit


class FarmGroup(TyperGroup):
    """The root: every error of every command passes here."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what a user can mend ends without a traceback."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:  # the one place: see mistakes
            # Typer's own errors (an unknown flag) know how to show themselves.
            if hasattr(error, "exit_code") and hasattr(error, "show"):
                raise
            exit_with(error)


app = typer.Typer(
    name="farm",
    cls=FarmGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Label text with an ensemble of voters, train a compressor on it, repeat.",
    epilog="Start with `farm demo`: a whole loop on real workers, in minutes.",
    # Of all groups and commands below.
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def take_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Say which one."
        ),
    ] = False,
) -> None:
    """Label text with an ensemble of voters, train a compressor on it, repeat."""


for module, name in (
    (corpus, "corpus"),
    (gold, "gold"),
    (key, "key"),
    (voter, "voter"),
    (student, "student"),
    (loop, "loop"),
    (ladder, "ladder"),
    (job, "job"),
    (worker, "worker"),
    (export, "export"),
):
    app.add_typer(module.app, name=name)
app.add_typer(loop.rounds, name="round")
app.command("demo")(run_demo)
app.command("up")(up.run_up)
app.command("down")(services.stop_services)
app.command("gc")(garbage.collect_garbage)
app.command("migrate")(services.migrate)
app.command("relay", hidden=True)(worker.run_relay)
app.command("status")(status.show_status)
app.command("quality")(show_quality)
app.command("pareto")(pareto.show_pareto)
app.command("paradox")(show_paradox)
app.command("sql")(sql.run_sql)
app.command("serve")(serve.serve_student)
app.command("compress")(compress.compress_file)
app.command("eval")(evaluate_student)


def run() -> None:
    """Run the command line; what `farm` starts."""
    app(prog_name="farm")
