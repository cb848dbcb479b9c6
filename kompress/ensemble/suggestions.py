"""Choose which voter to drop or to add, by what its votes tell of the truth per dollar.

What a voter adds is measured by leaving it out (`leave_one_out`); this module only
divides by its price and decides what the figures can carry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kompress.decisions import Diversity, LeaveOneOutValue

# A word holds at most one bit. A voter that surely adds no more than a fiftieth of it
# is not missed, and one that takes no more does no harm to speak of: leaving out a pure
# coin saves its rule the noise of fitting it, some thousandths of a bit.
NEGLIGIBLE_BITS = 0.02

DropReason = Literal["harmful", "negligible"]
KeepReason = Literal["unmeasured", "none_paid", "all_add", "unsure"]


@dataclass(frozen=True, slots=True)
class Offer:
    """What one voter adds, and for how much.

    Attributes:
        voter: its name.
        bits: of truth a gold word, see `LeaveOneOutValue`; for a voter that is not in
            the panel what it would add to it.
        bits_low: lower end of the 95 % interval; None where there is none.
        bits_high: upper end.
        usd_per_word: its price in the round; 0 where it was free, None where unknown.
        bits_per_dollar: None where it is free or of unknown price.
    """

    voter: str
    bits: float
    bits_low: float | None
    bits_high: float | None
    usd_per_word: float | None
    bits_per_dollar: float | None

    @property
    def is_certain(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        low, high = self.bits_low, self.bits_high
        return low is not None and high is not None and (low > 0 or high < 0)

    @property
    def surely_adds(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.bits > 0 and self.is_certain


@dataclass(frozen=True, slots=True)
class NextVoter:
    """One more voter, as good as one of the panel.

    Attributes:
        like: that one, the best of the panel.
        bits: what it would add if it were independent of all.
        bits_alike: if it were as alike as the panel's voters are; None where gold does
            not tell how alike these are.
        usd_per_word: the price of the one that it is like; 0 for free, None if unknown.
        unpriced: a voter of unknown price whose like would add more; '' for none.
        unpriced_bits: what that would add.
    """

    like: str
    bits: float
    bits_alike: float | None
    usd_per_word: float | None
    unpriced: str
    unpriced_bits: float


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What to do about a panel.

    Attributes:
        offers: every voter, the least bits per dollar first; then the free ones, whose
            bits cost nothing, and apart from all those of unknown price: each the least
            bits first.
        reason: why to drop `about`, or why nobody.
            `harmful`: the consensus is better without it.
            `negligible`: it costs money, and surely adds next to nothing.
            `unmeasured`: what each voter adds is not known.
            `none_paid`: nobody surely does harm, and no price above zero is known.
            `all_add`: every paid voter adds something; `about` the least per dollar.
            `unsure`: what the least per dollar adds may be nothing, or much.
        about: the voter that the reason speaks of, if it speaks of one.
        stored: the best of the voters outside the panel whose votes are stored.
        next_voter: whom to add where no stored votes surely add anything.
    """

    offers: tuple[Offer, ...] = ()
    reason: DropReason | KeepReason = "unmeasured"
    about: Offer | None = None
    stored: Offer | None = None
    next_voter: NextVoter | None = None

    @property
    def drop(self) -> str:
        """A voter that the panel is as good or better without; '' for none."""
        drops = self.reason in ("harmful", "negligible")
        return self.about.voter if drops and self.about is not None else ""

    @property
    def add(self) -> str:
        """Whom to add: a voter with stored votes, or whose like; '' for none."""
        if self.next_voter is not None:
            return self.next_voter.like
        return "" if self.stored is None else self.stored.voter


def suggest(
    diversity: Diversity,
    prices: Mapping[str, float],
    candidates: Sequence[LeaveOneOutValue] = (),
) -> Suggestions:
    """Suggest whom to drop and whom to add.

    Drop: a voter that surely does harm, and more than `NEGLIGIBLE_BITS` of it; else, of
    the paid ones, the one with the least bits per dollar, if it surely adds no more
    than that. A free voter is only dropped for harm: keeping it costs nothing. One at a
    time: of two copies neither adds anything while the other is there.

    Add: of candidates with stored votes the best whose interval lies above zero; else
    one more voter like the best of the panel. Best is a free one, by its bits; then who
    gives the most bits per dollar; whose price is unknown comes last, and is named
    apart. Who adds no more than `NEGLIGIBLE_BITS` comes after all others.

    Args:
        diversity: of the panel, with gains.
        prices: US dollars a word by voter; 0 for free ones.
        candidates: what voters outside the panel would add to it.

    Source: ours; value of information per cost, Howard 1966.
    """
    if not diversity.leave_one_out:
        return Suggestions()
    offers = sorted(
        (_offer(gain, prices) for gain in diversity.leave_one_out), key=_rank
    )
    reason, about = _judge(offers)
    stored = _best_stored([_offer(gain, prices) for gain in candidates])
    is_enough = stored is not None and stored.surely_adds
    return Suggestions(
        offers=tuple(offers),
        reason=reason,
        about=about,
        stored=stored,
        next_voter=None if is_enough else _best_next(diversity, prices),
    )


def next_share(num_voters: int, n_eff: float) -> float:
    """Give what part of an independent voter one more of the same family is worth.

    Args:
        num_voters: M, at least 2.
        n_eff: what they are worth, in [1, M].

    Returns:
        n_eff(M + 1) - n_eff(M) at the one correlation that gives n_eff, in (0, 1].

    Source: n_eff = M/(1 + (M - 1)ρ), solved for ρ (Kish 1965).
    """
    rho = (num_voters / n_eff - 1) / (num_voters - 1)
    return (num_voters + 1) / (1 + num_voters * rho) - n_eff


def _offer(gain: LeaveOneOutValue, prices: Mapping[str, float]) -> Offer:
    price = prices.get(gain.voter)
    return Offer(
        voter=gain.voter,
        bits=gain.bits,
        bits_low=gain.bits_low,
        bits_high=gain.bits_high,
        usd_per_word=price,
        bits_per_dollar=gain.bits / price if price else None,
    )


def _rank(offer: Offer) -> tuple[bool, bool, float, str]:
    """Rank by bits per dollar: paid, free, and apart from these of unknown price."""
    price, value = offer.usd_per_word, offer.bits_per_dollar
    bits = offer.bits if value is None else value
    return price is None, value is None, bits, offer.voter


def _worth(bits: float, price: float | None) -> tuple[bool, bool, bool, float]:
    """Rank whom to add, the best highest."""
    per_dollar = bits / price if price else bits
    return bits > NEGLIGIBLE_BITS, price is not None, price == 0, per_dollar


def _judge(
    offers: Sequence[Offer],
) -> tuple[DropReason | KeepReason, Offer | None]:
    """Find whom to drop, or why nobody; offers in the order of `_rank`."""
    harmful = [
        offer for offer in offers if offer.bits < -NEGLIGIBLE_BITS and offer.is_certain
    ]
    if harmful:
        return "harmful", min(harmful, key=lambda offer: offer.bits)
    paid = [offer for offer in offers if offer.bits_per_dollar is not None]
    if not paid:
        return "none_paid", None
    least = paid[0]
    if least.surely_adds:
        return "all_add", least
    if least.bits_high is not None and least.bits_high <= NEGLIGIBLE_BITS:
        return "negligible", least
    return "unsure", least


def _best_stored(offers: Sequence[Offer]) -> Offer | None:
    """Take the best that surely adds something, else the one that may add the most."""
    certain = [offer for offer in offers if offer.surely_adds]
    if certain:
        return max(certain, key=lambda offer: _worth(offer.bits, offer.usd_per_word))
    return max(offers, key=lambda offer: offer.bits, default=None)


def _best_next(diversity: Diversity, prices: Mapping[str, float]) -> NextVoter:
    def worth(gain: LeaveOneOutValue) -> tuple[bool, bool, bool, float]:
        return _worth(gain.bits_of_another, prices.get(gain.voter))

    best = max(diversity.leave_one_out, key=worth)
    unknown = [
        gain
        for gain in diversity.leave_one_out
        if gain.voter not in prices and gain.bits_of_another > best.bits_of_another
    ]
    apart = max(unknown, key=lambda gain: gain.bits_of_another, default=None)
    alike = None
    if diversity.n_eff is not None and diversity.num_voters > 1:
        share = next_share(diversity.num_voters, diversity.n_eff)
        alike = best.bits_of_another * share
    return NextVoter(
        like=best.voter,
        bits=best.bits_of_another,
        bits_alike=alike,
        usd_per_word=prices.get(best.voter),
        unpriced=apart.voter if apart is not None else "",
        unpriced_bits=apart.bits_of_another if apart is not None else 0.0,
    )
