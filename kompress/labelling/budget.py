"""Which documents each voter is asked about, and how often, once a budget can tell.

What an earlier round learned says what a vote would tell: how often each voter is right
by stratum, whose errors fall together, what a word costs, how much the student needs a
document. The budget is laid over documents x voters x replicates by expected bits per
dollar: over the next wave's voters, over further answers of those who voted, and over
documents that a voter of an earlier wave was not asked about.

D = documents, M = voters, S = strata, W = cells of a histogram, E = those that count
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kompress.aggregation.reliability.likelihood import WITHIN_VOTER
from kompress.config import VoterConfig
from kompress.decisions import Rate, Spending
from kompress.labelling.panel import Panel
from kompress.selection.budget import Call, VoterReliability, allocate
from kompress.selection.information_gain import (
    histogram_words,
    pack_words,
    stack_words,
)
from kompress.selection.residuals import fill_average
from kompress.types import STRATA, FloatArray

# A voter of unknown rates tosses coins: its votes are expected to tell nothing.
_COIN: Rate = (0.5, 0.5)
# (voter, answers that a document shall have of it in all) of those asked about it.
Asked = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """What an earlier round knows of the voters that could be asked now.

    Attributes:
        asked: voters of the waves so far.
        following: how many answers the next wave's voters give to a document that is
            asked about without a budget.
        reliability: of both, in that order.
        price_M: dollars a word of one answer, of both; ones where all of the next wave
            are free, so that the budget counts answers on words.
        unit: `usd` or `words`.
        need_of: the residual by document id; others need as much as the mean.
    """

    asked: tuple[str, ...]
    following: Mapping[str, int]
    reliability: VoterReliability
    price_M: FloatArray
    unit: Literal["usd", "words"]
    need_of: Mapping[int, float]

    @property
    def names(self) -> tuple[str, ...]:
        """Name all voters, in the order of the columns."""
        return (*self.asked, *self.following)


@dataclass(frozen=True, slots=True)
class BoughtAnswers:
    """Who is asked about what.

    Attributes:
        documents: ids by who is asked about them, in the order of the terms, and how
            many answers they shall have of each, earlier ones among them.
        spending: what was spent on what.
    """

    documents: dict[Asked, list[int]]
    spending: Spending


def make_terms(
    asked: Sequence[VoterConfig],
    following: Sequence[VoterConfig],
    *,
    rates: Mapping[tuple[str, str], Rate],
    prices: Mapping[str, float],
    correlation: Mapping[tuple[str, str], float],
    varied: Collection[str],
    need_of: Mapping[int, float],
) -> BudgetTerms:
    """Lay out what an earlier round knows.

    Where the next wave is free, nobody who costs money is asked again: the budget holds
    none.

    Args:
        asked: voters of the waves so far.
        following: voters of the next wave.
        rates: (sensitivity, specificity) by voter and stratum.
        prices: dollars a word of one answer; who spent something and has no vote has no
            price, and is not asked: it is not free.
        correlation: of the errors of pairs, see `reliability_of`.
        varied: whose next answer may differ from the one before.
        need_of: the residual by document id.
    """
    both = (*asked, *following)
    names = [voter.name for voter in both]
    price_M = np.array([prices.get(name, 0.0) for name in names])
    is_paid = bool((price_M[len(asked) :] > 0).any())
    limit_M = np.array([voter.limit for voter in both])
    limit_M[[name not in prices for name in names]] = 0
    if not is_paid:
        limit_M[price_M > 0] = 0
    return BudgetTerms(
        asked=tuple(voter.name for voter in asked),
        following={voter.name: voter.replicates for voter in following},
        reliability=reliability_of(
            names, rates, correlation, limits=limit_M.tolist(), varied=varied
        ),
        price_M=price_M if is_paid else np.ones(len(names)),
        unit="usd" if is_paid else "words",
        need_of=need_of,
    )


def reliability_of(
    names: Sequence[str],
    rates: Mapping[tuple[str, str], Rate],
    correlation: Mapping[tuple[str, str], float],
    *,
    limits: Sequence[int],
    varied: Collection[str],
) -> VoterReliability:
    """Lay out how often some voters are right, and whose errors fall together.

    Args:
        names: M voters.
        rates: (sensitivity, specificity) by voter and stratum.
        correlation: of the errors of pairs, either way round; 0 where not named.
        limits: (M,) most answers of each on a document.
        varied: whose next answer may differ from the one before. The two are taken to
            share as much as the rule that pools them says, and no less than the voter
            shares with another: who is most like it is itself.
    """
    rate_MS2 = np.array([[rates.get((v, s), _COIN) for s in STRATA] for v in names])
    rho_MM = np.eye(len(names))
    for a, first in enumerate(names):
        for b, second in enumerate(names):
            known = correlation.get((first, second), correlation.get((second, first)))
            if a != b and known is not None:
                rho_MM[a, b] = max(known, 0.0)
    for m, name in enumerate(names):
        if name in varied:
            rho_MM[m, m] = max(WITHIN_VOTER, *np.delete(rho_MM[m], m), 0.0)
    return VoterReliability(
        sensitivity_MS=rate_MS2[:, :, 0],
        specificity_MS=rate_MS2[:, :, 1],
        correlation_MM=rho_MM,
        max_replicates_M=np.array(limits, dtype=np.int64),
    )


def pack_posteriors(panel: Panel, mean_W: FloatArray) -> dict[int, NDArray[np.uint32]]:
    """Count each text's words by stratum and posterior mean, see `pack_words`.

    Args:
        panel: which words are whose.
        mean_W: the posterior's mean.
    """
    strata = panel.split(panel.stratum_W)
    return {
        text_id: pack_words(histogram_words(mean_N, strata[text_id]))
        for text_id, mean_N in panel.split(mean_W).items()
    }


def spend(
    terms: BudgetTerms,
    words_of: Mapping[int, NDArray[np.uint32]],
    given_of: Mapping[int, Sequence[int]],
    share: float,
    *,
    closed: Collection[tuple[int, str]] = (),
) -> BoughtAnswers:
    """Spend a share of what asking the whole next wave about everything would cost.

    Args:
        terms: what is known.
        words_of: (2, E) `pack_words` by document id.
        given_of: (M,) answers that are there, by the ids of the documents that answers
            may be bought on; the others count for the cost alone.
        share: of that cost, in [0, 1].
        closed: (document id, voter) that would bring nothing: the voter has failed.
    """
    ids = sorted(given_of)
    usual_M = np.array([terms.following.get(name, 0) for name in terms.names])
    num_words = sum(int(cells_2E[1].sum()) for cells_2E in words_of.values())
    words_DW = stack_words([words_of[document] for document in ids])
    given_DM = np.array([given_of[document] for document in ids], dtype=np.int64)
    given_DM = given_DM.reshape(len(ids), len(usual_M))
    budget = share * num_words * float(usual_M @ terms.price_M)
    price_DM = words_DW.sum(axis=1)[:, None] * terms.price_M
    for d, document in enumerate(ids):
        for m, name in enumerate(terms.names):
            if (document, name) in closed:
                price_DM[d, m] = budget + 1  # more than there is
    found = allocate(
        words_DW,
        given_DM,
        terms.reliability,
        need_D=fill_average(terms.need_of, ids),
        price_DM=price_DM,
        budget=budget,
    )
    return BoughtAnswers(
        _by_asked(terms.names, ids, given_DM, found.calls),
        found.summary(terms.names, terms.unit),
    )


def _by_asked(
    names: Sequence[str],
    ids: Sequence[int],
    given_DM: NDArray[np.int64],
    calls: Iterable[Call],
) -> dict[Asked, list[int]]:
    """Sort documents by who is asked about them."""
    bought_DM = np.zeros_like(given_DM)
    for call in calls:
        bought_DM[call.document, call.voter] += 1
    documents: dict[Asked, list[int]] = {}
    for document, given_M, bought_M in zip(ids, given_DM, bought_DM, strict=True):
        asked = tuple(
            (name, int(given + bought))
            for name, given, bought in zip(names, given_M, bought_M, strict=True)
            if bought
        )
        if asked:
            documents.setdefault(asked, []).append(document)
    return documents
