"""A committee of students: a word goes if k of them drop it. Scored beside its members.

Against gold where the suite has any, by balanced accuracy. Against must-keep words,
which know nothing to drop, by their recall while every text keeps equally many words.

M = members, W = words of the suite, G = groups of texts
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kompress.aggregation.statistics import (
    balanced_accuracies,
    count_by_group,
    rates,
    recalls,
)
from kompress.ensemble.best_voter import is_enough
from kompress.errors import InvalidConfig
from kompress.evaluation.predictions import Predictions
from kompress.evaluation.prepared_suite import PreparedSuite
from kompress.metrics.bootstrap import (
    Difference,
    paired_difference,
    sum_by_group,
)
from kompress.metrics.keep_rate import keep_top
from kompress.types import STRATA, BoolArray, FloatArray

ALL = "all"
MIN_MEMBERS = 2
Truth = Literal["gold", "must_keep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitteeScore:
    """How a member or a committee did in one stratum, and how far from the best member.

    Attributes:
        stratum: a name of `STRATA`, or `all`.
        truth: what it was measured against.
        subject: a member's name, or `2 of 3`.
        k: the committee's; None for a member.
        recall: kept among the words to keep.
        precision: to keep among the kept; None against must-keep.
        keep_rate: kept among all words that the truth speaks of; against must-keep all.
        balanced_accuracy: None against must-keep, or where a class has no word.
        best: of a committee, the member that did best here: by balanced accuracy; or by
            must-keep recall where it keeps as many words of each text as the committee.
        best_value: that member's value.
        difference: the committee's value less the best member's.
        ci_low: lower end of its 95 % interval; None where too little is known for a
            verdict (`is_enough`).
        ci_high: upper end.
        num_keep: words to keep.
        num_drop: words to drop; 0 against must-keep.
    """

    stratum: str
    truth: Truth
    subject: str
    k: int | None
    recall: float | None
    precision: float | None
    keep_rate: float | None
    balanced_accuracy: float | None
    best: str = ""
    best_value: float | None = None
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    num_keep: int
    num_drop: int

    @property
    def collapsed(self) -> bool:
        """Whether the committee is below its best member beyond the interval."""
        return self.ci_high is not None and self.ci_high < 0


def make_committee(members: Mapping[str, Predictions], k: int) -> Predictions:
    """Make a subject that keeps a word if fewer than k members drop it.

    Members drop at their own thresholds. Its score is the k-th lowest of theirs, which
    is above one half exactly where fewer than k are not: so it can be cut at any
    keep_rate, as a student can.

    Args:
        members: subjects on one suite, by name.
        k: drops needed, in 1..M.

    Returns:
        The committee.

    Raises:
        InvalidConfig: there are fewer than two members, or k is not in 1..M.

    Source: docs/references.md, "k-of-N drop voting"; the score is ours.
    """
    if len(members) < MIN_MEMBERS or not 1 <= k <= len(members):
        raise InvalidConfig(
            f"k is {k} for {len(members)} members; expected at least {MIN_MEMBERS} "
            "members and k in 1..M, the drops that it takes to drop a word"
        )
    subjects = list(members.values())
    score_MW = np.stack([subject.score_W for subject in subjects])
    drops_W = np.sum([~subject.own_W for subject in subjects], axis=0)
    return replace(
        subjects[0], score_W=np.sort(score_MW, axis=0)[k - 1], own_W=drops_W < k
    )


def score_committees(members: Mapping[str, Predictions]) -> list[CommitteeScore]:
    """Score the members and the committee for every k, stratum by stratum.

    Args:
        members: subjects taken on one suite with one seed, by name; at least two.

    Returns:
        By truth (gold first, where the suite has any), stratum (`all` first; only those
        with words to keep) and subject: the members, then k = 1..M. Intervals are
        paired: member and committee see the same resamples of groups.

    Raises:
        InvalidConfig: there are fewer than two members.

    Source: ours; docs/log.md 2026-11-21.
    """
    committees = {
        f"{k} of {len(members)}": (k, make_committee(members, k))
        for k in range(1, max(len(members), 1) + 1)
    }
    suite = next(iter(members.values())).suite
    found: list[CommitteeScore] = []
    if suite.known_W.any():
        for stratum, of_W in _strata(suite, suite.truth_W):
            found += _against_gold(stratum, of_W & suite.known_W, members, committees)
    # Cut once: a cut does not depend on the stratum that is counted.
    cuts = {
        name: {
            member: _keep_as_many(other, committee) for member, other in members.items()
        }
        for name, (_, committee) in committees.items()
    }
    for stratum, of_W in _strata(suite, suite.must_W):
        found += _against_must_keep(stratum, of_W, members, committees, cuts)
    return found


_Committees = Mapping[str, tuple[int, Predictions]]
# By committee and member: what the member keeps where it keeps as many words.
_Cuts = Mapping[str, Mapping[str, BoolArray]]


def _strata(suite: PreparedSuite, keep_W: BoolArray) -> list[tuple[str, BoolArray]]:
    """Give the masks of all words and of each stratum that has words to keep."""
    counts_S = suite.by_stratum(keep_W)
    found = [(ALL, np.ones_like(keep_W))] if counts_S.any() else []
    found += [
        (name, suite.stratum_W == code)
        for code, name in enumerate(STRATA)
        if counts_S[code]
    ]
    return found


def _against_gold(
    stratum: str,
    of_W: BoolArray,
    members: Mapping[str, Predictions],
    committees: _Committees,
) -> list[CommitteeScore]:
    suite = next(iter(members.values())).suite

    def count(own_W: BoolArray) -> FloatArray:
        counts_T4 = count_by_group(
            own_W[of_W], suite.truth_W[of_W], suite.text_W[of_W], suite.num_texts
        )
        return sum_by_group(counts_T4.astype(np.float64), suite.group_ids)

    cells = {name: count(member.own_W) for name, member in members.items()}
    found = [
        _score(stratum, "gold", name, None, counts_G4)
        for name, counts_G4 in cells.items()
    ]
    values = {
        one.subject: one.balanced_accuracy
        for one in found
        if one.balanced_accuracy is not None
    }
    # The earlier member wins a tie, as the earlier voter does in a round.
    best = max(values, key=values.__getitem__) if values else ""
    for name, (k, committee) in committees.items():
        own_G4 = count(committee.own_W)
        one = _score(stratum, "gold", name, k, own_G4)
        if best:
            gap = paired_difference(
                own_G4, cells[best], committee.weights_BG, balanced_accuracies
            )
            one = _beside(one, best, values[best], gap, enough=is_enough(own_G4))
        found.append(one)
    return found


def _against_must_keep(
    stratum: str,
    of_W: BoolArray,
    members: Mapping[str, Predictions],
    committees: _Committees,
    cuts: _Cuts,
) -> list[CommitteeScore]:
    suite = next(iter(members.values())).suite
    must_W = suite.must_W & of_W

    def count(keep_W: BoolArray) -> FloatArray:
        kept_T = suite.by_text(must_W & keep_W)
        nothing_T = np.zeros_like(kept_T)
        missed_T = suite.by_text(must_W) - kept_T
        counts_T4 = np.stack([kept_T, missed_T, nothing_T, nothing_T], axis=1)
        return sum_by_group(counts_T4, suite.group_ids)

    def score(
        name: str, k: int | None, own_W: BoolArray, own_G4: FloatArray
    ) -> CommitteeScore:
        kept = int((own_W & of_W).sum()) / int(of_W.sum())
        one = _score(stratum, "must_keep", name, k, own_G4)
        return replace(one, precision=None, keep_rate=kept, num_drop=0)

    found = [
        score(name, None, member.own_W, count(member.own_W))
        for name, member in members.items()
    ]
    for name, (k, committee) in committees.items():
        own_G4 = count(committee.own_W)
        cut_G4 = {member: count(keep_W) for member, keep_W in cuts[name].items()}
        values = {
            member: float(counts_G4[:, 0].sum() / counts_G4.sum())
            for member, counts_G4 in cut_G4.items()
        }
        best = max(values, key=values.__getitem__)
        gap = paired_difference(own_G4, cut_G4[best], committee.weights_BG, recalls)
        enough = is_enough(own_G4, rate=recalls)
        one = score(name, k, committee.own_W, own_G4)
        found.append(_beside(one, best, values[best], gap, enough=enough))
    return found


def _keep_as_many(member: Predictions, committee: Predictions) -> BoolArray:
    """Cut a member so that it keeps as many words of each text as the committee."""
    suite = member.suite
    parts = zip(suite.split(member.score_W), suite.split(committee.own_W), strict=True)
    return np.concatenate(
        [keep_top(s_N, own_N.sum() / max(own_N.size, 1)) for s_N, own_N in parts]
    )


def _score(
    stratum: str, truth: Truth, name: str, k: int | None, counts_G4: FloatArray
) -> CommitteeScore:
    """Score TP, FN, FP and TN."""
    counts_4 = counts_G4.sum(axis=0).astype(np.int64)
    found = rates(counts_4)
    return CommitteeScore(
        stratum=stratum,
        truth=truth,
        subject=name,
        k=k,
        recall=found.recall,
        precision=found.precision,
        keep_rate=found.keep_rate,
        balanced_accuracy=found.balanced_accuracy,
        num_keep=int(counts_4[:2].sum()),
        num_drop=int(counts_4[2:].sum()),
    )


def _beside(
    one: CommitteeScore,
    best: str,
    best_value: float,
    gap: Difference,
    *,
    enough: bool,
) -> CommitteeScore:
    return replace(
        one,
        best=best,
        best_value=best_value,
        difference=gap.value,
        ci_low=gap.low if enough else None,
        ci_high=gap.high if enough else None,
    )
