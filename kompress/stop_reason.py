"""Why a loop stopped: a code, and the figures behind it.

Stored in `rounds.stop` and `loops.stop`; `kompress.selection.stopping` finds
it, but for jobs that failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from kompress.errors import InvalidDecisions
from kompress.types import JSON


@dataclass(frozen=True, slots=True)
class Converged:
    """A loop that stopped gaining.

    Attributes:
        figures: fields of `RoundFacts` that were measured; none of them gained.
        num_rounds: for how many rounds.
        target_keep_rate: at most this keep_rate.
        override_delta: the last round's.
        override_tolerance: that it is within.
        code: as `stop_reason` shows it.
    """

    figures: tuple[str, ...]
    num_rounds: int
    target_keep_rate: float
    override_delta: float
    override_tolerance: float
    code: Literal["converged"] = "converged"


@dataclass(frozen=True, slots=True)
class Drifted:
    """A loop that only keeps more: its keep_rate is over the target, nothing gains.

    Attributes:
        figures: fields of `RoundFacts` that were measured; none of them gained.
        num_rounds: for how many rounds.
        target_keep_rate: over which every one of them kept.
        keep_rate: the last round's.
        code: as `stop_reason` shows it.
    """

    figures: tuple[str, ...]
    num_rounds: int
    target_keep_rate: float
    keep_rate: float
    code: Literal["drifted"] = "drifted"


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A loop that reached one of its limits.

    Attributes:
        of: what is limited.
        used: by all rounds together.
        maximum: what the config allows.
        code: as `stop_reason` shows it.
    """

    of: Literal["rounds", "usd", "seconds"]
    used: float
    maximum: float
    code: Literal["limit"] = "limit"


@dataclass(frozen=True, slots=True)
class JobFailed:
    """A loop of which a job failed for good, so that its round could not go on.

    Attributes:
        stage: the stage of the job.
        job_id: the first one that failed.
        error: what it failed with.
        num_failed: how many jobs of its step failed.
        code: as `stop_reason` shows it.
    """

    stage: str
    job_id: int
    error: str
    num_failed: int
    code: Literal["failed"] = "failed"


# Why a loop stopped by itself; one that a person cancelled has the code `cancelled`.
StopReason = Converged | Drifted | LimitReached | JobFailed

_STOP: TypeAdapter[StopReason] = TypeAdapter(
    Annotated[StopReason, Field(discriminator="code")]
)


def stop_as_json(stop: StopReason) -> JSON:
    """Lay a stop reason out as `rounds.stop` and `loops.stop` hold it."""
    laid: JSON = _STOP.dump_python(stop, mode="json")
    return laid


def stop_from_json(stored: Mapping[str, Any]) -> StopReason:
    """Read a stop reason as it was stored.

    Raises:
        InvalidDecisions: it does not fit the type.
    """
    try:
        return _STOP.validate_python(stored)
    except ValidationError as error:
        raise InvalidDecisions(f"a stop reason does not fit: {error}") from error
