"""What is known of a panel of voters, and whom to drop or add, in plain words."""

from collections.abc import Iterable, Sequence

from kompress.decisions import Diversity
from kompress.ensemble.suggestions import NextVoter, Offer, Suggestions


def describe_panel(diversity: Diversity, *, noun: str = "voters") -> str:
    """Say what a panel is worth, and who is like whom.

    Args:
        diversity: what was measured.
        noun: what its voters are, such as `teachers`.
    """
    size = diversity.num_voters
    if size < 2:
        return f"{size} {noun.removesuffix('s')}; there is nobody to compare with"
    parts = [_worth(diversity, noun)]
    identical = [pair[:2] for pair in diversity.identical]
    exact = {frozenset(pair) for pair in identical}
    near = [pair[:2] for pair in diversity.copies if frozenset(pair[:2]) not in exact]
    for pairs, what in (
        (identical, "never voted differently"),
        (near, "are near copies"),
    ):
        parts += [
            f"{', '.join(group[:-1])} and {group[-1]} {what}"
            for group in _families(diversity.voters, pairs)
        ]
    if diversity.n_eff is not None and diversity.num_unidentified:
        total = size * (size - 1) // 2
        parts.append(
            f"for {diversity.num_unidentified} of {total} pairs gold shows no errors "
            "to compare: they count as the others do"
        )
    return "; ".join(parts)


def describe_error(diversity: Diversity) -> str:
    """Say what part of the error more voters of this kind would mend, '' if unknown."""
    own = diversity.split
    if own.error is None or own.own_variance is None:
        return ""
    return (
        f"the mean vote's squared error on {own.num_words:,} gold words is "
        f"{own.error:.4f}: {own.shared_bias:.4f} bias and {own.shared_variance:.4f} "
        f"noise that all share, {own.own_variance:.4f} that more such voters would "
        "average out"
    )


def describe_blind(diversity: Diversity) -> str:
    """Name the strata where a shared error would show nowhere, '' for none."""
    if diversity.truth == "none" or not diversity.blind_strata:
        return ""
    return (
        f"in {', '.join(diversity.blind_strata)} nobody has gold: if all voters err "
        "alike there, no figure here can show it"
    )


def describe_suggestions(found: Suggestions, diversity: Diversity) -> tuple[str, ...]:
    """Say whom to drop and whom to add, with the reasons; one sentence each.

    Args:
        found: what was suggested.
        diversity: of the same panel.
    """
    if not found.offers:
        return (_why_nothing(diversity),)
    add = [_describe_stored(found.stored)] if found.stored is not None else []
    if found.next_voter is not None:
        add.append(_describe_next(found.next_voter))
    return _describe_drop(found, diversity), "; ".join(add)


def _worth(diversity: Diversity, noun: str) -> str:
    size, n_eff = f"{diversity.num_voters} {noun}", diversity.n_eff
    if diversity.truth == "none":
        alpha = diversity.alpha
        agree = "that share no words"
        if alpha is not None:
            agree = "that agree with alpha " + f"{alpha:.2f}".replace("0.", ".", 1)
        return (
            f"{size} {agree}; without calibration gold nobody can say whether they "
            "agree because they are right or because they copy each other: add gold "
            "with `farm gold add`"
        )
    words = f"{diversity.num_gold_words:,} gold words"
    if n_eff is None:
        return (
            f"{size}; on {words} too few of them err to say how many independent ones "
            "they are worth: add gold with `farm gold add`"
        )
    low, high = diversity.n_eff_low, diversity.n_eff_high
    if low is None or high is None:
        on = f"(on {words} of too few documents for an interval)"
    else:
        on = f"({low:.1f} to {high:.1f}, on {words})"
    return f"{size}, worth {n_eff:.1f} independent ones {on}"


def _families(
    voters: Sequence[str], pairs: Iterable[tuple[str, str]]
) -> list[list[str]]:
    """Join pairs that share a voter, in the panel's order."""
    family = {voter: voter for voter in voters}
    for a, b in pairs:
        old, new = family[b], family[a]
        family = {v: new if head == old else head for v, head in family.items()}
    groups: dict[str, list[str]] = {}
    for voter, head in family.items():
        groups.setdefault(head, []).append(voter)
    return [group for group in groups.values() if len(group) > 1]


def _why_nothing(diversity: Diversity) -> str:
    if diversity.num_voters < 2:
        return "one voter alone: what it adds cannot be measured by leaving it out"
    if diversity.truth == "none":
        return (
            "whom to drop or add cannot be said without calibration gold: agreement "
            "does not tell who is right"
        )
    return "what each voter adds was not measured: gold of one document group only"


def _describe_drop(found: Suggestions, diversity: Diversity) -> str:
    offer = found.about
    if offer is None:
        return (
            "drop nobody: no voter surely does harm, and all are free or of unknown "
            "price"
        )
    name = offer.voter
    if found.reason == "harmful":
        return (
            f"drop {name}: the consensus is better without it, by "
            f"{_bits(offer, flip=True)}{_saved(offer)}"
        )
    if found.reason == "all_add":
        return (
            f"drop nobody: every paid voter adds something; the least per dollar is "
            f"{name} with {_bits(offer)}, {offer.bits_per_dollar:,.0f} bits a dollar"
        )
    if found.reason == "negligible":
        zero = "lies below zero" if offer.is_certain else "covers zero"
        return (
            f"drop {name}, the least per dollar: it adds {_bits(offer)}"
            f"{_beside_twin(name, diversity)}; the interval {zero}, and even its upper "
            f"end is next to nothing{_saved(offer)}"
        )
    doubt = "the interval covers zero"
    if offer.bits_high is None:
        doubt = "there is no interval"
    return (
        f"drop nobody yet: the least per dollar is {name}, which adds {_bits(offer)}; "
        f"{doubt}, so nobody can say whether it adds anything: add gold with `farm "
        "gold add`"
    )


def _beside_twin(voter: str, diversity: Diversity) -> str:
    """Name another voter that this one is like, and how it is alike; '' for none."""
    for pairs, how in (
        (diversity.copies, " beside its copy {}"),
        (diversity.identical, " beside {}, which never voted differently"),
    ):
        for one, other, _ in pairs:
            if voter in (one, other):
                return how.format(other if voter == one else one)
    return ""


def _describe_stored(offer: Offer) -> str:
    if not offer.surely_adds:
        return (
            f"of the voters with stored votes {offer.voter} would add the most, "
            f"{_bits(offer)}, but the interval does not lie above zero"
        )
    price = "" if offer.usd_per_word is None else ", free of charge"
    if offer.bits_per_dollar is not None:
        price = f", {offer.bits_per_dollar:,.0f} bits a dollar"
    return (
        f"add {offer.voter}, whose votes are stored: it would add {_bits(offer)}{price}"
    )


def _describe_next(found: NextVoter) -> str:
    text = (
        f"add one more voter: one as good as {found.like} and independent of all "
        f"would add {_number(found.bits)} bits a word"
    )
    if found.usd_per_word:
        text += f", {found.bits / found.usd_per_word:,.0f} bits a dollar at its price"
    elif found.usd_per_word == 0:
        text += ", free of charge"
    if found.unpriced:
        text += (
            f" (one as good as {found.unpriced}, whose price is unknown, "
            f"{_number(found.unpriced_bits)})"
        )
    if found.bits_alike is not None:
        text += f"; one as alike as these are, about {_number(found.bits_alike)}"
    return text


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
