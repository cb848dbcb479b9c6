"""Whether a loop goes on; the answer is a reason with its figures, or None to go on."""

from collections.abc import Sequence
from dataclasses import dataclass

from kompress.config import StopConfig
from kompress.stop_reason import Converged, Drifted, LimitReached, StopReason


@dataclass(frozen=True, slots=True)
class RoundFacts:
    """What the stop rule reads of one finished round; None where not measured.

    "At target" is at the target keep_rate, without override: only where all rounds keep
    equally much can what survives be compared.

    Attributes:
        number: the round's number, counted from 1.
        f1_gold: F1 of the student against evaluation gold, at its own threshold.
        decision_at_target: decision_pct on the suite with gold.
        fact_at_target: fact_pct on it.
        exact_at_target: exact_pct on the suite `agent`.
        mk_in_ref_raw: mk_in_ref before override.
        override_delta: exact_pct with the override minus without.
        keep_rate: the student's, at its own threshold.
        usd: what the round cost.
        seconds: how long the round took.
    """

    number: int
    f1_gold: float | None = None
    decision_at_target: float | None = None
    fact_at_target: float | None = None
    exact_at_target: float | None = None
    mk_in_ref_raw: float | None = None
    override_delta: float | None = None
    keep_rate: float | None = None
    usd: float | None = None
    seconds: float | None = None


# Fields of `RoundFacts` that say whether students get better, whatever they keep.
_QUALITY = ("f1_gold", "decision_at_target", "fact_at_target")
# All that must not gain any more before a loop has converged.
_FIGURES = (*_QUALITY, "exact_at_target", "mk_in_ref_raw")


def decide(
    history: Sequence[RoundFacts], config: StopConfig, *, num_planned: int = 1
) -> StopReason | None:
    """Say why the loop stops after its last finished round, or None to go on.

    A figure has gained in the last `patience` rounds if it rose above its best earlier
    value by more than `min_gain`. The loop has converged if nothing gained, every one
    of these rounds kept at most the target keep_rate, and the last one's override_delta
    is within the tolerance. It has drifted if every one of them kept more than the
    target and neither F1 nor decisions nor facts gained: what then still rises, rises
    because more is kept. A figure never measured in any round does not count; one
    measured in some rounds only cannot show that there was no gain. Otherwise a limit
    on rounds, money or time stops it; limits are compared with the sums over all
    rounds.

    Args:
        history: finished rounds in order.
        config: tolerances and limits.
        num_planned: rounds that the loop's config describes one by one: before these
            are done only a limit stops it.

    Returns:
        The reason, with its figures, or None.

    Source: design §9.
    """
    if not history:
        return None
    found: StopReason | None = None
    if len(history) >= num_planned:
        found = _converged(history, config) or _drifted(history, config)
    return found or _limit_reached(history, config)


def _converged(history: Sequence[RoundFacts], config: StopConfig) -> Converged | None:
    delta = history[-1].override_delta
    if delta is None or delta > config.override_tolerance:
        return None
    figures = _without_gain(history, config, _FIGURES)
    rates = [facts.keep_rate for facts in history[-config.patience :]]
    if not figures or not all(
        rate is not None and rate <= config.target_keep_rate for rate in rates
    ):
        return None
    return Converged(
        figures=figures,
        num_rounds=config.patience,
        target_keep_rate=config.target_keep_rate,
        override_delta=delta,
        override_tolerance=config.override_tolerance,
    )


def _drifted(history: Sequence[RoundFacts], config: StopConfig) -> Drifted | None:
    last = history[-1].keep_rate
    figures = _without_gain(history, config, _QUALITY)
    rates = [facts.keep_rate for facts in history[-config.patience :]]
    if (
        last is None
        or not figures
        or not all(
            rate is not None and rate > config.target_keep_rate for rate in rates
        )
    ):
        return None
    return Drifted(
        figures=figures,
        num_rounds=config.patience,
        target_keep_rate=config.target_keep_rate,
        keep_rate=last,
    )


def _without_gain(
    history: Sequence[RoundFacts], config: StopConfig, names: Sequence[str]
) -> tuple[str, ...]:
    """Name the figures that were measured, () if one of them gained or may have."""
    earlier, recent = history[: -config.patience], history[-config.patience :]
    values = {name: _values(history, name) for name in names}
    measured = tuple(name for name in names if values[name])
    for name in measured:
        before, after = _values(earlier, name), _values(recent, name)
        if not before or len(after) < len(recent):
            return ()
        if max(after) - max(before) > config.min_gain:
            return ()
    return measured


def _values(history: Sequence[RoundFacts], name: str) -> list[float]:
    """Give what was measured of one figure, in order."""
    found = (getattr(facts, name) for facts in history)
    return [value for value in found if value is not None]


def _limit_reached(
    history: Sequence[RoundFacts], config: StopConfig
) -> LimitReached | None:
    if len(history) >= config.max_rounds:
        return LimitReached("rounds", len(history), config.max_rounds)
    usd = sum(facts.usd or 0.0 for facts in history)
    # A limit of 0 forbids paid voters; it does not end a loop that costs nothing.
    if config.max_usd is not None and usd > 0 and usd >= config.max_usd:
        return LimitReached("usd", usd, config.max_usd)
    seconds = sum(facts.seconds or 0.0 for facts in history)
    if config.max_seconds is not None and seconds >= config.max_seconds:
        return LimitReached("seconds", seconds, config.max_seconds)
    return None
