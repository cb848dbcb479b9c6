"""What `farm eval` reads: a student's place, its suites, its round's voters."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.cli.output import warn

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from kompress.aggregation.learned import Learned
    from kompress.config import EvaluationConfig, RoundConfig
    from kompress.evaluation.baselines.baseline import BaselineResult
    from kompress.evaluation.baselines.voters import PoolMember, StoredVotes
    from kompress.evaluation.compare import FigureDifference
    from kompress.evaluation.predictions import Arrays
    from kompress.evaluation.suites import Suite, SuiteText
    from kompress.types import Score
    from kompress.voters.voter import Voter, VoterKind

DEFAULT_TARGET = 0.8  # of `StopConfig`, for a student of no loop
MAX_FIT_DOCUMENTS = 20_000


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
        against: another student, '' for none.
        baselines: also what stands beside the student.
        students: also one student for each kind of label.
        max_documents: texts a suite, None for all.
        max_train_tokens: of each of those students.
    """

    suites: tuple[str, ...]
    is_all: bool
    all_rules: bool
    robustness: bool
    against: str
    baselines: bool
    students: bool
    max_documents: int | None
    max_train_tokens: int


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
        from kompress.evaluation.baselines.baseline import BaselineResult, own_keep_rate

        found = [self.student, *self.beside]
        if self.random:
            rate = own_keep_rate(self.random)
            found.append(
                BaselineResult("baseline", "random", tuple(self.random), rate, None)
            )
        return found


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


@dataclass(frozen=True, slots=True)
class Fits:
    """The fits by which a round's rules pool its voters.

    Attributes:
        learned: by label.
        missing: labels of rules that learn, but not of these voters.
    """

    learned: "dict[str, Learned]" = field(default_factory=dict)
    missing: tuple[str, ...] = ()


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


def load_members(session: "Session", study: Study) -> list["PoolMember"]:
    """Make the round's voters, with what they were fitted to in that round.

    Voters that cannot be asked here, because they cost money or read what only the
    round's documents have, are members without a voter: they abstain.

    Raises:
        InvalidInput: what a voter was fitted to is not where FARM_ARTIFACTS points.
    """
    from api.artifacts import fetch_artifact
    from api.settings import load_settings
    from db.queries import loops, voters
    from kompress.evaluation.baselines.voters import PoolMember
    from kompress.voters import VOTERS, make_voter

    if study.round_id is None or study.config is None:
        return []
    decided = loops.read_round(session, study.round_id).decisions.voters
    url = load_settings().artifacts_url
    members = []
    for voter in study.config.voters:
        made, digest = None, ""
        if voter.name in decided:
            digest = voters.get_voter(session, decided[voter.name]).snapshot_hash
        if _is_free(VOTERS[voter.kind]) and (digest or VOTERS[voter.kind].fit is None):
            snapshot = fetch_artifact(url, digest) if digest else None
            made = make_voter(voter.name, voter.kind, voter.params, snapshot)
        members.append(PoolMember(voter.name, made, voter.replicates))
    return members


def load_self_information(
    session: "Session", study: Study, members: Sequence["PoolMember"]
) -> "PoolMember":
    """Make the self-information baseline: the round's own voter, or one fitted now.

    Fitted to the train documents of the study's corpus; without a corpus to the
    sample that comes with the farm.
    """
    from db.queries import corpora, texts
    from kompress.corpora.readers import load_sample
    from kompress.evaluation.baselines.voters import PoolMember
    from kompress.voters import make_voter
    from kompress.voters.self_information import KIND, fit

    kinds = (
        {voter.name: voter.kind for voter in study.config.voters}
        if (study.config is not None)
        else {}
    )
    for member in members:
        if kinds[member.name] == KIND and member.voter is not None:
            return PoolMember(KIND, member.voter)
    contents: list[str] = []
    if study.corpus_id is not None:
        rows = corpora.documents(
            session, study.corpus_id, study.corpus_seq, split="train"
        )
        text_ids = [row.text_id for row in rows][:MAX_FIT_DOCUMENTS]
        contents = list(texts.load_texts(session, text_ids).values())
    if not contents:
        contents = [document.text for document in load_sample()]
    return PoolMember(KIND, make_voter(KIND, KIND, {}, fit({}, contents)))


def load_train(
    session: "Session", study: Study, max_documents: int
) -> tuple[list[str], "StoredVotes"]:
    """Read train documents of the round with the votes that it used.

    Args:
        session: the session.
        study: its round.
        max_documents: at most so many, chosen by their hash.

    Returns:
        The texts in the corpus's order, and the votes on them.
    """
    from db.queries import selections, texts, votes
    from kompress.types import Vote

    if study.round_id is None:
        return [], {}
    rows = [
        row
        for row in selections.load_selections(session, study.round_id)
        if row.role == "train"
    ]
    text_ids = [row.text_id for row in rows]
    hashes = texts.load_hashes(session, text_ids)
    chosen = set(sorted(text_ids, key=hashes.__getitem__)[:max_documents])
    cast = votes.load_round_votes(session, study.round_id, sorted(chosen))
    content = texts.load_texts(session, sorted(cast))
    stored: dict[tuple[str, str], list[Vote]] = {}
    for text_id, text in content.items():
        for row in cast[text_id]:
            vote = Vote(row.codes_N, row.num_samples)
            stored.setdefault((text, row.voter), []).append(vote)
    return [content[i] for i in text_ids if i in content], stored


def find_best_voter(session: "Session", study: Study) -> str:
    """Name the voter that the round judged best, '' if it judged none.

    By balanced accuracy on gold, or by must-keep recall where there is no gold.
    """
    from db.queries import quality_views

    if study.config is None:
        return ""
    rows = [
        row
        for row in quality_views.ensemble_paradox(
            session, study.loop, study.round_number
        )
        if row["stratum"] == "all" and row["best_voter"]
    ]
    rows.sort(key=lambda row: (row["truth"] != "gold", row["rule"]))
    return str(rows[0]["best_voter"]) if rows else ""


def load_usd(session: "Session", study: Study) -> dict[str, float]:
    """Sum up what each voter's votes of the round cost, in USD; 0 for local ones."""
    from db.queries import quality_views

    if study.config is None:
        return {}
    usd = {voter.name: 0.0 for voter in study.config.voters}
    for row in quality_views.round_costs(session, study.loop, study.round_number):
        if row["voter"] in usd:
            usd[row["voter"]] += float(row["usd_spent"])
    return usd


def load_fits(session: "Session", study: Study) -> Fits:
    """Bring back what a round's rules have learned of its voters.

    Not what they learned of a winning reference's votes, too: no text outside the round
    has one.
    """
    from db.queries import fits
    from kompress.aggregation import make_aggregator, rules_of
    from kompress.aggregation.learned import Learner

    if study.round_id is None or study.config is None:
        return Fits()
    rules, protocol = study.config.aggregation, study.config.protocol
    # Under `pairwise` only the rule of the labels is the winner's.
    stored = {} if protocol == "both" else fits.load_fits(session, study.round_id)
    if protocol == "pairwise":
        stored.pop(rules.rule, None)
    learned, missing = {}, []
    for label, (name, params) in rules_of(rules, len(study.config.voters)).items():
        rule = make_aggregator(name, params)
        if isinstance(rule, Learner):
            if label in stored:
                learned[label] = rule.load(stored[label])
            else:
                missing.append(label)
    return Fits(learned, tuple(missing))


def tell_fits(fits: Fits) -> None:
    """Say which rules pool by what the round taught them, and which by the texts."""
    if fits.learned:
        warn(f"{', '.join(sorted(fits.learned))}: pooled as the round has fitted it")
    if fits.missing:
        warn(
            f"{', '.join(sorted(fits.missing))}: the round holds no fit of these "
            "voters; each is fitted once to all texts that it is measured on, without "
            "gold, and may look better or worse than in a round"
        )


def _is_free(kind: "VoterKind[Any, Voter]") -> bool:
    """Tell whether it may be asked again: it runs here, and reads the text alone."""
    return kind.needs_engine is None and kind.origin_of is None


def _held_out(session: "Session", corpus_id: int, corpus_seq: int) -> list["SuiteText"]:
    from db.queries.held_out import load_held_out
    from kompress.evaluation.suites import SuiteText

    return list(starmap(SuiteText, load_held_out(session, corpus_id, corpus_seq)))
