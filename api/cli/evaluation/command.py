"""`farm eval`: a student's figures, stored, and what stands beside it."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.evaluation.diagnosis import SUITE, evaluate_diagnosis
from api.cli.evaluation.measure import (
    Measured,
    compare_students,
    measure_beside,
    measure_student,
)
from api.cli.evaluation.study import (
    Asked,
    Study,
    choose_corpus,
    find_study,
    load_suites,
)
from api.cli.evaluation.tables import (
    SubjectCost,
    comparison_table,
    cost_table,
    label_of,
    other_table,
    suite_table,
)
from api.cli.options import StudentName, check_choice
from api.cli.output import AsJson, print_json, say

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from kompress.evaluation.baselines.baseline import BaselineResult

SuiteName = Annotated[
    str, typer.Option(help="dense, agent, qa, planted, all, or diagnosis.")
]
Gold = Annotated[
    str, typer.Option(help="Of diagnosis: the folder of logs that people marked.")
]
Corpus = Annotated[
    str,
    typer.Option(help="Whose held-out documents; default: the student's loop's."),
]
Rules = Annotated[str, typer.Option(help="`all`: every rule set and way to count.")]
Robustness = Annotated[
    bool, typer.Option("--robustness", help="Also on perturbed texts.")
]
Against = Annotated[str, typer.Option(help="Another student, for a paired test.")]
Baselines = Annotated[
    bool, typer.Option("--baselines", help="Methods, voters and rules beside it.")
]
Students = Annotated[
    bool,
    typer.Option(
        "--students", help="With --baselines: train a student on each's labels."
    ),
]
MaxDocuments = Annotated[
    int | None, typer.Option(min=1, help="Texts a suite; default: all.")
]
MaxTrainTokens = Annotated[
    int, typer.Option(min=1_000, help="Tokens of each student that --students makes.")
]
Store = Annotated[bool, typer.Option("--store/--no-store", help="Write to `scores`.")]


def evaluate_student(
    student: StudentName,
    suite: SuiteName = "dense",
    corpus: Corpus = "",
    rules: Rules = "",
    robustness: Robustness = False,
    against: Against = "",
    baselines: Baselines = False,
    students: Students = False,
    max_documents: MaxDocuments = None,
    max_train_tokens: MaxTrainTokens = 200_000,
    gold: Gold = "",
    store: Store = True,
    as_json: AsJson = False,
) -> None:
    """Score a student, without override unless a row names one."""
    from api.cli.connection import open_session
    from api.cli.loading import open_student

    if suite == SUITE:
        evaluate_diagnosis(student, gold, as_json=as_json)
        return
    asked = Asked(
        suites=_suite_names(suite),
        is_all=suite == "all",
        all_rules=_all_rules(rules),
        robustness=robustness,
        students=_check_students(students, baselines),
        max_documents=max_documents,
        max_train_tokens=max_train_tokens,
    )
    with open_session() as session:
        study = choose_corpus(session, find_study(session, student, corpus), asked)
        suites = load_suites(session, study, asked.suites, max_documents)
    with open_student(student) as loaded:
        found = measure_student(loaded, suites, study, asked)
        costs = measure_beside(loaded, found, study, asked) if baselines else []
    if against:
        compare_students(found, study, against)
    stored = _store_figures(study, found) if store else "not stored"
    if as_json:
        print_json([row for one in found for row in _rows(one, against)])
    else:
        _print(found, study, costs, against)
        say(stored)


def _rows(measured: Measured, against: str) -> list[dict[str, Any]]:
    """Give every figure on one suite as plain rows, those of single texts left out."""
    names = ("suite", "stratum", "rule_set", "definition", "override",
             "target_keep_rate", "step", "metric", "value", "ci_low", "ci_high",
             "n")  # fmt: skip
    rows = [
        {"subject_kind": result.kind, "subject": result.name}
        | {name: getattr(row, name) for name in names}
        for result in measured.results()
        for row in result.rows
        if not row.text_sha256
    ]
    whose = {
        "subject_kind": "student",
        "subject": measured.student.name,
        "against": against,
        "suite": measured.suite.name,
    }
    return rows + [whose | asdict(one) for one in measured.comparisons]


def _print(
    found: list[Measured], study: Study, costs: list[SubjectCost], against: str
) -> None:
    """Print a table a suite, what has no place in it, and what everything costs."""
    evaluation = study.evaluation
    who = study.student_id or study.which
    place = f"round {study.round_number} of {study.loop}" if study.loop else "no loop"
    say(
        f"student {who}, {place}. own: at its own threshold, which keeps `keep` of the "
        "words;\n@0.5 …: at that keep_rate; all without override, n of the whole suite"
        + (";\nrandom: random dropping at the same keep_rate" if costs else "")
        + "\n"
    )
    others = []
    for measured in found:
        name, size = measured.suite.name, len(measured.suite.texts)
        subjects = [
            (label_of(result.kind, result.name, measured.marks), result)
            for result in measured.results()
        ]
        for line in suite_table(name, size, subjects, measured.random, evaluation):
            say(line)
        say("")
        others += list(measured.student.rows)
    for line in other_table(others, evaluation.rule_set):
        say(line)
    for measured in found:
        for line in comparison_table(
            measured.comparisons, measured.suite.name, against
        ):
            say(line)
    if costs:
        say("")
        for line in cost_table(costs):
            say(line)


def _store_figures(study: Study, found: list[Measured]) -> str:
    """Store what was measured; tells people where it is.

    Figures on a loop's own documents never change, so that what its evaluate stage
    stored stays. Others, on a corpus that may have grown since, replace the earlier.
    What depends on one student that is not its round's main one carries its id.
    """
    from api.cli.connection import open_session
    from db.queries import texts
    from db.queries.texts import NewText
    from kompress.evaluation.suites import load_dense
    from kompress.words import word_list

    if study.student_id is None:
        return (
            "not stored: a folder is no student of the farm; `farm student import` "
            "makes it one"
        )
    with open_session() as session:
        shipped = {text.sha256 for text in load_dense().texts}
        own = [
            text
            for measured in found
            for text in measured.suite.texts
            if text.sha256 in shipped
        ]
        texts.store_texts(
            session,
            [
                NewText(
                    text.text, bytes.fromhex(text.sha256), len(word_list(text.text))
                )
                for text in own
            ],
        )
        for measured in found:
            for result in measured.results():
                _store(session, study, result)
    return f"stored: the view student_scores has all of student {study.student_id}"


def _store(session: "Session", study: Study, result: "BaselineResult") -> None:
    from db.queries import scores

    round_id, name, student_id = study.round_id, result.name, None
    is_student = result.kind == "student"
    if is_student:
        student_id = int(name)
        if student_id != study.student_id:
            round_id = study.previous_round_id
    elif result.kind == "baseline" and not study.is_main:
        name = f"{name}@{study.student_id}"
    is_fixed = study.is_pinned and (is_student or name == "random")
    write = scores.store_scores if is_fixed else scores.replace_scores
    write(session, round_id, result.kind, name, student_id, result.rows)


def _suite_names(suite: str) -> tuple[str, ...]:
    from kompress.evaluation.suites import SUITES

    if suite == "all":
        return SUITES
    check_choice("--suite", suite, SUITES, f", all or {SUITE}")
    return (suite,)


def _all_rules(rules: str) -> bool:
    from api.errors import InvalidInput

    if rules not in ("", "all"):
        raise InvalidInput(
            f"--rules is {rules!r}; expected all (every rule set, counted in both "
            "ways); leave it out for the loop's own rule set"
        )
    return rules == "all"


def _check_students(students: bool, baselines: bool) -> bool:
    from api.errors import InvalidInput

    if students and not baselines:
        raise InvalidInput(
            "--students without --baselines; expected both: the students learn from "
            "the labels of the baselines; add --baselines"
        )
    return students
