"""A committee of students: a word goes if k of them drop it. Scored beside its members.

Against gold where the suite has any, by balanced accuracy. Against must-keep words,
which know nothing to drop, by their recall while every text keeps equally many words.

M = members, W = words of the suite, T = texts
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
from kompress.evaluation.sheet import Sheet
from kompress.evaluation.subject import Subject
from kompress.metrics.bootstrap import (
    Difference,
    Statistic,
    paired_difference,
    ratio_statistic,
    sum_by_group,
)
from kompress.metrics.keep_rate import keep_top
from kompress.types import STRATA, BoolArray, FloatArray

ALL = "all"
MIN_MEMBERS = 2
Truth = Literal["gold", "must_keep"]


@dataclass(frozen=True, slots=True)
class Standing:
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
    best: str
    best_value: float | None
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    num_keep: int
    num_drop: int

    @property
    def collapsed(self) -> bool:
        """Whether the committee is below its best member beyond the interval."""
        return self.ci_high is not None and self.ci_high < 0


def make_committee(members: Mapping[str, Subject], k: int) -> Subject:
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


def score_committees(members: Mapping[str, Subject]) -> list[Standing]:
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
    sheet = next(iter(members.values())).sheet
    found: list[Standing] = []
    if sheet.known_W.any():
        for stratum, of_W in _strata(sheet, sheet.truth_W):
            found += _against_gold(stratum, of_W & sheet.known_W, members, committees)
    # Cut once: a cut does not depend on the stratum that is counted.
    cuts = {
        name: {
            member: _keep_as_many(other, committee) for member, other in members.items()
        }
        for name, (_, committee) in committees.items()
    }
    for stratum, of_W in _strata(sheet, sheet.must_W):
        found += _against_must_keep(stratum, of_W, members, committees, cuts)
    return found


_Committees = Mapping[str, tuple[int, Subject]]
# By committee and member: what the member keeps where it keeps as many words.
_Cuts = Mapping[str, Mapping[str, BoolArray]]


def _strata(sheet: Sheet, keep_W: BoolArray) -> list[tuple[str, BoolArray]]:
    """Give the masks of all words and of each stratum that has words to keep."""
    counts_S = sheet.by_stratum(keep_W)
    found = [(ALL, np.ones_like(keep_W))] if counts_S.any() else []
    found += [
        (name, sheet.stratum_W == code)
        for code, name in enumerate(STRATA)
        if counts_S[code]
    ]
    return found


def _against_gold(
    stratum: str,
    of_W: BoolArray,
    members: Mapping[str, Subject],
    committees: _Committees,
) -> list[Standing]:
    cells = {
        name: _cells(subject.sheet, subject.own_W, of_W)
        for name, subject in members.items()
    }
    found = [
        _standing(stratum, "gold", name, None, counts_T4)
        for name, counts_T4 in cells.items()
    ]
    values = {
        one.subject: one.balanced_accuracy
        for one in found
        if one.balanced_accuracy is not None
    }
    # The earlier member wins a tie, as the earlier voter does in a round.
    best = max(values, key=values.__getitem__) if values else ""
    for name, (k, subject) in committees.items():
        counts_T4 = _cells(subject.sheet, subject.own_W, of_W)
        one = _standing(stratum, "gold", name, k, counts_T4)
        if best:
            gap = _gap(subject, counts_T4, cells[best], balanced_accuracies)
            enough = is_enough(_by_group(subject, counts_T4))
            one = _beside(one, best, values[best], gap, enough=enough)
        found.append(one)
    return found


def _against_must_keep(
    stratum: str,
    of_W: BoolArray,
    members: Mapping[str, Subject],
    committees: _Committees,
    cuts: _Cuts,
) -> list[Standing]:
    found = [
        _must_keep_standing(stratum, name, None, subject, of_W)
        for name, subject in members.items()
    ]
    for name, (k, subject) in committees.items():
        sheet = subject.sheet
        must_W = sheet.must_W & of_W
        whole_T = sheet.by_text(must_W)
        own_T2 = np.stack([sheet.by_text(must_W & subject.own_W), whole_T], axis=1)
        cut_T2 = {
            member: np.stack([sheet.by_text(must_W & keep_W), whole_T], axis=1)
            for member, keep_W in cuts[name].items()
        }
        values = {
            member: float(counts_T2[:, 0].sum() / whole_T.sum())
            for member, counts_T2 in cut_T2.items()
        }
        best = max(values, key=values.__getitem__)
        gap = _gap(subject, own_T2, cut_T2[best], ratio_statistic)
        kept_T, missed_T = own_T2[:, 0], whole_T - own_T2[:, 0]
        nothing_T = np.zeros_like(kept_T)
        words_T4 = np.stack([kept_T, missed_T, nothing_T, nothing_T], axis=1)
        enough = is_enough(_by_group(subject, words_T4), rate=recalls)
        one = _must_keep_standing(stratum, name, k, subject, of_W)
        found.append(_beside(one, best, values[best], gap, enough=enough))
    return found


def _keep_as_many(member: Subject, committee: Subject) -> BoolArray:
    """Cut a member so that it keeps as many words of each text as the committee."""
    sheet = member.sheet
    parts = zip(sheet.split(member.score_W), sheet.split(committee.own_W), strict=True)
    return np.concatenate(
        [keep_top(s_N, own_N.sum() / max(own_N.size, 1)) for s_N, own_N in parts]
    )


def _cells(sheet: Sheet, keep_W: BoolArray, of_W: BoolArray) -> FloatArray:
    """Count (T, 4) TP, FN, FP, TN among the words of a mask."""
    counts_T4 = count_by_group(
        keep_W[of_W], sheet.truth_W[of_W], sheet.text_W[of_W], sheet.num_texts
    )
    return counts_T4.astype(np.float64)


def _standing(
    stratum: str, truth: Truth, name: str, k: int | None, counts_T4: FloatArray
) -> Standing:
    counts_4 = counts_T4.sum(axis=0).astype(np.int64)
    found = rates(counts_4)
    return Standing(
        stratum=stratum,
        truth=truth,
        subject=name,
        k=k,
        recall=found.recall,
        precision=found.precision,
        keep_rate=found.keep_rate,
        balanced_accuracy=found.balanced_accuracy,
        best="",
        best_value=None,
        difference=None,
        ci_low=None,
        ci_high=None,
        num_keep=int(counts_4[:2].sum()),
        num_drop=int(counts_4[2:].sum()),
    )


def _must_keep_standing(
    stratum: str, name: str, k: int | None, subject: Subject, of_W: BoolArray
) -> Standing:
    """Give must-keep recall, and the keep rate of all words of the stratum."""
    must_W = subject.sheet.must_W & of_W
    num_keep, num_words = int(must_W.sum()), int(of_W.sum())
    zeros_T2 = np.zeros((subject.sheet.num_texts, 2))
    kept_T = subject.sheet.by_text(must_W & subject.own_W)
    counts_T2 = np.stack([kept_T, subject.sheet.by_text(must_W) - kept_T], axis=1)
    one = _standing(stratum, "must_keep", name, k, np.hstack([counts_T2, zeros_T2]))
    kept = int((subject.own_W & of_W).sum())
    return replace(
        one, precision=None, keep_rate=kept / num_words, num_keep=num_keep, num_drop=0
    )


def _gap(
    subject: Subject, own_TK: FloatArray, best_TK: FloatArray, statistic: Statistic
) -> Difference:
    return paired_difference(
        _by_group(subject, own_TK),
        _by_group(subject, best_TK),
        subject.weights_BG,
        statistic,
    )


def _by_group(subject: Subject, counts_TK: FloatArray) -> FloatArray:
    return sum_by_group(counts_TK, subject.sheet.group_ids)


def _beside(
    one: Standing, best: str, best_value: float, gap: Difference, *, enough: bool
) -> Standing:
    return replace(
        one,
        best=best,
        best_value=best_value,
        difference=gap.value,
        ci_low=gap.low if enough else None,
        ci_high=gap.high if enough else None,
    )
