"""Which words of a round its rules may learn from, and what is known of them.

Truth is calibration gold of train documents, see `worker.scope`. Other words count
where nobody chose their document: in the random slice, or in a round that took all
train documents, whose voters have all seen all of them. Audit documents, evaluation
gold, self-labels and students never count; a voter that repeats what a student said
counts on words with gold only, so that a student's error cannot confirm itself.

W = words of some texts, M = voters
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kompress.aggregation.patterns import (
    DROP,
    KEEP,
    UNKNOWN,
    VotePatterns,
    count_patterns,
    merge_patterns,
)
from kompress.config import PAIRWISE, RoundConfig
from kompress.labelling.panel import Panel
from kompress.types import ABSTAIN, KEEPS_FROM, BoolArray, CodeArray, encode_votes
from kompress.voters import VOTERS

# Who wrote a reference that one of the loop's students made.
STUDENT = "student"
# Parts of so many patterns are merged at once.
_PENDING_PATTERNS = 2**17


@dataclass(frozen=True, slots=True)
class Evidence:
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
        names = sorted({self.group_of[text_id] for text_id in self.panel.text_ids})
        place = {name: number for number, name in enumerate(names)}
        number_T = [place[self.group_of[text_id]] for text_id in self.panel.text_ids]
        size_T = np.diff(self.panel.end_T, prepend=0)
        return np.repeat(np.array(number_T, dtype=np.int64), size_T)


def join_evidence(parts: Sequence[Evidence], names: Sequence[str]) -> Evidence:
    """Put shards together, in the order of text ids: however they were cut.

    Args:
        parts: of `load_evidence`, all of these voters.
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

    stratum_W = lay_out([p.panel.stratum_W for p in parts], np.zeros(0, np.uint8))
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
    none_0M = np.zeros((0, len(names)))
    panel = Panel(
        voters=tuple(names),
        text_ids=ids,
        end_T=np.cumsum(np.array([sizes[text_id] for text_id in ids], dtype=np.int64)),
        p_WM=lay_out([part.panel.p_WM for part in parts], none_0M),
        strength_WM=lay_out([part.panel.strength_WM for part in parts], none_0M),
        stratum_W=stratum_W,
    )
    return Evidence(
        panel=panel,
        truth_W=lay_out([part.truth_W for part in parts], np.zeros(0, np.uint8)),
        counts_W=lay_out([part.counts_W for part in parts], np.zeros(0, np.bool_)),
        group_of={t: group for part in parts for t, group in part.group_of.items()},
    )


def draw_texts(evidence: Evidence, limit: int, rng: np.random.Generator) -> BoolArray:
    """Draw whole texts until they hold so many words that may be learned from.

    Args:
        evidence: some texts, in the order of their ids.
        limit: words; where all are no more, all are taken.
        rng: of the round.

    Returns:
        (W,) whether the word counts and its text was drawn.
    """
    if evidence.counts_W.sum() <= limit:
        return evidence.counts_W
    counts = list(evidence.panel.split(evidence.counts_W).values())
    order = rng.permutation(len(counts))
    words_T = np.array([counts[place].sum() for place in order])
    last = int(np.searchsorted(np.cumsum(words_T), limit)) + 1
    drawn = set(order[:last].tolist())
    return np.concatenate([
        own_N if place in drawn else np.zeros_like(own_N)
        for place, own_N in enumerate(counts)
    ])  # fmt: skip


def read_truth(codes_N: CodeArray) -> CodeArray:
    """Turn gold, 254 keep, 0 drop, 255 unknown, into what patterns say."""
    truth_N = np.where(codes_N >= KEEPS_FROM, KEEP, DROP)
    return np.where(codes_N == ABSTAIN, UNKNOWN, truth_N).astype(np.uint8)


def count_evidence(evidence: Evidence, echoes: frozenset[str]) -> VotePatterns:
    """Count the patterns of the words that may be learned from.

    Args:
        evidence: some texts' votes.
        echoes: of `echoes_of`: they count on words with gold only.
    """
    panel, counts_W = evidence.panel, evidence.counts_W
    return count_patterns(
        heard_codes(evidence, echoes, counts_W),
        panel.strength_WM[counts_W],
        panel.stratum_W[counts_W],
        evidence.truth_W[counts_W],
    )


def heard_codes(
    evidence: Evidence, echoes: frozenset[str], own_W: BoolArray
) -> CodeArray:
    """Give votes on some words as byte codes, those of `echoes` on gold only.

    Args:
        evidence: some texts' votes.
        echoes: of `echoes_of`.
        own_W: (W,) the N words that are wanted.

    Returns:
        (N, M) codes.
    """
    codes_NM = encode_votes(evidence.panel.p_WM[own_W])
    for column, voter in enumerate(evidence.panel.voters):
        if voter in echoes:
            codes_NM[evidence.truth_W[own_W] == UNKNOWN, column] = ABSTAIN
    return codes_NM


def echoes_of(config: RoundConfig) -> frozenset[str]:
    """Name the voters whose votes may be a student's own words.

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


def merge_stream(parts: Iterator[VotePatterns], num_voters: int) -> VotePatterns:
    """Merge shards' patterns as they come: no more is held than what they merge to.

    Args:
        parts: in any order.
        num_voters: of every part; no part at all gives no pattern of so many.
    """
    held = [_no_patterns(num_voters)]
    pending = 0
    for part in parts:
        held.append(part)
        pending += len(part.count_P)
        # Waiting for as many as are merged already keeps the work linear.
        if pending >= max(_PENDING_PATTERNS, len(held[0].count_P)):
            held, pending = [merge_patterns(held)], 0
    return merge_patterns(held)


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
    left_P = (code_PM != ABSTAIN).any(axis=1)
    part = VotePatterns(
        found.stratum_P[left_P],
        found.truth_P[left_P],
        np.ascontiguousarray(code_PM[left_P]),
        found.count_P[left_P],
        samples,
    )
    return merge_patterns([part])


def _no_patterns(num_voters: int) -> VotePatterns:
    return count_patterns(
        np.zeros((0, num_voters), dtype=np.uint8), np.ones(num_voters), []
    )
