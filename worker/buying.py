"""Which documents each voter of the next wave is asked about, once a budget can tell.

What an earlier round learned says what a vote would tell: how often each voter is right
by stratum, whose errors fall together, what a word costs, how much the student needs a
document. The budget is laid over documents x voters by expected bits per dollar.

D = documents, M = voters, S = strata, B = bins of the posterior mean
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from db.queries import diversity, loops, quality, quality_views
from db.queries.jobs import JobRow
from kompress.config import RoundConfig
from kompress.selection.budget import VoterSheet, allocate
from kompress.types import JSON, STRATA, FloatArray
from worker.fitting import Rate, read_rates

# A voter of unknown rates tosses coins: its votes are expected to tell nothing.
_COIN: Rate = (0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Market:
    """What an earlier round knows of the voters that could be asked now.

    Attributes:
        asked: voters of the waves so far; they voted on every document.
        following: voters of the next wave.
        sheet: of both, in that order.
        price_M: dollars a word, of both; ones where all of the next wave are free, so
            that the budget counts votes on words.
        unit: `usd` or `words`.
        need_of: the residual by document id; others need as much as the mean.
    """

    asked: tuple[str, ...]
    following: tuple[str, ...]
    sheet: VoterSheet
    price_M: FloatArray
    unit: str
    need_of: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Purchase:
    """Who is asked about what.

    Attributes:
        documents: ids by the voters that are asked about them, in the wave's order.
        decision: what was spent on what, for `rounds.decisions`.
    """

    documents: dict[tuple[str, ...], list[int]]
    decision: JSON


def load_market(session: Session, job: JobRow, config: RoundConfig) -> Market | None:
    """Read what the round before learned.

    Returns:
        None unless that round knows every voter of the next wave.
    """
    before = loops.previous_round(session, job.loop_id, job.round)
    if before is None:
        return None
    held = loops.read_round(session, before)
    rates = read_rates(held.decisions)
    asked = tuple(v.name for v in config.voters if v.wave <= job.wave)
    following = tuple(v.name for v in config.voters if v.wave == job.wave + 1)
    if not following or not {voter for voter, _ in rates} >= set(following):
        return None
    names = (*asked, *following)
    prices = diversity.voter_prices(session, job.loop, held.number)
    price_M = np.array([prices.get(name, 0.0) for name in names])
    is_paid = bool((price_M[len(asked) :] > 0).any())
    correlation = quality_views.voter_correlation(session, job.loop, held.number)
    found = quality.load_residuals(session, before)
    return Market(
        asked=asked,
        following=following,
        sheet=make_sheet(
            names,
            rates,
            {
                (row["voter"], row["other"]): row["error_correlation"] or 0.0
                for row in correlation
            },
        ),
        price_M=price_M if is_paid else np.ones(len(names)),
        unit="usd" if is_paid else "words",
        need_of={
            document: value
            for document, (measured, predicted) in found.items()
            if (value := predicted if measured is None else measured) is not None
        },
    )


def make_sheet(
    names: Sequence[str],
    rates: Mapping[tuple[str, str], Rate],
    correlation: Mapping[tuple[str, str], float],
) -> VoterSheet:
    """Lay out what is known of some voters; each gives one vote a document.

    Args:
        names: M voters.
        rates: (sensitivity, specificity) by voter and stratum.
        correlation: of the errors of pairs, either way round; 0 where not named.
    """
    rate_MS2 = np.array([[rates.get((v, s), _COIN) for s in STRATA] for v in names])
    rho_MM = np.eye(len(names))
    for a, first in enumerate(names):
        for b, second in enumerate(names):
            known = correlation.get((first, second), correlation.get((second, first)))
            if a != b and known is not None:
                rho_MM[a, b] = max(known, 0.0)
    return VoterSheet(
        sensitivity_MS=rate_MS2[:, :, 0],
        specificity_MS=rate_MS2[:, :, 1],
        correlation_MM=rho_MM,
        max_replicates_M=np.ones(len(names), dtype=np.int64),
    )


def buy(market: Market, words_of: Mapping[int, FloatArray], share: float) -> Purchase:
    """Spend a share of what asking the whole next wave about everything would cost.

    Args:
        market: what is known.
        words_of: (S, B) `histogram_words` by document id.
        share: of that cost, in [0, 1].
    """
    ids = sorted(words_of)
    num_asked = len(market.asked)
    voted_DM = np.zeros((len(ids), len(market.price_M)), dtype=np.int64)
    voted_DM[:, :num_asked] = 1
    words_DSB = np.array([words_of[document] for document in ids])
    price_DM = words_DSB.sum(axis=(1, 2))[:, None] * market.price_M
    known = list(market.need_of.values())
    average = float(np.mean(known)) if known else 1.0
    found = allocate(
        words_DSB,
        voted_DM,
        market.sheet,
        need_D=[market.need_of.get(document, average) for document in ids],
        price_DM=price_DM,
        budget=share * float(price_DM[:, num_asked:].sum()),
    )
    chosen: dict[int, set[int]] = {}
    for call in found.calls:
        chosen.setdefault(ids[call.document], set()).add(call.voter)
    documents: dict[tuple[str, ...], list[int]] = {}
    names = (*market.asked, *market.following)
    for document, voters in sorted(chosen.items()):
        key = tuple(names[m] for m in sorted(voters))
        documents.setdefault(key, []).append(document)
    return Purchase(documents, {"unit": market.unit, **found.summary(names)})
