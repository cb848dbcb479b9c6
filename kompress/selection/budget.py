"""Lay a budget over documents x voters x replicates by expected gain per dollar.

D = documents, S = strata, B = bins of the posterior mean, W = S · B, M = voters
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from kompress.decisions import Spending
from kompress.ensemble.information import joint_information
from kompress.errors import InvalidSelection
from kompress.selection.information_gain import (
    BIN_MEAN_B,
    NUM_BINS,
    novelty,
)
from kompress.types import STRATA, FloatArray

# Gains are compared to this many digits after the point, so that the last bit of a sum
# never decides between two equal documents.
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class VoterReliability:
    """What is known of the voters that could be asked.

    Attributes:
        sensitivity_MS: (M, S) P(keep | to keep) by stratum.
        specificity_MS: (M, S) P(drop | to drop) by stratum.
        correlation_MM: (M, M) correlation of errors; 0 where it is not identified. The
            diagonal is that between replicates: 1 for a voter that repeats itself.
        max_replicates_M: (M,) most votes of each voter on a document, earlier ones
            included.
    """

    sensitivity_MS: FloatArray
    specificity_MS: FloatArray
    correlation_MM: FloatArray
    max_replicates_M: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Call:
    """One vote to buy.

    Attributes:
        document: its row.
        voter: its column.
        replicate: how many votes this voter gave on it before.
        gain: expected gain in bits, weighed by the need.
        price: what it costs.
    """

    document: int
    voter: int
    replicate: int
    gain: float
    price: float


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a budget buys, best first."""

    calls: tuple[Call, ...]
    budget: float

    @property
    def spent(self) -> float:
        """What all calls cost together."""
        return sum(call.price for call in self.calls)

    @property
    def gain(self) -> float:
        """Expected bits of all calls together, weighed by the need."""
        return sum(call.gain for call in self.calls)

    def summary(self, names: Sequence[str], unit: Literal["usd", "words"]) -> Spending:
        """Say what was decided.

        Args:
            names: (M,) voters.
            unit: of the budget and the prices.
        """
        paid = [call.gain / call.price for call in self.calls if call.price > 0]
        return Spending(
            unit=unit,
            budget=self.budget,
            spent=self.spent,
            gain_bits=self.gain,
            num_calls={
                name: sum(call.voter == m for call in self.calls)
                for m, name in enumerate(names)
            },
            num_replicates=sum(call.replicate > 0 for call in self.calls),
            least_bits_per_dollar=min(paid) if paid else None,
        )


def allocate(
    words_DSB: ArrayLike | csr_array,
    voted_DM: ArrayLike,
    voters: VoterReliability,
    *,
    need_D: ArrayLike,
    price_DM: ArrayLike,
    budget: float,
) -> Allocation:
    """Buy the vote with the most expected gain per dollar, again and again.

    A call on one document changes no other document's gain, so one entry a document in
    a heap gives the greedy order exactly. What does not fit into the rest of the budget
    is passed over, cheaper calls are still bought. Free calls (a local voter) come
    first, larger gains before smaller, and are bought as long as they gain anything: to
    ration them as well, give seconds instead of dollars, for prices and for the budget.

    Args:
        words_DSB: (D, S, B) rows of `histogram_words`; of many documents rather
            (D, S · B) of `stack_words`, which holds no empty cells.
        voted_DM: (D, M) votes that are there already; they are in the means.
        voters: what is known of them.
        need_D: (D,) how much the student needs the document: its residual, or ones.
        price_DM: (D, M) dollars of one vote; (M,) for one price a voter; ones to count
            calls.
        budget: dollars, or calls, or seconds.

    Returns:
        The calls, in the order of the purchase.

    Raises:
        InvalidSelection: shapes differ, or a number is negative or not finite.

    Source: greedy with a knapsack, Leskovec et al. 2007 (without its second pass);
    that votes are submodular information, Krause & Guestrin 2005; use of residuals as
    weights: ours.
    """
    words_DW = _as_rows(words_DSB)
    voted_DM = np.asarray(voted_DM, dtype=np.int64)
    need_D = np.asarray(need_D, dtype=np.float64)
    price_DM = np.asarray(price_DM, dtype=np.float64)
    if price_DM.ndim == 1:
        price_DM = np.broadcast_to(price_DM, (len(voted_DM), price_DM.size))
    _check(words_DW, voted_DM, voters, need_D, price_DM, budget)
    votes = _NextVotes(words_DW, voted_DM, voters, need_D, price_DM)
    return Allocation(tuple(_buy(votes, budget)), budget)


class _NextVotes:
    """The gain and the price of every voter's next vote on every document."""

    def __init__(
        self,
        words_DW: csr_array,
        voted_DM: NDArray[np.int64],
        voters: VoterReliability,
        need_D: FloatArray,
        price_DM: FloatArray,
    ) -> None:
        self._words_DW = words_DW
        self.voted_DM = voted_DM
        self.planned_DM = np.zeros_like(voted_DM)
        self.price_DM = price_DM
        self._voters = voters
        self._need_D = need_D
        self._information: dict[tuple[int, ...], FloatArray] = {}
        self._novelty: dict[tuple[int, ...], FloatArray] = {}
        self._bits_DM = words_DW @ self._table((0,) * voted_DM.shape[1])

    def offers(self, d: int) -> tuple[FloatArray, FloatArray]:
        """Give the gain and the price of each voter's next vote on a document.

        A vote that may not be bought gains 0.
        """
        planned = tuple(self.planned_DM[d].tolist())
        asked_M = self.voted_DM[d] + self.planned_DM[d]
        bits_M = self._bits(d, planned) if any(planned) else self._bits_DM[d]
        gain_M = self._need_D[d] * bits_M * self._new(tuple(asked_M.tolist()))
        open_M = asked_M < self._voters.max_replicates_M
        return np.where(open_M, gain_M.round(_DIGITS), 0.0), self.price_DM[d]

    def _bits(self, d: int, planned: tuple[int, ...]) -> FloatArray:
        """Give the bits of one more vote of each voter on a document."""
        rows = self._words_DW
        own = slice(rows.indptr[d], rows.indptr[d + 1])
        bits_M: FloatArray = rows.data[own] @ self._table(planned)[rows.indices[own]]
        return bits_M

    def _table(self, planned: tuple[int, ...]) -> FloatArray:
        """Give the bits of one more vote for each kind of word, (S * B, M)."""
        before = self._joint(planned)
        steps = range(len(planned))
        after = [
            self._joint(tuple(c + (k == m) for k, c in enumerate(planned)))
            for m in steps
        ]
        return np.stack([np.ravel(one - before) for one in after], axis=1)

    def _joint(self, count: tuple[int, ...]) -> FloatArray:
        if count not in self._information:
            self._information[count] = joint_information(
                np.broadcast_to(BIN_MEAN_B, (len(STRATA), NUM_BINS)),
                self._voters.sensitivity_MS[:, :, None],
                self._voters.specificity_MS[:, :, None],
                count,
            )
        return self._information[count]

    def _new(self, asked: tuple[int, ...]) -> FloatArray:
        if asked not in self._novelty:
            rho_MM = self._voters.correlation_MM
            self._novelty[asked] = np.array(
                [novelty(rho_MM, asked, m) for m in range(len(asked))]
            )
        return self._novelty[asked]


def _buy(votes: _NextVotes, budget: float) -> list[Call]:
    """Take the best next vote of all documents until nothing fits."""
    left = budget
    calls: list[Call] = []
    heap = [
        entry
        for d in range(len(votes.voted_DM))
        if (entry := _best(votes, d, left)) is not None
    ]
    heapq.heapify(heap)
    while heap:
        *_, gain, d, m = heapq.heappop(heap)
        price = float(votes.price_DM[d, m])
        # The budget may have shrunk since: then another of its voters may still fit.
        if price <= left:
            asked = int(votes.voted_DM[d, m] + votes.planned_DM[d, m])
            calls.append(Call(d, m, asked, gain, price))
            votes.planned_DM[d, m] += 1
            left -= price
        if (entry := _best(votes, d, left)) is not None:
            heapq.heappush(heap, entry)
    return calls


def _best(
    votes: _NextVotes, d: int, left: float
) -> tuple[float, float, float, int, int] | None:
    """Find a document's best next vote, as a heap's entry: smallest is best."""
    gain_M, price_M = votes.offers(d)
    found = [
        (-np.inf if price == 0 else -gain / price, -gain, gain, d, m)
        for m, (gain, price) in enumerate(
            zip(gain_M.tolist(), price_M.tolist(), strict=True)
        )
        if gain > 0 and price <= left
    ]
    return min(found, key=lambda entry: (*entry[:2], entry[4]), default=None)


def _as_rows(words: ArrayLike | csr_array) -> csr_array:
    """Take histograms as sparse rows; their order decides no bit."""
    if isinstance(words, csr_array):
        return words
    words_DSB = np.asarray(words, dtype=np.float64)
    if words_DSB.shape[1:] != (len(STRATA), NUM_BINS):
        raise InvalidSelection(
            f"words have shape {words_DSB.shape}; expected (D, {len(STRATA)}, "
            f"{NUM_BINS}): a row of histogram_words for each document"
        )
    return csr_array(words_DSB.reshape(len(words_DSB), -1))


def _check(
    words_DW: csr_array,
    voted_DM: NDArray[np.int64],
    voters: VoterReliability,
    need_D: FloatArray,
    price_DM: FloatArray,
    budget: float,
) -> None:
    num_documents = words_DW.shape[0]
    num_voters = len(voters.sensitivity_MS)
    shapes = {
        "words": (words_DW.shape, (num_documents, len(STRATA) * NUM_BINS)),
        "votes": (voted_DM.shape, (num_documents, num_voters)),
        "needs": (need_D.shape, (num_documents,)),
        "prices": (price_DM.shape, (num_documents, num_voters)),
        "sensitivities": (voters.sensitivity_MS.shape, (num_voters, len(STRATA))),
        "specificities": (voters.specificity_MS.shape, (num_voters, len(STRATA))),
        "correlations": (voters.correlation_MM.shape, (num_voters, num_voters)),
        "replicates": (voters.max_replicates_M.shape, (num_voters,)),
    }
    for what, (found, expected) in shapes.items():
        if found != expected:
            raise InvalidSelection(
                f"{what} have shape {found}; expected {expected}: documents, strata "
                "and bins of histogram_words, and one entry a voter"
            )
    for what, values in (("needs", need_D), ("prices", price_DM), ("budget", budget)):
        if not (np.isfinite(values) & (np.asarray(values) >= 0)).all():
            raise InvalidSelection(
                f"{what} are negative or not finite; expected numbers at least 0; "
                "residuals, and prices in dollars, calls or seconds"
            )
