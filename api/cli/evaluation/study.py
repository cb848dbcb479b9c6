"""Where a student belongs, and the suites that it is scored on."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING

from api.cli.output import warn

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from kompress.config import EvaluationConfig, RoundConfig
    from kompress.evaluation.suites import Suite, SuiteText

DEFAULT_TARGET = 0.8  # of `StopConfig`, for a student of no loop


def _default_evaluation() -> "EvaluationConfig":
    from kompress.config import EvaluationConfig

    return EvaluationConfig()


@dataclass(frozen=True, slots=True)
class Asked:
    """The flags, checked.

    Attributes:
        suites: names of suites.
        is_all: `--suite all`: suites without texts are left out.
        all_rules: every rule set and definition.
        robustness: also on perturbed texts.
        students: also one student for each kind of label.
        max_documents: texts a suite, None for all.
        max_train_tokens: of each of those students.
    """

    suites: tuple[str, ...]
    is_all: bool
    all_rules: bool
    robustness: bool
    students: bool
    max_documents: int | None
    max_train_tokens: int


@dataclass(frozen=True, slots=True)
class Study:
    """A student's place in the farm.

    Attributes:
        which: the student as it was named on the command line.
        student_id: its row, None for a folder.
        round_id: its round, None for a folder or an imported student.
        round_number: that round's number in its loop, 0 without one.
        loop: its loop's name, '' without one.
        is_main: it is the student that its round is judged by.
        config: its round's config, None without one.
        evaluation: rule sets, keep_rates and bootstraps.
        seed: the loop's, so that the same figures come out as in the loop.
        target_keep_rate: the loop's.
        corpus_id: whose held-out documents are taken, None if none are.
        corpus_seq: up to which document.
        foreign_corpus: its name where it is not the one that the loop pinned.
        previous_id: the main student of the round before, None if there is none.
        previous_round_id: that round.
    """

    which: str
    student_id: int | None = None
    round_id: int | None = None
    round_number: int = 0
    loop: str = ""
    is_main: bool = False
    config: "RoundConfig | None" = None
    evaluation: "EvaluationConfig" = field(default_factory=_default_evaluation)
    seed: int = 0
    target_keep_rate: float = DEFAULT_TARGET
    corpus_id: int | None = None
    corpus_seq: int = 0
    foreign_corpus: str = ""
    previous_id: int | None = None
    previous_round_id: int | None = None

    @property
    def is_pinned(self) -> bool:
        """Its suites can never change: what is stored of them stays."""
        return self.round_id is not None and not self.foreign_corpus

    def suite_name(self, name: str) -> str:
        """Name a suite in `scores`; another corpus than the loop's is told apart."""
        if self.round_id is None or not self.foreign_corpus or name == "dense":
            return name
        return f"{name}@{self.foreign_corpus}"


def find_study(session: "Session", which: str, corpus: str) -> Study:
    """Find out where a student belongs and whose documents to score it on.

    Raises:
        NotFound: no such student or corpus.
    """
    from api.cli.named import find_student
    from db.queries import corpora, loops, students
    from kompress.config import LoopConfig, RoundConfig, parse_config

    study = Study(which)
    if not Path(which).is_dir():
        row = find_student(session, which)
        study = replace(study, student_id=row.id, round_id=row.round_id)
    if study.round_id is not None:
        held = loops.read_round(session, study.round_id)
        config = parse_config(RoundConfig, held.config)
        loop_config = parse_config(LoopConfig, held.loop_config)
        mains = students.main_students(session, held.loop_id, before_round=held.number)
        study = replace(
            study,
            round_number=held.number,
            loop=loops.place_of(session, study.round_id)[0],
            is_main=students.round_students(session, study.round_id)[0].id
            == study.student_id,
            config=config,
            evaluation=config.evaluation,
            seed=loop_config.seed,
            target_keep_rate=loop_config.stop.target_keep_rate,
            corpus_id=held.corpus_id,
            corpus_seq=held.corpus_seq,
            previous_id=mains[-1].id if mains else None,
            previous_round_id=mains[-1].round_id if mains else None,
        )
    if corpus:
        named = corpora.get_corpus(session, corpus)
        if named.id != study.corpus_id:
            study = replace(
                study,
                corpus_id=named.id,
                corpus_seq=named.last_seq,
                foreign_corpus=corpus,
            )
    return study


def choose_corpus(session: "Session", study: Study, asked: Asked) -> Study:
    """Find held-out documents for a student that belongs to no loop."""
    from api.errors import InvalidInput
    from db.queries import corpora

    if study.corpus_id is not None or asked.suites == ("dense",):
        return study
    known = corpora.list_corpora(session)
    if not asked.is_all:
        raise InvalidInput(
            f"student {study.which} belongs to no loop, so nobody knows whose held-out "
            f"documents suite {asked.suites[0]} is made of; expected --corpus NAME; "
            f"there are {[corpus.name for corpus in known]}; or take --suite dense"
        )
    if len(known) != 1:
        warn(
            f"the student belongs to no loop and there are {len(known)} corpora; "
            "scored on dense alone; name a corpus with --corpus NAME for the rest"
        )
        return study
    (only,) = known
    warn(f"the student belongs to no loop; held-out documents are those of {only.name}")
    named = corpora.get_corpus(session, only.name)
    return replace(
        study,
        corpus_id=named.id,
        corpus_seq=named.last_seq,
        foreign_corpus=only.name,
    )


def load_suites(
    session: "Session", study: Study, names: Sequence[str], max_documents: int | None
) -> list["Suite"]:
    """Build suites of the corpus's held-out documents, as the loop builds them.

    Args:
        session: the session.
        study: whose documents.
        names: the suites.
        max_documents: at most so many texts a suite, chosen by their hash; None for
            all. A suite that lost texts by it is named `agent#200`.
    """
    from kompress.evaluation.suites import make_suite

    held_out = []
    if study.corpus_id is not None and set(names) != {"dense"}:
        held_out = _held_out(session, study.corpus_id, study.corpus_seq)
    suites = []
    for name in names:
        suite = make_suite(name, held_out)
        suite = replace(suite, name=study.suite_name(name))
        if max_documents is not None and len(suite.texts) > max_documents:
            chosen = set(sorted(text.sha256 for text in suite.texts)[:max_documents])
            texts = tuple(text for text in suite.texts if text.sha256 in chosen)
            suite = replace(suite, name=f"{suite.name}#{max_documents}", texts=texts)
        suites.append(suite)
    return suites


def other_domain(suite: "Suite", study: Study) -> "Suite | None":
    """Find texts of kinds that neither the corpus's train split nor the suite holds.

    Among the corpus's held-out documents and the suite `dense`; None if there are none.
    """
    from api.cli.connection import open_session
    from db.queries import corpora
    from kompress.evaluation.suites import Suite, load_dense

    known = {text.kind for text in suite.texts}
    texts = list(load_dense().texts)
    if study.corpus_id is not None:
        with open_session() as session:
            train = corpora.documents(
                session, study.corpus_id, study.corpus_seq, split="train"
            )
            texts += _held_out(session, study.corpus_id, study.corpus_seq)
        known |= {document.kind for document in train}
    foreign = tuple(text for text in texts if text.kind not in known)
    return Suite(suite.name, foreign) if foreign else None


def _held_out(session: "Session", corpus_id: int, corpus_seq: int) -> list["SuiteText"]:
    from db.queries.held_out import load_held_out
    from kompress.evaluation.suites import SuiteText

    return list(starmap(SuiteText, load_held_out(session, corpus_id, corpus_seq)))
