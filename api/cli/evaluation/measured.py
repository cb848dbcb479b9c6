"""One suite's figures of a student: measured, and tested against another's."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.cli.evaluation.study import Asked, Study, other_domain
from api.cli.output import warn

if TYPE_CHECKING:
    from kompress.evaluation.baselines.measure import BaselineResult
    from kompress.evaluation.compare import FigureDifference
    from kompress.evaluation.predictions import Arrays
    from kompress.evaluation.suites import Suite
    from kompress.students import Student
    from kompress.types import Score


@dataclass(slots=True)
class Measured:
    """All that was measured on one suite.

    Attributes:
        suite: the texts.
        student: the student's figures, those of single texts too.
        scores: of every word of every text.
        beside: what stands beside it.
        random: random dropping, at every keep_rate of the others too.
        marks: what to say of a subject, by its kind and name.
        comparisons: paired tests against another student.
    """

    suite: "Suite"
    student: "BaselineResult"
    scores: "Arrays"
    beside: "list[BaselineResult]" = field(default_factory=list)
    random: "list[Score]" = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)
    comparisons: "list[FigureDifference]" = field(default_factory=list)

    def results(self) -> "list[BaselineResult]":
        """Give every subject's figures, the student's first."""
        from kompress.evaluation.baselines.measure import BaselineResult, own_keep_rate

        found = [self.student, *self.beside]
        if self.random:
            rate = own_keep_rate(self.random)
            found.append(
                BaselineResult("baseline", "random", tuple(self.random), rate, None)
            )
        return found


def measure_student(
    student: "Student", suites: "list[Suite]", study: Study, asked: Asked
) -> list[Measured]:
    """Score the student on every suite that has texts."""
    from kompress.evaluation.baselines.measure import (
        BaselineResult,
        TimedScorer,
        own_keep_rate,
    )
    from kompress.evaluation.evaluate import evaluate_all

    found = []
    for suite in suites:
        if not suite.texts:
            warn(f"suite {suite.name} has no texts in this corpus; left out")
            continue
        timed = TimedScorer(student)
        rows = evaluate_all(
            timed,
            suite,
            study.evaluation,
            seed=study.seed,
            rules=asked.all_rules,
            robustness=asked.robustness,
            other_domain=(asked.robustness and other_domain(suite, study)) or None,
        )
        keep_rate = own_keep_rate(rows)
        name = str(study.student_id or study.which)
        result = BaselineResult(
            "student", name, tuple(rows), keep_rate, timed.ms_per_chunk
        )
        found.append(Measured(suite, result, timed.first))
    return found


def compare_students(found: list[Measured], study: Study, against: str) -> None:
    """Put another student's scores on the same texts to a paired test."""
    from api.cli.loading import open_student
    from kompress.evaluation.compare import compare
    from kompress.evaluation.predictions import tokens_of

    with open_student(against) as other:
        for measured in found:
            texts = [text.text for text in measured.suite.texts]
            measured.comparisons = compare(
                measured.scores,
                other.score(texts),
                measured.suite,
                study.evaluation,
                study.seed,
                count_tokens=tokens_of(other),
            )
