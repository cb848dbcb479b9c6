"""`farm paradox`: where an ensemble does worse than its best member."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import AsJson, print_json, print_table, say, warn
from api.cli.pictures import check_picture

if TYPE_CHECKING:
    from api.cli.paradox_round import Line, Verdict

COLUMNS = ("stratum", "subject", "kind", "recall", "precision", "keep_rate",
           "balanced_accuracy", "less_best_voter", "best_voter",
           "collapsed")  # fmt: skip


def show_paradox(
    loop: Annotated[str, typer.Argument(help="The loop; default: the newest.")] = "",
    number: Annotated[
        int | None, typer.Option("--round", help="Default: the last one judged.")
    ] = None,
    simulate: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="N K", help="The theorem: N voters, K drops drop a word."),
    ] = None,
    correlation: Annotated[
        float | None,
        typer.Option(help="With --simulate: of equal voters' drops, 0 to 1."),
    ] = None,
    students: Annotated[
        str, typer.Option(help="A committee: ids, folders or `promoted`, by commas.")
    ] = "",
    suite: Annotated[
        str,
        typer.Option(
            help="With --students: dense, agent, qa, planted, or NDJSON files (or a "
            "folder of them); default: planted."
        ),
    ] = "",
    corpus: Annotated[
        str, typer.Option(help="With --students: whose held-out documents.")
    ] = "",
    rule_set: Annotated[
        str, typer.Option(help="With --students: whose must-keep words.")
    ] = "",
    max_documents: Annotated[
        int | None, typer.Option(min=1, help="With --students: texts of the suite.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Where the picture goes: .png or .svg.")
    ] = None,
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
    from api.cli.paradox_simulate import print_theory, work_out

    theory = work_out(num_voters, k, correlation)
    if plot is not None:
        from api.cli.paradox_plot import draw_theory

        draw_theory(theory, plot)
    if as_json:
        print_json(asdict(theory))
    else:
        print_theory(theory)


def _show_committee(
    asked: tuple[str, str, str, str, int | None], plot: Path | None, *, as_json: bool
) -> None:
    from api.cli.paradox_students import print_committee, score

    found = score(*asked)
    if plot is not None:
        from api.cli.paradox_plot import draw_committee

        draw_committee(found, plot)
    if as_json:
        print_json(found.rows())
    else:
        print_committee(found)


def _show_round(
    loop: str, number: int | None, plot: Path | None, *, as_json: bool
) -> None:
    from api.cli.connection import open_session
    from api.cli.paradox_round import read_verdict

    with open_session() as session:
        verdict = read_verdict(session, loop, number)
    if plot is not None:
        from api.cli.paradox_plot import draw_round

        draw_round(verdict, plot)
    if as_json:
        print_json(asdict(verdict))
    else:
        _print_verdict(verdict)


def _print_verdict(verdict: "Verdict") -> None:
    for stratum in verdict.strata:
        rows = [_as_row(line) for line in verdict.lines if line.stratum == stratum]
        print_table(
            rows,
            COLUMNS[1:],
            title=f"{stratum}: {verdict.loop}, round {verdict.round}, against "
            f"{verdict.truth}",
        )
    for sentence in verdict.sentences:
        say(sentence)
    if any(line.kind == "chosen" and line.collapsed for line in verdict.lines):
        warn(f"{verdict.rule} is worse than one voter alone somewhere: see `collapsed`")


def _as_row(line: "Line") -> dict[str, Any]:
    gap = None
    if line.low is not None and line.high is not None:
        gap = f"{line.low:+.3f} to {line.high:+.3f}"
    is_voter = line.kind == "voter"
    return {
        **asdict(line),
        "less_best_voter": gap,
        "best_voter": line.best_voter or None,
        "collapsed": None if is_voter else line.collapsed,
    }


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
