"""`farm paradox --students A,B,C`: a committee of students for every k."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.cli.options import check_choice
from api.cli.output import format_interval, print_table, say, warn
from kompress.types import RULE_SETS

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from api.cli.evaluation.study import Study
    from kompress.config import EvaluationConfig
    from kompress.evaluation.committee import CommitteeScore
    from kompress.evaluation.predictions import Predictions
    from kompress.evaluation.suites import Suite

DEFAULT_SUITE = "planted"
COLUMNS = ("subject", "recall", "precision", "keep_rate",
           "balanced_accuracy", "best", "best_value", "difference", "interval",
           "collapsed", "num_keep", "num_drop")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Committee:
    """What a committee and its members did on a suite.

    Attributes:
        suite: the suite's name.
        num_texts: its texts.
        rule_set: whose must-keep words.
        members: the students' names.
        standings: of every truth, stratum and subject.
    """

    suite: str
    num_texts: int
    rule_set: str
    members: tuple[str, ...]
    standings: "tuple[CommitteeScore, ...]"

    @property
    def truth(self) -> str:
        """What to look at first: gold where there is any."""
        return self.standings[0].truth if self.standings else ""

    def rows(self) -> list[dict[str, Any]]:
        """Give every standing as a plain row."""
        return [
            {
                "suite": self.suite,
                "rule_set": self.rule_set,
                **asdict(one),
                "collapsed": one.collapsed,
            }
            for one in self.standings
        ]


def score(
    students: str,
    suite: str,
    corpus: str,
    rule_set: str,
    max_documents: int | None,
) -> Committee:
    """Score the members one after the other, and the committee for every k.

    Args:
        students: at least two, by commas: an id, `promoted` or a folder each.
        suite: a name of `SUITES`, or NDJSON files; '' for `planted`.
        corpus: whose held-out documents, '' for the first student's loop's.
        rule_set: whose must-keep words, '' for the first student's loop's.
        max_documents: at most so many texts, None for all.

    Raises:
        InvalidInput: fewer than two students, one named twice, or nothing to score on.
        NotFound: no such student or corpus.
    """
    from kompress.evaluation.committee import score_committees

    names = _names(students)
    texts, config, seed = _find_texts(
        names, suite or DEFAULT_SUITE, corpus, max_documents
    )
    if rule_set:
        check_choice("--rule-set", rule_set, RULE_SETS)
        config = config.model_copy(update={"rule_set": rule_set})
    members = {name: _take(name, texts, config, seed) for name in names}
    return Committee(
        suite=texts.name,
        num_texts=len(texts.texts),
        rule_set=config.rule_set,
        members=tuple(names),
        standings=tuple(score_committees(members)),
    )


def print_committee(found: Committee) -> None:
    """Print a table for each truth and stratum, and what they mean."""
    truths = list(dict.fromkeys(one.truth for one in found.standings))
    for truth in truths:
        mine = [one for one in found.standings if one.truth == truth]
        for stratum in dict.fromkeys(one.stratum for one in mine):
            print_table(
                [_as_row(one) for one in mine if one.stratum == stratum],
                COLUMNS,
                title=f"{stratum}: suite {found.suite}, {found.num_texts} texts, "
                f"against {truth}",
            )
    for sentence in describe(found):
        say(sentence)


def describe(found: Committee) -> list[str]:
    """Say for each truth which committees collapsed, and what it was measured by."""
    rule = (
        "k of N: a word goes if at least k of the N students drop it, each at its own "
        "threshold; without override"
    )
    said = [rule]
    for truth in dict.fromkeys(one.truth for one in found.standings):
        mine = [one for one in found.standings if one.truth == truth]
        if truth == "gold":
            said.append("against gold, by balanced accuracy:")
        else:
            said.append(
                f"against must-keep words of {found.rule_set}, by their recall where "
                "the member keeps as many words of each text as the committee:"
            )
        committees = [one for one in mine if one.k is not None]
        for name in dict.fromkeys(one.subject for one in committees):
            own = [one for one in committees if one.subject == name]
            where = [one.stratum for one in own if one.collapsed]
            better = [one.stratum for one in own if one.ci_low and one.ci_low > 0]
            said.append(
                f"  {name}: "
                + (f"collapsed in {', '.join(where)}" if where else "collapsed nowhere")
                + (
                    f"; better than every member in {', '.join(better)}"
                    if better
                    else ""
                )
            )
    said.append(
        f"{len(found.members)} of {len(found.members)} drops only what every student "
        "drops, so it keeps a superset of each one's words: its recall is never below "
        "theirs"
    )
    return said


def read_suite(path: Path, max_documents: int | None) -> "Suite":
    """Make a suite of NDJSON documents, without gold: a file, or a folder's files.

    Raises:
        InvalidInput: a line is no document, or there is none.
    """
    from hashlib import sha256

    from api.errors import InvalidInput
    from kompress.corpora.lines import BadLine
    from kompress.corpora.readers import read_documents
    from kompress.evaluation.suites import Suite, SuiteText

    files = [path]
    if path.is_dir():
        files = sorted([*path.glob("*.jsonl"), *path.glob("*.ndjson")])
    texts: dict[str, SuiteText] = {}
    for file in files:
        with file.open("rb") as lines:
            for one in read_documents(lines):
                if isinstance(one, BadLine):
                    raise InvalidInput(f"{file}, line {one.number}: {one.reason}")
                digest = sha256(one.text.encode()).hexdigest()
                texts[digest] = SuiteText(one.text, one.kind, one.group_id, digest)
    if not texts:
        raise InvalidInput(
            f"{path} holds no document; expected NDJSON lines with a text, in a file "
            "or in a folder's *.jsonl"
        )
    chosen = [texts[digest] for digest in sorted(texts)[:max_documents]]
    return Suite(path.stem, tuple(chosen))


def _names(students: str) -> list[str]:
    from api.errors import InvalidInput

    names = [name.strip() for name in students.split(",") if name.strip()]
    if len(names) < 2 or len(set(names)) < len(names):
        raise InvalidInput(
            f"--students is {students!r}; expected at least two different students, "
            "divided by commas: ids of `farm student list`, folders or `promoted`"
        )
    return names


def _find_texts(
    names: list[str], suite: str, corpus: str, max_documents: int | None
) -> "tuple[Suite, EvaluationConfig, int]":
    """Find what to score on, by whose config and by whose seed."""
    from api.cli.connection import open_session
    from api.cli.evaluation.study import Study, find_study
    from kompress.evaluation.suites import SUITES

    if suite in SUITES or not Path(suite).exists():
        with open_session() as session:
            study = find_study(session, names[0], corpus)
            texts = _load_suite(session, study, suite, max_documents)
    else:
        texts, study = read_suite(Path(suite), max_documents), Study("")
        if not all(Path(name).is_dir() for name in names):
            with open_session() as session:
                study = find_study(session, names[0], "")
    return texts, study.evaluation, study.seed


def _load_suite(
    session: "Session", study: "Study", suite: str, max_documents: int | None
) -> "Suite":
    from api.cli.evaluation.study import load_suites
    from api.errors import InvalidInput
    from kompress.evaluation.suites import SUITES

    check_choice(
        "--suite",
        suite,
        SUITES,
        ", or an existing file or folder of NDJSON documents",
    )
    if study.corpus_id is None and suite != "dense":
        raise InvalidInput(
            f"student {study.which} belongs to no loop, so nobody knows whose held-out "
            f"documents suite {suite} is made of; expected --corpus NAME, or --suite "
            "dense"
        )
    (found,) = load_suites(session, study, [suite], max_documents)
    if not found.texts:
        raise InvalidInput(
            f"suite {suite} has no texts in this corpus; expected held-out documents "
            "that fit it; take --suite dense, --corpus NAME or a folder"
        )
    return found


def _take(
    name: str, suite: "Suite", config: "EvaluationConfig", seed: int
) -> "Predictions":
    """Score one student, and forget it before the next is loaded."""
    from api.cli.loading import open_student
    from kompress.evaluation.predictions import make_predictions

    with open_student(name) as student:
        known = {str(digest) for digest in student.lineage.get("texts") or ()}
        seen = sum(text.sha256 in known for text in suite.texts)
        if seen:
            warn(
                f"student {name} was trained on {seen} of the {len(suite.texts)} texts "
                "of this suite: it knows them by heart"
            )
        scores = student.score([text.text for text in suite.texts])
    return make_predictions(scores, suite, config, seed=seed)


def _as_row(one: "CommitteeScore") -> dict[str, Any]:
    is_member = one.k is None
    return {
        **asdict(one),
        "best": one.best or None,
        "interval": format_interval(one.ci_low, one.ci_high, spec="+.3f", to=" to "),
        "collapsed": None if is_member else one.collapsed,
    }
