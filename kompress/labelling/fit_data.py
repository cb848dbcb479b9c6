"""Which words of a round its rules may learn from, and what is known of them.

Truth is calibration gold of train documents; which documents count, says
`kompress.labelling.eligibility`. Audit documents, evaluation gold, self-labels and
students never count; a voter that depends on a student counts on words with gold only,
so that a student's error cannot confirm itself.

W = words of some texts, M = voters
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kompress.aggregation.chain.texts import gather_texts
from kompress.aggregation.patterns import VotePatterns, count_patterns, merge_patterns
from kompress.config import PAIRWISE, RoundConfig
from kompress.labelling.panel import Panel, make_panel
from kompress.types import (
    ABSTAIN,
    UNKNOWN,
    BoolArray,
    CodeArray,
    VoteRow,
    encode_votes,
)
from kompress.voters import VOTERS

# Who wrote a reference that one of the loop's students made.
STUDENT = "student"
# Parts of so many patterns are merged at once.
_PENDING_PATTERNS = 2**17


@dataclass(frozen=True, slots=True)
class EligibleVotes:
    """What was said and what is known of the documents that may be learned from.

    Attributes:
        votes: a round's votes by text.
        strata: `farm` codes by text.
        gold_codes: `KEEP`, `DROP` or `UNKNOWN`, of the texts whose gold counts.
        without_gold: texts whose words count whether or not they have gold.
        group_of: the document group by text id.
        boundaries: what stands before each word by text; None: not told.
    """

    votes: Mapping[int, Sequence[VoteRow]]
    strata: Mapping[int, CodeArray]
    gold_codes: Mapping[int, CodeArray]
    without_gold: frozenset[int]
    group_of: Mapping[int, str]
    boundaries: Mapping[int, CodeArray] | None = None


@dataclass(frozen=True, slots=True)
class FitData:
    """Some texts' votes as they were cast, and what is known of their words.

    Attributes:
        panel: raw votes; codes of pooled replicates.
        truth_W: `KEEP`, `DROP` or `UNKNOWN`.
        counts_W: the words that may be learned from.
        group_of: the document group by text id.
    """

    panel: Panel
    truth_W: CodeArray
    counts_W: BoolArray
    group_of: Mapping[int, str]

    @property
    def group_W(self) -> NDArray[np.int64]:
        """The document group of each word, numbered in the order of their names."""
        return self.panel.group_words(self.group_of).number_W


def make_fit_data(names: Sequence[str], found: EligibleVotes) -> FitData:
    """Lay out votes and truth word by word; texts without votes are left out.

    Args:
        names: voters, in the order of the columns.
        found: of some texts.
    """
    panel = make_panel(names, found.votes, found.strata, boundaries=found.boundaries)
    truths, counts = [], []
    for text_id, stratum_N in panel.split(panel.stratum_W).items():
        unknown_N = np.full(stratum_N.size, UNKNOWN, dtype=np.uint8)
        truth_N = found.gold_codes.get(text_id, unknown_N)
        truths.append(truth_N)
        counts.append((truth_N != UNKNOWN) | (text_id in found.without_gold))
    return FitData(
        panel=panel,
        truth_W=np.concatenate(truths) if truths else np.zeros(0, dtype=np.uint8),
        counts_W=np.concatenate(counts) if counts else np.zeros(0, dtype=np.bool_),
        group_of=found.group_of,
    )


def join_fit_data(parts: Sequence[FitData], names: Sequence[str]) -> FitData:
    """Put shards together, in the order of text ids: however they were cut.

    Args:
        parts: of `make_fit_data`, all of these voters.
        names: the voters.
    """
    where = sorted(
        (text_id, number)
        for number, part in enumerate(parts)
        for text_id in part.panel.text_ids
    )
    ids = tuple(text_id for text_id, _ in where)

    def lay_out(arrays: Sequence[NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
        cut = [part.panel.split(own) for part, own in zip(parts, arrays, strict=True)]
        return np.concatenate([empty, *(cut[n][text_id] for text_id, n in where)])

    none_0M, none_0 = np.zeros((0, len(names))), np.zeros(0, np.uint8)
    told = [p.panel.boundary_W for p in parts if p.panel.boundary_W is not None]
    stratum_W = lay_out([p.panel.stratum_W for p in parts], none_0)
    sizes = {
        text_id: end - start
        for part in parts
        for text_id, start, end in zip(
            part.panel.text_ids,
            [0, *part.panel.end_T.tolist()],
            part.panel.end_T.tolist(),
            strict=False,
        )
    }
    panel = Panel(
        voters=tuple(names),
        text_ids=ids,
        end_T=np.cumsum(np.array([sizes[text_id] for text_id in ids], dtype=np.int64)),
        p_WM=lay_out([part.panel.p_WM for part in parts], none_0M),
        strength_WM=lay_out([part.panel.strength_WM for part in parts], none_0M),
        stratum_W=stratum_W,
        boundary_W=None if len(told) < len(parts) else lay_out(told, none_0),
    )
    return FitData(
        panel=panel,
        truth_W=lay_out([part.truth_W for part in parts], none_0),
        counts_W=lay_out([part.counts_W for part in parts], np.zeros(0, np.bool_)),
        group_of={t: group for part in parts for t, group in part.group_of.items()},
    )


def draw_texts(data: FitData, limit: int, rng: np.random.Generator) -> BoolArray:
    """Draw whole texts until they hold so many words that may be learned from.

    Args:
        data: some texts, in the order of their ids.
        limit: words; where all are no more, all are taken.
        rng: of the round.

    Returns:
        (W,) whether the word counts and its text was drawn.
    """
    if data.counts_W.sum() <= limit:
        return data.counts_W
    counts = list(data.panel.split(data.counts_W).values())
    order = rng.permutation(len(counts))
    words_T = np.array([counts[place].sum() for place in order])
    last = int(np.searchsorted(np.cumsum(words_T), limit)) + 1
    drawn = set(order[:last].tolist())
    return np.concatenate([
        own_N if place in drawn else np.zeros_like(own_N)
        for place, own_N in enumerate(counts)
    ])  # fmt: skip


def count_joint_votes(data: FitData, dependent: frozenset[str]) -> VotePatterns:
    """Count the patterns of the words that may be learned from.

    Where boundaries are told, whole texts of these words stand beside the patterns, in
    order; of their other words the votes are read, never the truth.

    Args:
        data: some texts' votes.
        dependent: of `dependent_voters`: they count on words with gold only.
    """
    panel, counts_W = data.panel, data.counts_W
    counted = count_patterns(
        codes_to_fit(data, dependent, counts_W),
        panel.strength_WM[counts_W],
        panel.stratum_W[counts_W],
        data.truth_W[counts_W],
    )
    if panel.boundary_W is None:
        return counted
    whole_W = panel.whole_texts(counts_W)
    texts = gather_texts(
        codes_to_fit(data, dependent, whole_W),
        panel.stratum_W[whole_W],
        np.where(counts_W, data.truth_W, UNKNOWN).astype(np.uint8)[whole_W],
        panel.boundary_W[whole_W],
        _group_codes(data)[whole_W],
    )
    return replace(counted, texts=texts)


def _group_codes(data: FitData) -> NDArray[np.uint32]:
    """(W,) a number of each word's document group, the same in every shard."""
    size_T = np.diff(data.panel.end_T, prepend=0)
    codes_T = [
        zlib.crc32(data.group_of[text_id].encode("utf-8", "surrogatepass"))
        for text_id in data.panel.text_ids
    ]
    return np.repeat(np.array(codes_T, dtype=np.uint32), size_T)


def codes_to_fit(
    data: FitData, dependent: frozenset[str], own_W: BoolArray
) -> CodeArray:
    """Give votes on some words as byte codes, those of `dependent` on gold only.

    Args:
        data: some texts' votes.
        dependent: of `dependent_voters`.
        own_W: (W,) the N words that are wanted.

    Returns:
        (N, M) codes.
    """
    codes_NM = encode_votes(data.panel.p_WM[own_W])
    for column, voter in enumerate(data.panel.voters):
        if voter in dependent:
            codes_NM[data.truth_W[own_W] == UNKNOWN, column] = ABSTAIN
    return codes_NM


def dependent_voters(config: RoundConfig) -> frozenset[str]:
    """Name the voters that depend on a student: their votes may be its own words.

    The winning reference, which may be a student's; teachers that correct a student's
    draft; a voter that reads a student's references.
    """
    readers = [
        voter.name
        for voter in config.voters
        if (kind := VOTERS.get(voter.kind)) is not None
        and kind.origin_of is not None
        and kind.origin_of(voter.params).split("@")[0] == STUDENT
    ]
    return frozenset({PAIRWISE, *config.correctors(), *readers})


class PatternSums:
    """Merges shards' patterns as they come: holds no more than what they merge to."""

    def __init__(self, num_voters: int) -> None:
        """Start empty.

        Args:
            num_voters: of every part; no part at all gives no pattern of so many.
        """
        none = np.zeros((0, num_voters), dtype=np.uint8)
        self._held = [count_patterns(none, np.ones(num_voters), [])]
        self._num_pending = 0

    def add(self, part: VotePatterns) -> None:
        """Add a shard's patterns; the order of shards changes nothing."""
        self._held.append(part)
        self._num_pending += len(part.count_P)
        # Waiting for as many as are merged already keeps the work linear.
        if self._num_pending >= max(_PENDING_PATTERNS, len(self._held[0].count_P)):
            self._held, self._num_pending = [merge_patterns(self._held)], 0

    def add_packed(self, data: bytes) -> None:
        """Add a shard's patterns, of `VotePatterns.to_bytes`."""
        self.add(VotePatterns.from_bytes(data))

    def merged(self) -> VotePatterns:
        """Give all patterns so far."""
        return merge_patterns(self._held)


def take_voters(found: VotePatterns, columns: Sequence[int]) -> VotePatterns:
    """Take some voters' columns; patterns that become equal are added up."""
    return _merge_columns(found, found.code_PM[:, list(columns)], list(columns))


def leave_out(found: VotePatterns, column: int) -> VotePatterns:
    """Silence one voter: as if it had abstained from every word."""
    code_PM = found.code_PM.copy()
    code_PM[:, column] = ABSTAIN
    samples_M = found.samples_M.copy()
    samples_M[column] = 0
    return _merge_columns(found, code_PM, list(range(found.num_voters)), samples_M)


def _merge_columns(
    found: VotePatterns,
    code_PM: CodeArray,
    columns: list[int],
    samples_M: Any = None,
) -> VotePatterns:
    """Lay out changed codes anew; rows on which nobody is left go."""
    samples = found.samples_M[columns] if samples_M is None else samples_M
    texts = found.texts
    if texts is not None:
        code_NM = texts.code_NM[:, columns].copy()
        silent = [m for m in range(len(columns)) if not samples[m]]
        code_NM[:, silent] = ABSTAIN
        texts = texts.with_codes(code_NM)
    left_P = (code_PM != ABSTAIN).any(axis=1)
    part = VotePatterns(
        found.stratum_P[left_P],
        found.truth_P[left_P],
        np.ascontiguousarray(code_PM[left_P]),
        found.count_P[left_P],
        samples,
        texts,
    )
    return merge_patterns([part])
