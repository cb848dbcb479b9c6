"""Which fold a document group lies in: the same for students and for validation."""

import hashlib
from collections.abc import Sequence

# The fold of the main student, which learns from all documents.
MAIN = -1


def fold_of(group_id: str, folds: int) -> int:
    """Give the fold of a document group, 0 .. folds - 1, by hash."""
    digest = hashlib.sha256(f"fold:{group_id}".encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()[:8], "big") % folds


def next_fold(folds: Sequence[int]) -> dict[int, int]:
    """Name for each fold the one whose student tells what its labels teach.

    Args:
        folds: ascending; of a single one none can tell.
    """
    if len(folds) < 2:
        return {}
    return dict(zip(folds, [*folds[1:], folds[0]], strict=True))
