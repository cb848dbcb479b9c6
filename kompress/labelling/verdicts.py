"""Count how voters and rules did on the same words, against gold or without it.

Without gold only must-keep words are known to be right. Recall on them alone would
elect whoever keeps everything, so each voter and rule then keeps as many words of a
text as the round's consensus does: those that it scores highest.

W = words of all texts, S = strata, G = document groups
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kompress.aggregation.statistics import (
    balanced_accuracies,
    count_by_group,
    recalls,
)
from kompress.ensemble.best_voter import compare_with_best, first_best
from kompress.labelling.counting import ALL
from kompress.labelling.panel import Panel, WordGroups
from kompress.metrics.keep_rate import keep_top
from kompress.rule_labels import label_voter
from kompress.types import (
    DROP,
    KEEP,
    STRATA,
    UNKNOWN,
    BoolArray,
    CodeArray,
    FloatArray,
    RuleStatRow,
)

GOLD, MUST_KEEP = "gold", "must_keep"


@dataclass(frozen=True, slots=True)
class Truth:
    """What is right, word by word, and whether that is gold or must-keep.

    Attributes:
        name: `gold` or `must_keep`.
        codes_W: `KEEP`, `DROP` or `UNKNOWN`.
    """

    name: str
    codes_W: CodeArray

    @property
    def keep_W(self) -> BoolArray:
        """The words that are known to be kept."""
        keep_W: BoolArray = self.codes_W == KEEP
        return keep_W

    @property
    def known_W(self) -> BoolArray:
        """The words of which the truth is known."""
        known_W: BoolArray = self.codes_W != UNKNOWN
        return known_W


@dataclass(frozen=True, slots=True)
class Decided:
    """What a voter or a rule says of each word.

    Attributes:
        score_W: P(keep); anything where it said nothing.
        keep_W: its own decision.
        heard_W: where it said anything.
    """

    score_W: FloatArray
    keep_W: BoolArray
    heard_W: BoolArray


def find_truth(
    panel: Panel, gold_codes: Mapping[int, CodeArray], *, name: str | None = None
) -> Truth:
    """Take gold where any of the texts has some, else must-keep.

    Args:
        panel: whose words.
        gold_codes: `KEEP`, `DROP` or `UNKNOWN`, by text.
        name: `gold` or `must_keep`, whatever there is; None: as said above.
    """
    if (name or (GOLD if gold_codes else MUST_KEEP)) != GOLD:
        codes_W = np.where(panel.stratum_W > 0, KEEP, DROP)
        return Truth(MUST_KEEP, codes_W.astype(np.uint8))
    unknown = {
        text_id: np.full(stratum_N.size, UNKNOWN, dtype=np.uint8)
        for text_id, stratum_N in panel.split(panel.stratum_W).items()
    }
    parts = [gold_codes.get(text_id, unknown[text_id]) for text_id in panel.text_ids]
    return Truth(GOLD, np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint8))


def of_voter(panel: Panel, column: int) -> Decided:
    """Take a voter at its word: it keeps a word that it gives one half or more."""
    p_W = panel.p_WM[:, column]
    return Decided(p_W, np.nan_to_num(p_W) >= 0.5, ~np.isnan(p_W))


def of_rule(panel: Panel, mean_W: FloatArray) -> Decided:
    """Threshold a posterior as a label is stored.

    Args:
        panel: what was pooled; a text of which nobody said anything gets no label.
        mean_W: the posterior's mean, over its words.
    """
    heard = [
        np.full(len(p_NM), not np.isnan(p_NM).all())
        for p_NM in panel.split(panel.p_WM).values()
    ]
    keep_W = mean_W.astype(np.float16) >= np.float16(0.5)
    heard_W = np.concatenate(heard) if heard else np.zeros(0, dtype=np.bool_)
    return Decided(mean_W, keep_W, heard_W)


def keep_equally(panel: Panel, own: Decided, chosen: Decided) -> Decided:
    """Let a voter or rule keep as large a share of each text as the consensus does.

    Args:
        panel: which words are whose.
        own: whose scores decide; of a text it keeps the round-half-up(k · N) best of
            the N words that it said anything about, ties to the earlier.
        chosen: the consensus, whose keep_rate on the text is k. A text that it has no
            label for is left out.

    Source: design §1 "Exactly".
    """
    keep_W = np.zeros_like(own.keep_W)
    heard_W = np.zeros_like(own.heard_W)
    for rows in panel.split(np.arange(keep_W.size)).values():
        if not chosen.heard_W[rows].any():
            continue
        said = rows[own.heard_W[rows]]
        keep_rate = float(chosen.keep_W[rows].mean())
        keep_W[said] = keep_top(own.score_W[said], keep_rate)
        heard_W[said] = True
    return Decided(own.score_W, keep_W, heard_W)


def in_place_of(panel: Panel, rule: Decided, voter: Decided, truth: str) -> Decided:
    """Say what would be decided if a voter took a rule's place wherever it votes.

    So the two are compared on the same words: a voter that speaks only of the easy
    ones, which it chose itself, would else look better than any rule over all.

    Args:
        panel: which words are whose.
        rule: decides where the voter is silent; where nobody is heard, nothing is.
        voter: decides where it votes.
        truth: `gold`: as the voter says; `must_keep`: of the words of a text that it
            votes on it keeps as many as the rule does, those that it scores highest.

    Source: as `choose_fallbacks` compares; ours.
    """
    if truth == GOLD:
        keep_W = np.where(voter.heard_W, voter.keep_W, rule.keep_W)
        return Decided(voter.score_W, keep_W, rule.heard_W)
    keep_W = rule.keep_W.copy()
    for rows in panel.split(np.arange(keep_W.size)).values():
        said = rows[voter.heard_W[rows] & rule.heard_W[rows]]
        if said.size:
            keep_rate = float(rule.keep_W[said].mean())
            keep_W[said] = keep_top(voter.score_W[said], keep_rate)
    return Decided(voter.score_W, keep_W, rule.heard_W)


def count_beside(
    panel: Panel,
    groups: WordGroups,
    rule: Decided,
    voters: Sequence[Decided],
    truth: Truth,
) -> NDArray[np.int64]:
    """Count (M, G, S, 4) cells of each voter in a rule's place; see `in_place_of`."""
    return np.stack(
        [
            count_groups(
                panel, groups, in_place_of(panel, rule, voter, truth.name), truth
            )
            for voter in voters
        ]
    )


def count_groups(
    panel: Panel, groups: WordGroups, own: Decided, truth: Truth
) -> NDArray[np.int64]:
    """Count (G, S, 4) cells by document group."""
    known_W = truth.known_W & own.heard_W
    num_groups = len(groups.names)
    cells = count_by_group(
        own.keep_W[known_W],
        truth.keep_W[known_W],
        (groups.number_W * len(STRATA) + panel.stratum_W)[known_W],
        num_groups * len(STRATA),
    )
    return cells.reshape(num_groups, len(STRATA), 4)


def rule_rows(
    truth: str,
    rules: Mapping[str, NDArray[np.int64]],
    voters: Mapping[str, NDArray[np.int64]],
    beside: Mapping[str, NDArray[np.int64]],
    seed: int,
) -> list[RuleStatRow]:
    """Put each rule, and each voter alone, beside the best voter of each stratum.

    Args:
        truth: `gold`: balanced accuracy decides; `must_keep`: recall.
        rules: (G, S, 4) counts by label.
        voters: those of each voter on its own words, by name, in the order of the
            config.
        beside: (M, G, S, 4) counts of the voters in each rule's place (`count_beside`),
            by the rule's label.
        seed: of the loop; each stratum's draws are the same for all rules.

    Returns:
        Rows by stratum, and for all; none where there is no word. A rule's best voter
        is the one that would do best in its place, of those heard in the stratum; of a
        voter's row it is the one that did best on its own words. A voter's row has no
        interval: it is no ensemble that could collapse. Nor has a rule's of which
        little is known (`compare_with_best`, which also says how often an interval
        lies below 0 by luck).
    """
    alone = {label_voter(voter): cells for voter, cells in voters.items()}
    rows = []
    for number, (stratum, cut) in enumerate(each_stratum()):
        own_M4 = _stack(voters.values(), cut)
        for label, own_GS4 in {**alone, **rules}.items():
            own_G4 = own_GS4[:, cut].sum(axis=1)
            if not own_G4.any():
                continue
            counts = _Counts(
                own_G4,
                own_M4,
                beside[label][:, :, cut].sum(axis=2) if label in rules else None,
            )
            rng = np.random.default_rng([seed, number])
            rows.append(_rule_row(label, stratum, truth, tuple(voters), counts, rng))
    return rows


def each_stratum() -> list[tuple[str, slice]]:
    """List `all` and every stratum, with its cut out of an axis of strata."""
    strata = [(name, slice(s, s + 1)) for s, name in enumerate(STRATA)]
    return [(ALL, slice(None)), *strata]


@dataclass(frozen=True, slots=True)
class _Counts:
    """A rule's or a voter's counts in a stratum, and all voters' beside it.

    Attributes:
        own_G4: its own.
        alone_M4: each voter's on its own words.
        beside_MG4: each voter's in the rule's place; None for a voter.
    """

    own_G4: NDArray[np.int64]
    alone_M4: NDArray[np.int64]
    beside_MG4: NDArray[np.int64] | None


def _rule_row(
    label: str,
    stratum: str,
    truth: str,
    names: Sequence[str],
    counts: _Counts,
    rng: np.random.Generator,
) -> RuleStatRow:
    """Lay out one row of `rule_rows`."""
    rate = balanced_accuracies if truth == GOLD else recalls
    compared, value_M = None, rate(counts.alone_M4)
    if counts.beside_MG4 is not None:
        heard = [m for m, counts_4 in enumerate(counts.alone_M4) if counts_4.sum()]
        voter_MG4 = counts.beside_MG4[heard]
        value_M = np.full(len(names), np.nan)
        value_M[heard] = rate(voter_MG4.sum(axis=1))
        compared = compare_with_best(counts.own_G4, voter_MG4, rng, rate=rate)
    best = first_best(value_M)
    kk, kd, dk, dd = (int(count) for count in counts.own_G4.sum(axis=0))
    return RuleStatRow(
        rule=label,
        stratum=stratum,
        truth=truth,
        num_keep_kept=kk,
        num_keep_dropped=kd,
        num_drop_kept=dk,
        num_drop_dropped=dd,
        best_voter="" if best is None else names[best],
        best_value=None if best is None else float(value_M[best]),
        difference_low=compared.low if compared else None,
        difference_high=compared.high if compared else None,
    )


def _stack(cells: Iterable[NDArray[np.int64]], cut: slice) -> NDArray[np.int64]:
    """Sum each (G, S, 4) over groups and some strata."""
    found = [counts_GS4[:, cut].sum(axis=(0, 1)) for counts_GS4 in cells]
    return np.array(found, dtype=np.int64).reshape(len(found), 4)
