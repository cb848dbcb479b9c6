"""A round's voters and rules side by side, stratum by stratum, and what it means."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from api.cli.named import find_loop
from api.cli.output import format_interval, print_table, say, warn
from api.decided import describe_pilot, fallback_rows, pilot_row
from kompress.rule_labels import chosen_label, voter_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from kompress.decisions import Fallback


COLUMNS = ("subject", "kind", "recall", "precision", "keep_rate",
           "balanced_accuracy", "less_best_voter", "best_voter",
           "collapsed")  # fmt: skip
ALL = "all"
CHOSEN, VOTER, RULE = "chosen", "voter", "rule"
GOLD = "gold"
COUNTS = ("num_keep_kept", "num_keep_dropped", "num_drop_kept", "num_drop_dropped")
WITHOUT_LOOP = ", and `farm paradox --simulate 3 1` needs none"
TRUTHS = {
    "gold": "measured against gold: what is known to be true of the audit documents",
    "must_keep": (
        "no gold for the audit documents: measured against must-keep words. They know "
        "nothing to drop, so there is no precision and no balanced accuracy: voters "
        "and rules are compared by must-keep recall at equal keep_rate, each keeping "
        "as much of each text as the round's labels do"
    ),
}


@dataclass(frozen=True, slots=True)
class SubjectInStratum:
    """What one voter or rule did in one stratum.

    Attributes:
        stratum: a name of `STRATA`, or `all`.
        subject: the voter's or rule's name.
        kind: `chosen` (what made the labels: the round's rule, with its fallbacks if
            it has any), `voter` or `rule`.
        truth: `gold` or `must_keep`.
        recall: kept among the words to keep.
        precision: to keep among the kept, None against must-keep.
        keep_rate: kept among the words that the truth speaks of.
        balanced_accuracy: None against must-keep.
        best_voter: of a rule, the voter that did best in the stratum.
        low: of a rule, lower end of the 95 % interval of its rate less that voter's.
        high: its upper end.
        collapsed: of a rule, that it is below its best voter beyond the interval.
    """

    stratum: str
    subject: str
    kind: str
    truth: str
    recall: float | None
    precision: float | None
    keep_rate: float | None
    balanced_accuracy: float | None
    best_voter: str = ""
    low: float | None = None
    high: float | None = None
    collapsed: bool = False

    @property
    def value(self) -> float | None:
        """What the truth compares by."""
        return self.balanced_accuracy if self.truth == GOLD else self.recall


@dataclass(frozen=True, slots=True)
class RoundParadox:
    """All that is known of a round's ensemble.

    Attributes:
        loop: the loop's name.
        round: the round's number.
        rule: what made the labels.
        truth: what everything was measured against, '' if nothing was.
        lines: by stratum (`all` first), the chosen rule, the voters, the other rules.
        sentences: what it means.
        fallback: strata where one voter decides in place of the rule.
        pilot: what was found before money was spent.
    """

    loop: str
    round: int
    rule: str
    truth: str
    lines: tuple[SubjectInStratum, ...]
    sentences: tuple[str, ...]
    fallback: Mapping[str, Any]
    pilot: Mapping[str, Any]

    @property
    def strata(self) -> list[str]:
        """The strata that have lines, in their order."""
        return list(dict.fromkeys(line.stratum for line in self.lines))


def read_round(session: "Session", loop: str, number: int | None) -> RoundParadox:
    """Read a round's verdict.

    Args:
        session: the session.
        loop: a name or an id, '' for the newest.
        number: the round's, None for the newest that was judged.

    Raises:
        NotFound: there is no such loop or round, or it was not judged yet.
    """
    from db.queries import loops, quality, views

    row = find_loop(session, loop, without=WITHOUT_LOOP)
    rounds = {one.number: one for one in loops.rounds_of(session, row.id)}
    found = views.ensemble_paradox(session, row.name, number)
    if not found:
        _refuse(row.name, number, sorted(rounds))
    wanted = max(one["round"] for one in found)
    held = rounds[wanted]
    rows = [one for one in found if one["round"] == wanted]
    own = str(held.config["aggregation"]["rule"])
    rule = chosen_label(own, {str(one["rule"]) for one in rows})
    truth = str(rows[0]["truth"])
    counts = quality.rule_counts(session, held.id)
    votes = quality.voter_counts(session, held.id)
    rules = _rule_lines(rows, counts, rule)
    voters: list[SubjectInStratum] = []
    if not any(line.kind == VOTER for line in rules):  # judged before voters had rows
        rated = views.voter_quality(session, row.name, wanted)
        voters = _voter_lines([one for one in rated if one["truth"] == truth], votes)
    lines = _order([*rules, *voters])
    made = held.decisions
    return RoundParadox(
        loop=row.name,
        round=wanted,
        rule=rule,
        truth=truth,
        lines=tuple(lines),
        sentences=(
            TRUTHS[truth],
            *describe_collapse(lines),
            *describe_fallback(made.fallback or {}),
            *([f"pilot: {describe_pilot(made.pilot)}"] if made.pilot else ()),
            *describe_superset(lines, counts, votes),
        ),
        fallback=fallback_rows(made.fallback),
        pilot=pilot_row(made.pilot),
    )


def print_round(verdict: RoundParadox) -> None:
    """Print a table for each stratum, and what they mean."""
    for stratum in verdict.strata:
        rows = [_as_row(line) for line in verdict.lines if line.stratum == stratum]
        print_table(
            rows,
            COLUMNS,
            title=f"{stratum}: {verdict.loop}, round {verdict.round}, against "
            f"{verdict.truth}",
        )
    for sentence in verdict.sentences:
        say(sentence)
    if any(line.kind == "chosen" and line.collapsed for line in verdict.lines):
        warn(f"{verdict.rule} is worse than one voter alone somewhere: see `collapsed`")


def describe_collapse(lines: Sequence[SubjectInStratum]) -> list[str]:
    """Say which rules do worse than their best voter, the chosen one first."""
    said = []
    for line in (line for line in lines if line.kind == CHOSEN and line.stratum == ALL):
        where = [one.stratum for one in lines if one.kind == CHOSEN and one.collapsed]
        said.append(
            f"{line.subject}, the labels' rule, collapsed in {', '.join(where)}: it is "
            "below its best voter there, and the whole interval says so"
            if where
            else f"{line.subject}, the labels' rule, collapsed nowhere: in no stratum "
            "does the whole interval lie below its best voter"
        )
    others: dict[str, list[str]] = {}
    for line in lines:
        if line.kind == RULE and line.collapsed:
            others.setdefault(line.subject, []).append(line.stratum)
    said += [
        f"{rule} would have collapsed in {', '.join(where)}"
        for rule, where in others.items()
    ]
    return said


def describe_fallback(fallback: "Mapping[str, Fallback]") -> list[str]:
    """Say where one voter decides in place of the rule, and why."""
    return [
        f"{stratum} fell back to {one.voter}: on calibration gold the rule had "
        f"{one.aggregate:.3f} and its best voter {one.best:.3f} "
        f"({one.low:+.3f} to {one.high:+.3f})"
        for stratum, one in fallback.items()
    ]


def describe_superset(
    lines: Sequence[SubjectInStratum],
    rules: Sequence[Mapping[str, Any]],
    voters: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Say what an "any voter keeps" rule cannot do, and check that it did not.

    Such a rule drops a word only if every voter does, so it keeps a superset of each
    voter's words: at least as many of the words to keep as any of them.
    """
    ks = [
        int(line.subject[7:-1])
        for line in lines
        if line.kind != VOTER and line.subject.startswith("k_of_n(")
    ]
    names = {line.subject for line in lines if line.kind == VOTER}
    if not ks or not names or max(ks) < 2:
        return []
    label = f"k_of_n({max(ks)})"
    theorem = (
        f"{label} drops a word only if all its voters drop it, so it keeps a superset "
        "of each voter's words: its recall cannot be below the best voter's, and a "
        "published figure that says so cannot be right"
    )
    truth = lines[0].truth
    said = [theorem + ("" if truth == GOLD else "; above, all keep equally many words")]
    kept = {_key(one): one["num_keep_kept"] for one in voters if one["truth"] == GOLD}
    for one in rules:
        if one["rule"] != label or truth != GOLD or len(names) != max(ks):
            continue
        best = max(kept.get((one["stratum"], GOLD, name), 0) for name in names)
        if one["num_keep_kept"] < best:
            said.append(
                f"yet in {one['stratum']} it kept {one['num_keep_kept']} words to keep "
                f"where a voter kept {best}: its counts are wrong, please report it"
            )
    return said


def _as_row(line: SubjectInStratum) -> dict[str, Any]:
    gap = format_interval(line.low, line.high, spec="+.3f", to=" to ")
    is_voter = line.kind == "voter"
    return {
        **asdict(line),
        "less_best_voter": gap,
        "best_voter": line.best_voter or None,
        "collapsed": None if is_voter else line.collapsed,
    }


def _rule_lines(
    rows: Sequence[Mapping[str, Any]], counts: Sequence[Mapping[str, Any]], rule: str
) -> list[SubjectInStratum]:
    by_key = {_key(one): one for one in counts}
    return [
        SubjectInStratum(
            stratum=row["stratum"],
            subject=_subject(row["rule"])[1],
            kind=CHOSEN if row["rule"] == rule else _subject(row["rule"])[0],
            truth=row["truth"],
            recall=row["recall"],
            precision=row["precision"],
            keep_rate=row["keep_rate"],
            balanced_accuracy=row["balanced_accuracy"],
            best_voter="" if voter_of(row["rule"]) is not None else row["best_voter"],
            low=by_key[_key(row)]["difference_low"],
            high=by_key[_key(row)]["difference_high"],
            collapsed=row["collapsed"],
        )
        for row in rows
    ]


def _subject(label: str) -> tuple[str, str]:
    """Tell a voter alone from a rule: its kind and its name."""
    alone = voter_of(label)
    return (RULE, label) if alone is None else (VOTER, alone)


def _voter_lines(
    rows: Sequence[Mapping[str, Any]], counts: Sequence[Mapping[str, Any]]
) -> list[SubjectInStratum]:
    """Take recalls from the view, precision and keep_rate from the counts."""
    by_key = {_key(one): one for one in counts}
    found = []
    for row in rows:
        kept, missed, wrong, dropped = (by_key[_key(row)][name] for name in COUNTS)
        recall, specificity = row["sensitivity"], row["specificity"]
        is_gold = row["truth"] == GOLD
        balanced = None
        if is_gold and recall is not None and specificity is not None:
            balanced = (recall + specificity) / 2
        found.append(
            SubjectInStratum(
                stratum=row["stratum"],
                subject=row["voter"],
                kind=VOTER,
                truth=row["truth"],
                recall=recall,
                precision=_ratio(kept, kept + wrong) if is_gold else None,
                keep_rate=_ratio(kept + wrong, kept + missed + wrong + dropped),
                balanced_accuracy=balanced,
            )
        )
    return found


def _order(lines: Sequence[SubjectInStratum]) -> list[SubjectInStratum]:
    """Sort: strata as in `STRATA`, the chosen rule first, then voters by value."""
    from kompress.types import STRATA

    place = {name: number for number, name in enumerate((ALL, *STRATA))}
    ranks = {CHOSEN: 0, VOTER: 1, RULE: 2}
    judged = {line.stratum for line in lines if line.kind != VOTER}
    return sorted(
        (line for line in lines if line.stratum in judged),
        key=lambda line: (
            place[line.stratum],
            ranks[line.kind],
            -(line.value or 0.0) if line.kind == VOTER else 0.0,
            line.subject,
        ),
    )


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["stratum"], row["truth"], row["voter"] if "voter" in row else row["rule"]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _refuse(loop: str, number: int | None, known: Sequence[int]) -> NoReturn:
    from db.errors import NotFound

    if number is not None and number not in known:
        raise NotFound(
            f"loop {loop} has no round {number}; expected one of "
            f"{', '.join(map(str, known))}"
        )
    raise NotFound(
        f"{'no round' if number is None else f'round {number}'} of {loop} has judged "
        f"its voters yet; expected one that got through the stage judge; see `farm "
        f"status {loop}`"
    )
