"""The kinds of voters, by name."""

from collections.abc import Mapping
from typing import Any

from kompress.errors import InvalidConfig
from kompress.voters.references import REFERENCES
from kompress.voters.salience import SALIENCE
from kompress.voters.self_information import SELF_INFORMATION
from kompress.voters.simulated import SIMULATED
from kompress.voters.soundness import SOUNDNESS
from kompress.voters.syntax import SYNTAX
from kompress.voters.teacher import TEACHER
from kompress.voters.voter import Voter, VoterKind

VOTERS: dict[str, VoterKind[Any, Voter]] = {
    "references": REFERENCES,
    "salience": SALIENCE,
    "self_information": SELF_INFORMATION,
    "syntax": SYNTAX,
    "simulated": SIMULATED,
    "soundness": SOUNDNESS,
    "teacher": TEACHER,
}


def offered_kinds() -> list[str]:
    """Name the kinds that users are offered, sorted; drills have more."""
    return sorted(name for name, kind in VOTERS.items() if not kind.for_drills)


def make_voter(
    name: str, kind: str, params: Mapping[str, Any], snapshot: bytes | None
) -> Voter:
    """Make a voter from a loop's config and what was fitted for it.

    Args:
        name: the voter's own name.
        kind: a key of `VOTERS`.
        params: the kind's parameters; missing ones have defaults.
        snapshot: what the kind's `fit` returned; None for a kind without `fit`.

    Raises:
        InvalidConfig: the kind or a parameter is unknown, a value is out of range, or
            the snapshot is missing or cannot be read.
    """
    if kind not in VOTERS:
        raise InvalidConfig(
            f"voter {name!r} is of unknown kind {kind!r}; expected one of "
            f"{', '.join(offered_kinds())}"
        )
    return VOTERS[kind].load(name, params, snapshot)
