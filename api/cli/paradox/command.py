"""`farm paradox`: where an ensemble does worse than its best member."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.options import NewestLoop
from api.cli.output import AsJson, print_json, say
from api.cli.pictures import check_picture

RoundNumber = Annotated[
    int | None, typer.Option("--round", help="Default: the last one judged.")
]
Simulate = Annotated[
    tuple[int, int] | None,
    typer.Option(metavar="N K", help="The theorem: N voters, K drops drop a word."),
]
Correlation = Annotated[
    float | None, typer.Option(help="With --simulate: of equal voters' drops, 0 to 1.")
]
Students = Annotated[
    str, typer.Option(help="A committee: ids, folders or `promoted`, by commas.")
]
SuiteName = Annotated[
    str,
    typer.Option(
        help="With --students: dense, agent, qa, planted, or NDJSON files (or a "
        "folder of them); default: planted."
    ),
]
Corpus = Annotated[str, typer.Option(help="With --students: whose held-out documents.")]
RuleSet = Annotated[str, typer.Option(help="With --students: whose must-keep words.")]
MaxDocuments = Annotated[
    int | None, typer.Option(min=1, help="With --students: texts of the suite.")
]
Plot = Annotated[
    Path | None, typer.Option(help="Where the picture goes: .png or .svg.")
]


def show_paradox(
    loop: NewestLoop = "",
    number: RoundNumber = None,
    simulate: Simulate = None,
    correlation: Correlation = None,
    students: Students = "",
    suite: SuiteName = "",
    corpus: Corpus = "",
    rule_set: RuleSet = "",
    max_documents: MaxDocuments = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Show where many together do worse than the best of them.

    Of a LOOP's round: every voter and rule in every stratum. With --simulate: what
    theory says. With --students: a committee of students for every k. Without --plot
    nothing is drawn.
    """
    from api.cli.connection import open_session
    from api.cli.paradox.committee import Committee, print_committee, score
    from api.cli.paradox.judged_round import print_round, read_round
    from api.cli.paradox.plot import draw_committee, draw_round, draw_theory
    from api.cli.paradox.theory import print_theory, work_out

    of_students = {
        "--suite": suite,
        "--corpus": corpus,
        "--rule-set": rule_set,
        "--max-documents": max_documents,
    }
    _check_mode({"LOOP": loop, "--simulate": simulate, "--students": students})
    _check_parts("LOOP", not (simulate or students), {"--round": number})
    _check_parts("--simulate", bool(simulate), {"--correlation": correlation})
    _check_parts("--students", bool(students), of_students)
    check_picture(plot, "--plot")
    answer = partial(_answer, plot=plot, as_json=as_json)
    if simulate:
        theory = work_out(*simulate, correlation)
        answer(theory, asdict, draw_theory, print_theory)
    elif students:
        found = score(students, suite, corpus, rule_set, max_documents)
        answer(found, Committee.rows, draw_committee, print_committee)
    else:
        with open_session() as session:
            judged = read_round(session, loop, number)
        answer(judged, asdict, draw_round, print_round)


def _answer(
    found: Any,
    lay_out: Callable[[Any], Any],
    draw: Callable[[Any, Path], None],
    tell: Callable[[Any], None],
    *,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Draw what was found if a picture is wanted, and print it."""
    if plot is not None:
        draw(found, plot)
    if as_json:
        print_json(lay_out(found))
        return
    tell(found)
    if plot is not None:
        say(f"drawn in {plot}")


def _check_mode(given: dict[str, Any]) -> None:
    from api.errors import InvalidInput

    chosen = [name for name, value in given.items() if value]
    if len(chosen) > 1:
        raise InvalidInput(
            f"found {' and '.join(chosen)}; expected one of them: a loop's round, the "
            "theory and a committee of students are three questions; leave out the rest"
        )


def _check_parts(owner: str, is_on: bool, given: dict[str, Any]) -> None:
    from api.errors import InvalidInput

    strays = [name for name, value in given.items() if value not in (None, "")]
    if strays and not is_on:
        raise InvalidInput(
            f"found {', '.join(strays)} without {owner}; expected them together; add "
            f"{owner} or leave {'it' if len(strays) == 1 else 'them'} out"
        )
