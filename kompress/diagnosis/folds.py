"""Folds by repository: no figure is taken on a log whose repository was trained on.

The order of names under SHA-256 assigns them, so that a folder's folds never change.
"""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

NUM_FOLDS = 5


def assign_folds(
    repositories: Sequence[str], *, num_folds: int = NUM_FOLDS
) -> NDArray[np.int64]:
    """Give each log its fold.

    Args:
        repositories: one name a log.
        num_folds: at least 2; repositories are dealt out in turn.

    Returns:
        Folds from 0, the same for all logs of a repository.
    """
    names = sorted(set(repositories), key=lambda name: sha256(name.encode()).digest())
    fold_of = {name: place % num_folds for place, name in enumerate(names)}
    return np.array([fold_of[name] for name in repositories], np.int64)
