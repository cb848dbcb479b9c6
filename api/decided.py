"""What rounds decided, in words: the same sentences on the command line and over HTTP.

`kompress.decisions` holds the facts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from db.models import Event, Round
    from kompress.decisions import (
        Fallback,
        Pilot,
        PilotFinding,
        PromotionReport,
    )
    from kompress.stop_reason import StopReason

JSON = dict[str, Any]
# What to take in place of a rule that is blind to who sees what.
DEFAULT_RULE = "reliability"
MEASURES = {
    "gold": "balanced accuracy on calibration gold",
    "must_keep": "must-keep recall at equal keep_rate, for want of calibration gold",
}


# What must not gain any more, by the field of `RoundFacts`.
FIGURES = {
    "f1_gold": "F1",
    "decision_at_target": "decision_pct at the target keep_rate",
    "fact_at_target": "fact_pct at the target keep_rate",
    "exact_at_target": "exact_pct at the target keep_rate",
    "mk_in_ref_raw": "mk_in_ref before override",
}
# What was used up, by what is limited.
LIMITS = {
    "rounds": "limit on rounds: {used:.0f} of {maximum:.0f} are done",
    "usd": "limit on money: {used:.2f} of {maximum:.2f} USD are spent",
    "seconds": "limit on time: {used:.0f} of {maximum:.0f} s are used",
}


def describe_stop(code: str, stop: "StopReason | None") -> str:
    """Say why a loop stopped, '' while it has not.

    Args:
        code: what `stop_reason` holds.
        stop: the figures behind it, None where there are none, as of `cancelled`.
    """
    if stop is None:
        return code
    if stop.code == "failed":
        others = f" and {stop.num_failed - 1} more" if stop.num_failed > 1 else ""
        return f"failed: {stop.stage} (job {stop.job_id}{others}): {stop.error}"
    if stop.code == "limit":
        return LIMITS[stop.of].format(used=stop.used, maximum=stop.maximum)
    names = ", ".join(FIGURES[name] for name in stop.figures)
    rounds = "1 round" if stop.num_rounds == 1 else f"{stop.num_rounds} rounds"
    no_gain = f"{stop.code}: no gain in {names} for {rounds} at keep_rate"
    if stop.code == "drifted":
        return (
            f"{no_gain} above {stop.target_keep_rate:g}: students only keep more, "
            f"the last one {stop.keep_rate:.3f}"
        )
    return (
        f"{no_gain} at most {stop.target_keep_rate:g}, and override_delta "
        f"{stop.override_delta:.4f} is within {stop.override_tolerance:g}"
    )


def with_stop_reasons(
    summary: Sequence[Mapping[str, Any]], stops: "Mapping[int, StopReason]"
) -> list[JSON]:
    """Put the stop reasons of a loop's rounds into words.

    Args:
        summary: rows of `round_summary`.
        stops: of `db.queries.loops.list_stops`.
    """
    return [
        {
            **row,
            "stop_reason": describe_stop(row["stop_reason"], stops.get(row["round"])),
        }
        for row in summary
    ]


def describe_pilot(pilot: "Pilot") -> str:
    """Say what was found and, where the rule collapses, what to do about it."""
    rule, whole = pilot.rule, pilot.overall
    on = f"on {pilot.documents} pilot documents ({whole.words} words)"
    if whole.value is None:
        return f"{on} too little is known to compare {rule} with its voters"
    if not pilot.collapsed:
        return f"{on} {rule} does not do worse than its best voter, {whole.best_voter}"
    cases = "; ".join(
        f"{'overall' if found.stratum == 'all' else found.stratum}: {rule} "
        f"{found.value:.2f}, {_alone(found, rule)} {found.best_value:.2f} "
        f"(difference {found.low:+.2f} to {found.high:+.2f})"
        for found in pilot.collapsed
    )
    choose = "" if rule == DEFAULT_RULE else f"choose the rule {DEFAULT_RULE}, "
    return (
        f"{on} {rule} does worse than its best voter, by {MEASURES[pilot.truth]}: "
        f"{cases}. The round goes on; to do better, {choose}add calibration gold "
        "(`farm gold add`), or leave out voters that are wrong there, and start "
        "another loop: the answers are stored"
    )


def pilot_row(pilot: "Pilot | None") -> JSON:
    """Lay a pilot out for programs, with its sentence; {} where there was none."""
    if pilot is None:
        return {}
    whole = asdict(pilot.overall)
    del whole["stratum"]
    return {
        "documents": pilot.documents,
        "truth": pilot.truth,
        "rule": pilot.rule,
        **whole,
        "collapses": bool(pilot.collapsed),
        "strata": [asdict(found) for found in pilot.strata],
        "sentence": describe_pilot(pilot),
    }


def fallback_rows(found: "Mapping[str, Fallback] | None") -> JSON:
    """Lay fallbacks out for programs, by stratum."""
    return {stratum: asdict(one) for stratum, one in (found or {}).items()}


def describe_promotion(found: "PromotionReport") -> str:
    """Say why a student is the one that a loop recommends."""
    test = found.test
    if test.outcome == "no_student":
        return "no student was trained"
    if test.top is None:
        return "no evaluation gold to test on: the last student is promoted untested"
    name, figures = "F1", found.f1_validation
    if found.figure == "decisions":
        name = (
            f"mean of decision_pct and fact_pct at keep_rate {found.target_keep_rate:g}"
        )
        figures = found.decisions_validation
    text = f"{test.top} has the highest {name}, {figures[test.top]:.4f}"
    if test.outcome == "better":
        return f"{text}, and beats every earlier student beyond the 95 % interval"
    if test.outcome == "too_few_groups":
        return (
            f"{text}, but the gold holds one document group, too few to test it "
            f"against the earlier {test.earlier}"
        )
    if test.outcome == "within_interval":
        return (
            f"{text}, but its lead of {test.lead:.4f} over the earlier {test.earlier} "
            f"lies within the 95 % interval {test.low:.4f} to {test.high:.4f}"
        )
    return text


def promotion_row(found: "PromotionReport | None") -> JSON:
    """Lay a promotion out for programs, with its reason; {} where there was none."""
    if found is None:
        return {}
    reason = describe_promotion(found)
    if found.promoted is None:
        return {"reason": reason}
    return {
        "promoted": found.promoted,
        "reason": reason,
        "f1_validation": dict(found.f1_validation),
        "f1_report": found.f1_report,
        "figure": found.figure,
        "target_keep_rate": found.target_keep_rate,
        "decisions_validation": dict(found.decisions_validation),
        "decisions_report": found.decisions_report,
        "num_validation": found.num_validation,
        "num_report": found.num_report,
        "worse_texts": [
            {"text": one.text_sha256, "before": one.before, "after": one.after}
            for one in found.worse_texts
        ],
    }


def event_detail(event: "Event", rounds: "Mapping[int, Round]") -> JSON:
    """Give an event's detail with what its round decided, in words.

    Args:
        event: of a loop.
        rounds: the loop's, by id.
    """
    held = rounds.get(event.round_id) if event.round_id is not None else None
    if held is None:
        return event.detail
    if event.kind == "pilot_warned" and held.decisions.pilot:
        return {**event.detail, "sentence": describe_pilot(held.decisions.pilot)}
    if event.kind == "loop_stopped":
        return {**event.detail, **promotion_row(held.decisions.promotion)}
    return event.detail


def _alone(found: "PilotFinding", rule: str) -> str:
    """Name the best voter, and who decides where it is silent."""
    if not found.silent:
        return f"{found.best_voter} alone"
    share = found.silent / found.words
    return f"{found.best_voter} (with {rule} on the {share:.0%} it is silent on)"
