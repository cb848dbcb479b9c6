"""Score the round's student on one suite, random dropping beside it.

Figures, meaning guards and token savings; rule sets and robustness on request only.
Without override and without must-keep-first, except where a row names an override.
"""

from dataclasses import dataclass
from itertools import starmap

from sqlalchemy.orm import Session

from db.queries import loops, scores, students, texts
from db.queries.held_out import load_held_out
from db.queries.jobs import JobRow
from db.queries.texts import NewText
from kompress.config import EvaluationConfig, LoopConfig, RoundConfig, parse_config
from kompress.evaluation.baselines.measure import own_keep_rate
from kompress.evaluation.baselines.random_dropping import evaluate_random
from kompress.evaluation.evaluate import evaluate_all
from kompress.evaluation.suites import Suite, SuiteText, make_suite
from kompress.types import Score
from kompress.words import word_list
from worker.checkpoints import load_student
from worker.heartbeat import Heartbeat
from worker.runtime import Runtime
from worker.stage import Stage


@dataclass(frozen=True, slots=True)
class EvaluateInputs:
    """A student and the suite it is scored on."""

    config: EvaluationConfig
    seed: int
    student_id: int
    student_hash: str
    suite: Suite
    # Students are promoted by what survives in each text at this keep_rate.
    target_keep_rate: float


@dataclass(frozen=True, slots=True)
class EvaluateOutputs:
    """Rows of the student and of random dropping."""

    student_id: int
    student: list[Score]
    random: list[Score]
    shipped: tuple[SuiteText, ...] = ()


def load(session: Session, job: JobRow) -> EvaluateInputs:
    """Build the suite and find the student."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config).evaluation
    loop = parse_config(LoopConfig, held.loop_config)
    student = students.round_students(session, job.round_id)[0]
    return EvaluateInputs(
        config=config,
        seed=loop.seed,
        target_keep_rate=loop.stop.target_keep_rate,
        student_id=student.id,
        student_hash=student.artifact_hash,
        suite=make_suite(
            config.suites[job.shard],
            starmap(
                SuiteText,
                load_held_out(session, held.corpus_id, held.corpus_seq, held.id),
            ),
        ),
    )


def compute(
    runtime: Runtime, inputs: EvaluateInputs, heartbeat: Heartbeat
) -> EvaluateOutputs:
    """Score the student, then random dropping at the same keep_rate."""
    total = len(inputs.suite.texts)
    heartbeat.progress(0, total)
    if not total:
        return EvaluateOutputs(inputs.student_id, [], [])
    student = load_student(runtime, inputs.student_hash)
    own = evaluate_all(
        student,
        inputs.suite,
        inputs.config,
        seed=inputs.seed,
        progress=lambda done: heartbeat.progress(done, total),
        text_rates=(inputs.target_keep_rate,),
    )
    random = evaluate_random(
        inputs.suite, inputs.config, keep_rate=own_keep_rate(own), seed=inputs.seed
    )
    return EvaluateOutputs(
        student_id=inputs.student_id,
        student=own,
        random=random,
        shipped=inputs.suite.texts if inputs.suite.name == "dense" else (),
    )


def store(session: Session, job: JobRow, out: EvaluateOutputs) -> None:
    """Write the rows; texts that ship with a suite get a row of their own first."""
    texts.store_texts(
        session,
        [
            NewText(text.text, bytes.fromhex(text.sha256), len(word_list(text.text)))
            for text in out.shipped
        ],
    )
    scores.store_scores(
        session,
        job.round_id,
        "student",
        str(out.student_id),
        out.student_id,
        out.student,
    )
    scores.store_scores(session, job.round_id, "baseline", "random", None, out.random)


STAGE = Stage(load=load, compute=compute, store=store)
