"""Say which voter to drop or to add, by what its votes tell of the truth per dollar.

What a voter adds is measured by leaving it out (`gains`); this module only divides by
its price and says what comes of it, and whether the figures can carry that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from kompress.decisions import Diversity, LeaveOneOutValue
from kompress.types import JSON

# A word holds at most one bit. A voter that surely adds no more than a fiftieth of it
# is not missed, and one that takes no more does no harm to speak of: leaving out a pure
# coin saves its rule the noise of fitting it, some thousandths of a bit.
NEGLIGIBLE_BITS = 0.02


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


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What to do about a panel.

    Attributes:
        offers: every voter, the least bits per dollar first; then the free ones, whose
            bits cost nothing, and apart from all those of unknown price: each the least
            bits first.
        drop: a voter that the panel is as good or better without; '' for none.
        add: whom to add: a voter with stored votes, or whose like; '' for none.
        sentences: both in plain words, with their reasons.
    """

    offers: tuple[Offer, ...]
    drop: str
    add: str
    sentences: tuple[str, ...]

    def as_json(self) -> JSON:
        """Lay it out for programs."""
        return {
            "drop": self.drop,
            "add": self.add,
            "sentences": list(self.sentences),
            "offers": [asdict(offer) for offer in self.offers],
        }


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
        return Suggestions((), "", "", (_why_nothing(diversity),))
    offers = sorted(
        (_offer(gain, prices) for gain in diversity.leave_one_out), key=_rank
    )
    drop, why_drop = _choose_drop(offers, _twins(diversity))
    add, why_add = _choose_candidate(candidates, prices)
    if not add:
        add, why_like = _choose_like(diversity, prices)
        why_add = f"{why_add}; {why_like}" if why_add else why_like
    return Suggestions(tuple(offers), drop, add, (why_drop, why_add))


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


def _why_nothing(diversity: Diversity) -> str:
    if diversity.num_voters < 2:
        return "one voter alone: what it adds cannot be measured by leaving it out"
    if diversity.truth == "none":
        return (
            "whom to drop or add cannot be said without calibration gold: agreement "
            "does not tell who is right"
        )
    return "what each voter adds was not measured: gold of one document group only"


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


def _twins(diversity: Diversity) -> dict[str, str]:
    """Name, for each voter that is like another one, that one and how it is alike."""
    found: dict[str, str] = {}
    for pairs, how in (
        (diversity.copies, " beside its copy {}"),
        (diversity.identical, " beside {}, which never voted differently"),
    ):
        for one, other, _ in pairs:
            found.setdefault(one, how.format(other))
            found.setdefault(other, how.format(one))
    return found


def _choose_drop(offers: Sequence[Offer], twin: Mapping[str, str]) -> tuple[str, str]:
    harmful = [
        offer for offer in offers if offer.bits < -NEGLIGIBLE_BITS and offer.is_certain
    ]
    if harmful:
        worst = min(harmful, key=lambda offer: offer.bits)
        return worst.voter, (
            f"drop {worst.voter}: the consensus is better without it, by "
            f"{_bits(worst, flip=True)}{_saved(worst)}"
        )
    paid = [offer for offer in offers if offer.bits_per_dollar is not None]
    if not paid:
        return "", (
            "drop nobody: no voter surely does harm, and all are free or of unknown "
            "price"
        )
    least = paid[0]
    if least.bits > 0 and least.is_certain:
        return "", (
            f"drop nobody: every paid voter adds something; the least per dollar is "
            f"{least.voter} with {_bits(least)}, {least.bits_per_dollar:,.0f} bits a "
            "dollar"
        )
    doubt = "there is no interval"
    if least.bits_high is not None:
        doubt = "the interval covers zero"
        if least.bits_high <= NEGLIGIBLE_BITS:
            if least.is_certain:
                doubt = "the interval lies below zero"
            return least.voter, (
                f"drop {least.voter}, the least per dollar: it adds {_bits(least)}"
                f"{twin.get(least.voter, '')}; {doubt}, and even its upper end is next "
                f"to nothing{_saved(least)}"
            )
    return "", (
        f"drop nobody yet: the least per dollar is {least.voter}, which adds "
        f"{_bits(least)}; {doubt}, so nobody can say whether it adds anything: add "
        "gold with `farm gold add`"
    )


def _choose_candidate(
    candidates: Sequence[LeaveOneOutValue], prices: Mapping[str, float]
) -> tuple[str, str]:
    if not candidates:
        return "", ""
    offers = [_offer(gain, prices) for gain in candidates]
    certain = [offer for offer in offers if offer.bits > 0 and offer.is_certain]
    if not certain:
        best = max(offers, key=lambda offer: offer.bits)
        return "", (
            f"of the voters with stored votes {best.voter} would add the most, "
            f"{_bits(best)}, but the interval does not lie above zero"
        )
    best = max(certain, key=lambda offer: _worth(offer.bits, offer.usd_per_word))
    return best.voter, (
        f"add {best.voter}, whose votes are stored: it would add {_bits(best)}"
        f"{_for_price(best)}"
    )


def _choose_like(diversity: Diversity, prices: Mapping[str, float]) -> tuple[str, str]:
    def worth(gain: LeaveOneOutValue) -> tuple[bool, bool, bool, float]:
        return _worth(gain.bits_of_another, prices.get(gain.voter))

    best = max(diversity.leave_one_out, key=worth)
    text = (
        f"add one more voter: one as good as {best.voter} and independent of all "
        f"would add {_number(best.bits_of_another)} bits a word"
    )
    price = prices.get(best.voter)
    if price:
        text += f", {best.bits_of_another / price:,.0f} bits a dollar at its price"
    elif price == 0:
        text += ", free of charge"
    unknown = [gain for gain in diversity.leave_one_out if gain.voter not in prices]
    if price is not None and unknown:
        apart = max(unknown, key=lambda gain: gain.bits_of_another)
        if apart.bits_of_another > best.bits_of_another:
            text += (
                f" (one as good as {apart.voter}, whose price is unknown, "
                f"{_number(apart.bits_of_another)})"
            )
    if diversity.n_eff is not None and diversity.num_voters > 1:
        share = next_share(diversity.num_voters, diversity.n_eff)
        alike = _number(best.bits_of_another * share)
        text += f"; one as alike as these are, about {alike}"
    return best.voter, text


def _bits(offer: Offer, *, flip: bool = False) -> str:
    """Write a gain with its interval; flipped, what leaving it out gains."""
    value, low, high = offer.bits, offer.bits_low, offer.bits_high
    if low is None or high is None:
        return f"{_number(-value if flip else value)} bits a word"
    if flip:
        value, low, high = -value, -high, -low
    return f"{_number(value)} bits a word ({_number(low)} to {_number(high)})"


def _number(value: float) -> str:
    """Write -.012, .105 or 1.3; small figures keep two digits."""
    if abs(value) < 5e-6:
        return "0"
    digits = 3 if abs(value) >= 0.01 else 5
    return f"{value:.{digits}f}".replace("0.", ".", 1)


def _saved(offer: Offer) -> str:
    if offer.usd_per_word is None:
        return "; its price is unknown"
    if not offer.usd_per_word:
        return "; it is free"
    return f"; it saves ${offer.usd_per_word * 1e6:,.2f} a million words"


def _for_price(offer: Offer) -> str:
    if offer.bits_per_dollar is None:
        return "" if offer.usd_per_word is None else ", free of charge"
    return f", {offer.bits_per_dollar:,.0f} bits a dollar"
