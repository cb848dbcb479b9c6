"""Decide where a group of documents lies, from its name alone.

A pure hash of the group's id: a later upload never moves a document, and documents of
one group never straddle two splits.
"""

from hashlib import blake2b
from typing import get_args

from kompress.errors import InvalidConfig
from kompress.types import GoldUse, Split

SPLITS: tuple[Split, ...] = get_args(Split)


def assign_split(
    group_id: str, seed: int = 0, audit: float = 0.15, held_out: float = 0.2
) -> Split:
    """Lay a group of documents into one split.

    Args:
        group_id: the group's name, not empty; equal names go to the same split.
        seed: another seed is another, independent division.
        audit: share of the groups that nothing trains on, in [0, 1].
        held_out: share of the groups that students are scored on, in [0, 1].

    Returns:
        `audit`, `held_out` or `train`.

    Raises:
        InvalidConfig: the id is empty, or the shares are negative or exceed 1 together.
    """
    if not group_id:
        raise InvalidConfig(
            "the group id is empty; expected a name; pass the text's hash for a "
            "document that is a group of its own"
        )
    if not (0 <= audit <= 1 and 0 <= held_out <= 1 and audit + held_out <= 1):
        raise InvalidConfig(
            f"audit={audit} and held_out={held_out}; expected shares >= 0 that sum to "
            "at most 1; lower one of them"
        )
    u = _uniform("split", str(seed), group_id)
    if u < audit:
        return "audit"
    return "held_out" if u < audit + held_out else "train"


def assign_gold_use(group_id: str, split: str) -> GoldUse:
    """Say what a document's gold may be used for.

    Args:
        group_id: the document's group, for the message only: the split decides.
        split: the split that the group lies in.

    Returns:
        `calibrate` in train, `evaluate` in audit and held_out; so no group has both.

    Raises:
        InvalidConfig: the split is none of `train`, `audit`, `held_out`.

    Source: design §4; ours.
    """
    if split not in SPLITS:
        raise InvalidConfig(
            f"group {group_id!r} has the split {split!r}; expected one of "
            f"{', '.join(SPLITS)}; call assign_split first"
        )
    return "calibrate" if split == "train" else "evaluate"


def _uniform(*parts: str) -> float:
    """Hash strings to a number in [0, 1), alike on every machine."""
    # The separator cannot be part of a seed, so ("1", "2x") is not ("12", "x").
    digest = blake2b("\0".join(parts).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
