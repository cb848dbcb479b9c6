"""`farm paradox`: where an ensemble does worse than its best member."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.output import AsJson, print_json, say
from api.cli.pictures import check_picture

LoopName = Annotated[str, typer.Argument(help="The loop; default: the newest.")]
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
    loop: LoopName = "",
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
    if simulate:
        _show_theory(*simulate, correlation, plot, as_json=as_json)
    elif students:
        asked = (students, suite, corpus, rule_set, max_documents)
        _show_committee(asked, plot, as_json=as_json)
    else:
        _show_round(loop, number, plot, as_json=as_json)
    if plot is not None and not as_json:
        say(f"drawn in {plot}")


def _show_theory(
    num_voters: int,
    k: int,
    correlation: float | None,
    plot: Path | None,
    *,
    as_json: bool,
) -> None:
    from api.cli.paradox.theory import print_theory, work_out

    theory = work_out(num_voters, k, correlation)
    if plot is not None:
        from api.cli.paradox.plot import draw_theory

        draw_theory(theory, plot)
    if as_json:
        print_json(asdict(theory))
    else:
        print_theory(theory)


def _show_committee(
    asked: tuple[str, str, str, str, int | None], plot: Path | None, *, as_json: bool
) -> None:
    from api.cli.paradox.committee import print_committee, score

    found = score(*asked)
    if plot is not None:
        from api.cli.paradox.plot import draw_committee

        draw_committee(found, plot)
    if as_json:
        print_json(found.rows())
    else:
        print_committee(found)


def _show_round(
    loop: str, number: int | None, plot: Path | None, *, as_json: bool
) -> None:
    from api.cli.connection import open_session
    from api.cli.paradox.judged_round import print_round, read_round

    with open_session() as session:
        verdict = read_round(session, loop, number)
    if plot is not None:
        from api.cli.paradox.plot import draw_round

        draw_round(verdict, plot)
    if as_json:
        print_json(asdict(verdict))
    else:
        print_round(verdict)


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
