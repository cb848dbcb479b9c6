"""Whether a loop goes on; the answer is a reason with its figures, or None to go on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kompress.config import StopConfig
from kompress.stop_reason import Converged, LimitReached, StopReason


@dataclass(frozen=True, slots=True)
class RoundFacts:
    """What the stop rule reads of one finished round; None where not measured.

    Attributes:
        number: the round's number, counted from 1.
        f1_gold: F1 of the student against evaluation gold.
        exact_at_target: exact_pct at the target keep_rate, without override.
        mk_in_ref_raw: mk_in_ref before override.
        override_delta: exact_pct with the override minus without.
        keep_rate: the student's, at its own threshold.
        usd: what the round cost.
        seconds: how long the round took.
    """

    number: int
    f1_gold: float | None = None
    exact_at_target: float | None = None
    mk_in_ref_raw: float | None = None
    override_delta: float | None = None
    keep_rate: float | None = None
    usd: float | None = None
    seconds: float | None = None


# That must not rise any more, as fields of `RoundFacts`.
_FIGURES: tuple[tuple[str, Callable[[RoundFacts], float | None]], ...] = (
    ("f1_gold", lambda facts: facts.f1_gold),
    ("exact_at_target", lambda facts: facts.exact_at_target),
    ("mk_in_ref_raw", lambda facts: facts.mk_in_ref_raw),
)


def decide(history: Sequence[RoundFacts], config: StopConfig) -> StopReason | None:
    """Say why the loop stops after its last finished round, or None to go on.

    It has converged if the last round's override_delta is within the tolerance and, for
    `patience` rounds that all kept at most the target keep_rate, neither F1 nor
    exact_pct at the target keep_rate nor mk_in_ref before override rose above its best
    earlier value. A figure never measured in any round does not count; one measured in
    some rounds only cannot show that there was no gain. Otherwise a limit on rounds,
    money or time stops it; limits are compared with the sums over all rounds.

    Args:
        history: finished rounds in order.
        config: tolerances and limits.

    Returns:
        The reason, with its figures, or None.

    Source: design §9.
    """
    if not history:
        return None
    return _converged(history, config) or _limit_reached(history, config)


def _converged(history: Sequence[RoundFacts], config: StopConfig) -> Converged | None:
    last = history[-1]
    earlier, recent = history[: -config.patience], history[-config.patience :]
    if not earlier or last.override_delta is None:
        return None
    if last.override_delta > config.override_tolerance:
        return None
    if not all(
        facts.keep_rate is not None and facts.keep_rate <= config.target_keep_rate
        for facts in recent
    ):
        return None
    measured = [
        (name, read)
        for name, read in _FIGURES
        if any(read(facts) is not None for facts in history)
    ]
    if not measured or not all(_no_gain(earlier, recent, read) for _, read in measured):
        return None
    return Converged(
        figures=tuple(name for name, _ in measured),
        num_rounds=config.patience,
        target_keep_rate=config.target_keep_rate,
        override_delta=last.override_delta,
        override_tolerance=config.override_tolerance,
    )


def _no_gain(
    earlier: Sequence[RoundFacts],
    recent: Sequence[RoundFacts],
    read: Callable[[RoundFacts], float | None],
) -> bool:
    before = [value for facts in earlier if (value := read(facts)) is not None]
    after = [value for facts in recent if (value := read(facts)) is not None]
    if not before or len(after) < len(recent):
        return False
    return max(after) <= max(before)


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
