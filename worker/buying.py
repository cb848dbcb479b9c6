"""Which documents each voter is asked about, and how often, once a budget can tell.

What an earlier round learned says what a vote would tell: how often each voter is right
by stratum, whose errors fall together, what a word costs, how much the student needs a
document. The budget is laid over documents x voters x replicates by expected bits per
dollar: over the next wave's voters, over further answers of those who voted, and over
documents that a voter of an earlier wave was not asked about.

D = documents, M = voters, S = strata, W = cells of a histogram, E = those that count
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.queries import diversity, loops, quality, quality_views, voters
from db.queries.jobs import JobRow
from kompress.aggregation.reliability.likelihood import WITHIN_VOTER
from kompress.config import RoundConfig, VoterConfig
from kompress.decisions import Decisions, Rate, Spending
from kompress.labelling.fitting import flatten_rates
from kompress.selection.budget import VoterReliability, allocate
from kompress.selection.information_gain import stack_words
from kompress.selection.residuals import fill_average
from kompress.types import STRATA, FloatArray
from kompress.voters import VOTERS

# A voter of unknown rates tosses coins: its votes are expected to tell nothing.
_COIN: Rate = (0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Market:
    """What an earlier round knows of the voters that could be asked now.

    Attributes:
        asked: voters of the waves so far.
        following: how many answers the next wave's voters give to a document that is
            asked about without a budget.
        sheet: of both, in that order.
        price_M: dollars a word of one answer, of both; ones where all of the next wave
            are free, so that the budget counts answers on words.
        unit: `usd` or `words`.
        need_of: the residual by document id; others need as much as the mean.
    """

    asked: tuple[str, ...]
    following: Mapping[str, int]
    sheet: VoterReliability
    price_M: FloatArray
    unit: Literal["usd", "words"]
    need_of: Mapping[int, float]

    @property
    def names(self) -> tuple[str, ...]:
        """Name all voters, in the order of the sheet."""
        return (*self.asked, *self.following)


@dataclass(frozen=True, slots=True)
class Purchase:
    """Who is asked about what.

    Attributes:
        documents: ids by who is asked about them, in the market's order, and how many
            answers they shall have of each, earlier ones among them.
        spending: what was spent on what.
    """

    documents: dict[tuple[tuple[str, int], ...], list[int]]
    spending: Spending


def load_market(session: Session, job: JobRow, config: RoundConfig) -> Market | None:
    """Read what the round before learned.

    Voters in quarantine are not asked. Where the next wave is free, nobody who costs
    money is asked again: the budget holds none.

    Returns:
        None unless that round knows every voter of the next wave.
    """
    before = loops.previous_round(session, job.loop_id, job.round)
    if before is None:
        return None
    held = loops.read_round(session, before)
    rates = flatten_rates(held.decisions.reliability)
    decided = loops.read_round(session, job.round_id).decisions
    present = [v for v in config.voters if v.name not in decided.quarantined]
    asked = [v for v in present if v.wave <= job.wave]
    following = [v for v in present if v.wave == job.wave + 1]
    if not following or not {voter for voter, _ in rates} >= {
        v.name for v in following
    }:
        return None
    names = [v.name for v in (*asked, *following)]
    prices = diversity.voter_prices(session, job.loop, held.number)
    price_M = np.array([prices.get(name, 0.0) for name in names])
    is_paid = bool((price_M[len(asked) :] > 0).any())
    limit_M = np.array([v.limit for v in (*asked, *following)])
    # Who spent something and has no vote has no price: it is not free.
    limit_M[[name not in prices for name in names]] = 0
    if not is_paid:
        limit_M[price_M > 0] = 0
    correlation = quality_views.voter_correlation(session, job.loop, held.number)
    found = quality.load_residuals(session, before)
    return Market(
        asked=tuple(v.name for v in asked),
        following={v.name: v.replicates for v in following},
        sheet=make_sheet(
            names,
            rates,
            {
                (row["voter"], row["other"]): row["error_correlation"] or 0.0
                for row in correlation
            },
            limits=limit_M.tolist(),
            varied={
                v.name for v in (*asked, *following) if _varies(session, v, decided)
            },
        ),
        price_M=price_M if is_paid else np.ones(len(names)),
        unit="usd" if is_paid else "words",
        need_of={
            document: row.residual
            for document, row in found.items()
            if row.residual is not None
        },
    )


def make_sheet(
    names: Sequence[str],
    rates: Mapping[tuple[str, str], Rate],
    correlation: Mapping[tuple[str, str], float],
    *,
    limits: Sequence[int],
    varied: Collection[str],
) -> VoterReliability:
    """Lay out what is known of some voters.

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


def buy(
    market: Market,
    words_of: Mapping[int, NDArray[np.uint32]],
    given_of: Mapping[int, Sequence[int]],
    share: float,
    *,
    closed: Collection[tuple[int, str]] = (),
) -> Purchase:
    """Spend a share of what asking the whole next wave about everything would cost.

    Args:
        market: what is known.
        words_of: (2, E) `pack_words` by document id.
        given_of: (M,) answers that are there, by the ids of the documents that answers
            may be bought on; the others count for the cost alone.
        share: of that cost, in [0, 1].
        closed: (document id, voter) that would bring nothing: the voter has failed.
    """
    ids = sorted(given_of)
    usual_M = np.array([market.following.get(name, 0) for name in market.names])
    num_words = sum(int(cells_2E[1].sum()) for cells_2E in words_of.values())
    words_DW = stack_words([words_of[document] for document in ids])
    shape_DM = (len(ids), len(usual_M))
    given_DM = np.array([given_of[document] for document in ids], dtype=np.int64)
    given_DM = given_DM.reshape(shape_DM)
    budget = share * num_words * float(usual_M @ market.price_M)
    price_DM = words_DW.sum(axis=1)[:, None] * market.price_M
    for d, document in enumerate(ids):
        for m, name in enumerate(market.names):
            if (document, name) in closed:
                price_DM[d, m] = budget + 1  # more than there is
    found = allocate(
        words_DW,
        given_DM,
        market.sheet,
        need_D=fill_average(market.need_of, ids),
        price_DM=price_DM,
        budget=budget,
    )
    documents: dict[tuple[tuple[str, int], ...], list[int]] = {}
    bought_DM = np.zeros(shape_DM, dtype=np.int64)
    for call in found.calls:
        bought_DM[call.document, call.voter] += 1
    for document, given_M, bought_M in zip(ids, given_DM, bought_DM, strict=True):
        key = tuple(
            (name, int(given + bought))
            for name, given, bought in zip(market.names, given_M, bought_M, strict=True)
            if bought
        )
        if key:
            documents.setdefault(key, []).append(document)
    return Purchase(documents, found.summary(market.names, market.unit))


def _varies(session: Session, voter: VoterConfig, decided: Decisions) -> bool:
    """Say whether a voter's next answer may differ from the one before."""
    varies = VOTERS[voter.kind].varies
    if varies is None:
        return False
    row = voters.get_voter(session, decided.voters[voter.name])
    return varies(row.parts)
