"""Which fold a document group lies in: the same for students and for validation."""

import hashlib


def fold_of(group_id: str, folds: int) -> int:
    """Give the fold of a document group, 0 .. folds - 1, by hash."""
    digest = hashlib.sha256(f"fold:{group_id}".encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()[:8], "big") % folds
