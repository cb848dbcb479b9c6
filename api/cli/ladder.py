"""`farm ladder`: version by version, what was tried, scored, cost and learned."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from api.cli.output import AsJson, print_json, say, show


class LadderGroup(TyperGroup):
    """Takes a loop's name where a command could stand: `farm ladder LOOP`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the first word that is no command and no option's value as --loop."""
        takes_value = False
        for place, word in enumerate(args):
            if word in self.commands:
                break
            if not takes_value and not word.startswith("-"):
                args = [*args[:place], "--loop", *args[place:]]
                break
            takes_value = word in ("--loop", "--suite")
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=LadderGroup,
    invoke_without_command=True,
    subcommand_metavar="[LOOP] | note STUDENT",
    help="The ladder of versions, dead ends included.",
)

COLUMNS = ("version", "change", "label_source", "student", "exact_pct", "keep_rate",
           "token_savings", "seconds", "usd", "published", "verdict",
           "lesson")  # fmt: skip
MAX_VERDICT = 40
Suite = Annotated[str, typer.Option(help="What the figures were measured on.")]


@app.callback()
def show_ladder(
    context: typer.Context,
    loop: Annotated[str, typer.Option(help="Only this loop's; default: all.")] = "",
    suite: Suite = "agent",
    as_json: AsJson = False,
) -> None:
    """Print the ladder; `farm ladder note STUDENT` writes a verdict and a lesson.

    exact_pct, keep_rate and token_savings are the student's own, without override;
    `published` is what the published version of the recipe scored, by its own
    definitions and on texts of its own: not comparable, for orientation only.
    """
    if context.invoked_subcommand:
        return
    from api.cli.connection import open_session
    from db.queries import ladder, loops

    with open_session() as session:
        loop_id = loops.get_loop(session, loop).id if loop else None
        rows = ladder.list_versions(session, loop_id, suite=suite)
    published = _published()
    for row in rows:
        row["suite"] = suite
        figures = published.get(row["version"])
        row["published_exact_pct"] = figures.exact_pct if figures else None
        row["published_keep_rate"] = figures.keep_rate if figures else None
        row["published"] = _cell(row["published_exact_pct"], row["published_keep_rate"])
    columns = COLUMNS if loop else ("loop", *COLUMNS)
    empty = (
        "nothing was tried yet; `farm loop start CORPUS --recipe v3` tries something"
    )
    show(rows, as_json=as_json, empty=empty, columns=columns)
    if not as_json and rows and all(row["exact_pct"] is None for row in rows):
        say(f"no student was scored on the suite {suite}; --suite names another one")


@app.command("note")
def note(
    student: Annotated[str, typer.Argument(help="A student's id, or `promoted`.")],
    verdict: Annotated[
        str | None, typer.Option(help="A word: kept, rejected, dead end …")
    ] = None,
    lesson: Annotated[str | None, typer.Option(help="What it taught.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a verdict, a lesson or both; what is left out stays as it was."""
    from api.cli.connection import actor, open_session
    from api.cli.named import find_student
    from api.errors import InvalidInput
    from db.queries import ladder

    if verdict is None and lesson is None:
        raise InvalidInput(
            "nothing to note; give --verdict WORD, --lesson TEXT or both"
        )
    if verdict is not None and len(verdict) > MAX_VERDICT:
        raise InvalidInput(
            f"--verdict has {len(verdict)} characters; expected at most {MAX_VERDICT}, "
            "such as kept or rejected; --lesson takes a sentence"
        )
    with open_session() as session:
        noted = ladder.note_student(
            session,
            find_student(session, student),
            actor(),
            verdict=verdict,
            lesson=lesson,
        )
    row = {
        "student": noted.student,
        "verdict": noted.verdict,
        "lesson": noted.lesson,
    }
    if as_json:
        print_json(row)
    else:
        say(f"student {noted.student}: {noted.verdict or '–'}: {noted.lesson or '–'}")


def _published() -> dict[str, Any]:
    from kompress.recipes.load import load_recipe, shipped_recipes

    return {name: load_recipe(name).published for name in shipped_recipes()}


def _cell(exact_pct: float | None, keep_rate: float | None) -> str | None:
    """Two figures in one cell: exact @ keep."""
    if exact_pct is None:
        return None
    return f"{exact_pct:.3f}" + (f" @ {keep_rate:.3f}" if keep_rate is not None else "")
