"""What the owner of a loop should know at once: failed jobs, collapsing ensembles."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from api.cli.output import say, warn
from api.decided import describe_pilot

if TYPE_CHECKING:
    from db.models import Round


def pilot_warnings(rounds: "Iterable[Round]") -> list[str]:
    """Tell of rounds whose rule the pilot found to be worse than its best voter."""
    return [
        f"round {row.number}: {describe_pilot(pilot)}"
        for row in rounds
        if (pilot := row.decisions.pilot) and pilot.collapsed
    ]


def fallback_notes(rounds: "Iterable[Round]") -> list[str]:
    """Tell of strata that one voter decides in place of the rule."""
    return [
        f"round {row.number}: {found.voter} alone decides {stratum} words, balanced "
        f"accuracy {found.best:.2f} on calibration gold where the rule has "
        f"{found.aggregate:.2f} (difference {found.low:+.2f} to "
        f"{found.high:+.2f})"
        for row in rounds
        for stratum, found in sorted((row.decisions.fallback or {}).items())
    ]


def print_ensemble(warnings: list[str], notes: list[str]) -> None:
    """Warn of the first, say the second."""
    for sentence in warnings:
        warn(sentence)
    for sentence in notes:
        say(sentence)


def print_failed(failed: list[dict[str, Any]]) -> None:
    """Warn of parked jobs, each with the last line of its error."""
    for job in failed:
        lines = (job["last_error"].strip() or "no error was kept").splitlines()
        voter = f" {job['voter']}" if job["voter"] else ""
        warn(
            f"job {job['id']} failed (round {job['round']}, {job['stage']}{voter}): "
            f"{lines[-1]}; `farm job show {job['id']}` tells more, "
            f"`farm job retry {job['id']}` tries again"
        )
