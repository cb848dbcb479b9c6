"""Measure a student on its suites, and what stands beside it."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from api.cli.evaluation.round_voters import RoundVoters, load_voters
from api.cli.evaluation.study import Asked, Study, other_domain
from api.cli.evaluation.tables import SubjectCost, label_of
from api.cli.output import warn

if TYPE_CHECKING:
    from kompress.evaluation.baselines.baseline import BaselineResult, NamedBaseline
    from kompress.evaluation.baselines.voters import VoterPool
    from kompress.evaluation.compare import FigureDifference
    from kompress.evaluation.predictions import Arrays
    from kompress.evaluation.suites import Suite
    from kompress.students import Student
    from kompress.types import Score, SubjectKind

TRAINED = "student:"


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
        from kompress.evaluation.baselines.baseline import BaselineResult
        from kompress.evaluation.baselines.measure import own_keep_rate

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
    from kompress.evaluation.baselines.baseline import BaselineResult
    from kompress.evaluation.baselines.measure import TimedScorer, own_keep_rate
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


def measure_beside(
    student: "Student", found: list[Measured], study: Study, asked: Asked
) -> list[SubjectCost]:
    """Measure everything that stands beside a student on the suites it was scored on.

    Args:
        student: the student; its encoder also carries LLMLingua-2.
        found: its figures; filled with the others'.
        study: its place, and thereby its voters and rules.
        asked: the flags.

    Returns:
        What each subject costs.
    """
    from api.cli.loading import open_student
    from kompress.evaluation.baselines.voters import VoterPool

    panel = load_voters(study, asked)
    pool = VoterPool(panel.members)
    with ExitStack() as stack:
        previous = None
        if study.previous_id is not None:
            previous = stack.enter_context(open_student(str(study.previous_id)))
        entries = _entries(student, previous, pool, panel, study)
        for measured in found:
            _measure_all(measured, entries, student, study)
            _mark(measured, panel, study)
    if asked.students:
        _train_on_each(student, found, panel, study, asked)
    for measured in found:
        _add_random(measured, student, study)
        _add_costs(measured, panel)
    return _costs(found, panel)


def _entries(
    student: "Student",
    previous: "Student | None",
    pool: "VoterPool",
    panel: RoundVoters,
    study: Study,
) -> "list[NamedBaseline]":
    """Line up the previous student, the methods, the voters and the rules."""
    from kompress.evaluation.baselines.baseline import NamedBaseline, ThresholdBaseline
    from kompress.evaluation.baselines.llmlingua2 import LLMLingua2
    from kompress.evaluation.baselines.published import published_baselines
    from kompress.evaluation.baselines.voters import VoterPool, voter_baselines

    found = []
    if previous is not None:
        name = str(study.previous_id)
        found.append(NamedBaseline("student", name, ThresholdBaseline(previous)))
    heads = getattr(student.engine, "heads", None)
    lingua = None
    if heads is not None:
        lingua = LLMLingua2(
            heads, student.tokenizer, max_tokens=student.config.max_tokens
        )
    found += published_baselines(VoterPool([panel.self_information]), lingua)
    if study.config is not None and panel.members:
        found += voter_baselines(pool, study.config.aggregation, panel.fits.learned)
    return found


def _measure_all(
    measured: Measured,
    entries: "Sequence[NamedBaseline]",
    student: "Student",
    study: Study,
) -> None:
    from kompress.evaluation.baselines.measure import measure
    from kompress.evaluation.predictions import tokens_of

    for entry in entries:
        result = measure(
            entry,
            measured.suite,
            study.evaluation,
            keep_rate=measured.student.keep_rate,
            seed=study.seed,
            count_tokens=tokens_of(student),
        )
        measured.beside.append(result)


def _mark(measured: Measured, panel: RoundVoters, study: Study) -> None:
    """Say which voter the round judged best, and whose student came before."""
    if panel.best_voter:
        measured.marks[f"voter {panel.best_voter}"] = "best"
    if study.previous_id is not None:
        measured.marks[f"student {study.previous_id}"] = "previous"


def _train_on_each(
    student: "Student",
    found: list[Measured],
    panel: RoundVoters,
    study: Study,
    asked: Asked,
) -> None:
    """Train a student on each voter's and rule's labels, and measure them all."""
    from kompress.evaluation.ablation import labels_by_source, train_on_each
    from kompress.evaluation.baselines.baseline import NamedBaseline, ThresholdBaseline
    from kompress.evaluation.baselines.voters import PoolMember, VoterPool

    if study.config is None or not panel.train_texts:
        warn("the round has no votes on train documents: no students to train on them")
        return
    voted = VoterPool(
        [PoolMember(member.name, None) for member in panel.members], panel.train_votes
    )
    labels = labels_by_source(
        voted, study.config.aggregation, panel.train_texts, panel.fits.learned
    )
    warn(
        f"training {len(labels)} students on {len(panel.train_texts):,} documents, "
        f"each on at most {asked.max_train_tokens:,} tokens …"
    )
    with tempfile.TemporaryDirectory(prefix="farm-students-") as folder:
        trained = train_on_each(
            panel.train_texts,
            labels,
            study.config.recipe,
            folder=Path(folder),
            max_tokens=asked.max_train_tokens,
            progress=lambda *_: None,
        )
        for number, one in enumerate(trained, start=1):
            entry = NamedBaseline(
                "baseline", TRAINED + one.source, ThresholdBaseline(one.student)
            )
            for measured in found:
                _measure_all(measured, [entry], student, study)
            if number == 1:
                left = one.seconds * (len(labels) - 1)
                warn(
                    f"{one.num_tokens:,} tokens took {one.seconds:.0f} s; about "
                    f"{left:.0f} s for the other {len(labels) - 1}"
                )


def _add_random(measured: Measured, student: "Student", study: Study) -> None:
    """Put random dropping beside every figure, at the same keep_rate."""
    from kompress.evaluation.baselines.random_dropping import evaluate_random
    from kompress.evaluation.predictions import tokens_of

    rate = measured.student.keep_rate
    measured.random = evaluate_random(
        measured.suite,
        study.evaluation,
        keep_rate=rate,
        beside=[rate, *(result.keep_rate for result in measured.beside)],
        seed=study.seed,
        count_tokens=tokens_of(student),
    )


def _add_costs(measured: Measured, panel: RoundVoters) -> None:
    """Add latency, USD and the share of the gain to each subject's figures."""
    quality = {
        (result.kind, result.name): _f1(result)
        for result in (measured.student, *measured.beside)
    }
    measured.student = _with_costs(measured.student, measured, panel, None)
    measured.beside = [
        _with_costs(result, measured, panel, _retained(result, quality, panel))
        for result in measured.beside
    ]


def _with_costs(
    result: "BaselineResult",
    measured: Measured,
    panel: RoundVoters,
    retained: float | None,
) -> "BaselineResult":
    from kompress.types import Score

    suite = measured.suite.name
    num_words = next(row.n for row in result.rows if row.metric == "keep_rate")
    rows = list(result.rows)
    if result.ms_per_chunk is not None:
        rows.append(Score(suite, "all", "ms_per_chunk", result.ms_per_chunk, num_words))
    usd = _usd(result, measured, panel)
    if usd is not None:
        rows.append(Score(suite, "all", "usd", usd, panel.num_labelled))
    if retained is not None:
        known = next(row.n for row in rows if row.metric == "f1")
        rows.append(Score(suite, "all", "gain_retained", retained, known))
    return replace(result, rows=tuple(rows))


def _retained(
    result: "BaselineResult",
    quality: "Mapping[tuple[SubjectKind, str], float | None]",
    panel: RoundVoters,
) -> float | None:
    """Give what the student trained on a rule keeps of the rule's gain, on gold F1."""
    from kompress.evaluation.ablation import share_retained

    source = result.name.removeprefix(TRAINED)
    if source == result.name:
        return None
    return share_retained(
        rule=quality.get(("rule", source)),
        best_voter=quality.get(("voter", panel.best_voter)),
        student_on_rule=quality[result.kind, result.name],
        student_on_best_voter=quality.get(("baseline", TRAINED + panel.best_voter)),
    )


def _f1(result: "BaselineResult") -> float | None:
    """Find F1 on gold at the own threshold."""
    rows = (row for row in result.rows if row.metric == "f1" and row.stratum == "all")
    return next((row.value for row in rows if row.target_keep_rate is None), None)


def _usd(
    result: "BaselineResult", measured: Measured, panel: RoundVoters
) -> float | None:
    """Give what the votes behind a subject cost in the round; 0 for local voters."""
    if result.kind == "student" and result.name != measured.student.name:
        return None  # another round's votes
    if not panel.usd:
        return 0.0 if result.kind == "baseline" else None
    source = result.name.removeprefix(TRAINED)
    if source in panel.usd:
        return panel.usd[source]
    if result.kind == "baseline" and source == result.name:
        return 0.0
    return sum(panel.usd.values())


def _costs(found: list[Measured], panel: RoundVoters) -> list[SubjectCost]:
    """Lay out the costs; the gain retained where there is gold."""
    if not found:
        return []
    with_gold = next((one for one in found if _f1(one.student) is not None), found[0])
    return [
        SubjectCost(
            label_of(result.kind, result.name, with_gold.marks),
            result.keep_rate,
            result.ms_per_chunk,
            _usd(result, with_gold, panel),
            _figure(result, "gain_retained"),
            _note(result, with_gold, panel),
        )
        for result in (with_gold.student, *with_gold.beside)
    ]


def _note(result: "BaselineResult", measured: Measured, panel: RoundVoters) -> str:
    """Say why there is no gain to retain."""
    source = result.name.removeprefix(TRAINED)
    rule = next(
        (one for one in measured.beside if (one.kind, one.name) == ("rule", source)),
        None,
    )
    if source == result.name or rule is None:
        return ""
    if _figure(result, "gain_retained") is not None:
        return ""
    if not panel.best_voter:
        return "no voter was judged best"
    own = _f1(rule)
    return "no gold" if own is None else f"{source} gains nothing"


def _figure(result: "BaselineResult", metric: str) -> float | None:
    return next((row.value for row in result.rows if row.metric == metric), None)
