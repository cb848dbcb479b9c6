"""How far voters agree beyond chance; whether they are right is another question.

U = units (words, or patterns with a count), M = voters
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from kompress.errors import InvalidVotes
from kompress.types import ABSTAIN, BoolArray, FloatArray

Level = Literal["nominal", "interval"]


def krippendorff_alpha(
    value_UM: ArrayLike, level: Level = "nominal", count_U: ArrayLike | None = None
) -> float | None:
    """Measure agreement beyond chance, whoever is missing.

    Args:
        value_UM: (U, M) a value by unit and voter, NaN where there is none; or uint8
            byte codes, 255 where there is none.
        level: `nominal` (any difference is one) or `interval` (squared differences).
        count_U: (U,) how often each unit occurs, whole numbers; None for once.

    Returns:
        1 - observed / expected disagreement, at most 1, about 0 for chance; None where
        no unit has two values, or all values are equal.

    Raises:
        InvalidVotes: a shape is wrong.

    Source: Krippendorff 2011, "Computing Krippendorff's alpha-reliability", section E.
    """
    v_UM, known_UM, times_U = _read_values(value_UM, count_U)
    num_U = known_UM.sum(axis=1)
    total = float((times_U * num_U).sum())
    if not total:
        return None
    # Ordered pairs that differ: within each unit, and if all values were shuffled.
    if level == "nominal":
        within_U, among = num_U.astype(np.float64) ** 2, total**2
        for value in np.unique(v_UM[known_UM]):
            equal_U = ((v_UM == value) & known_UM).sum(axis=1)
            within_U -= equal_U.astype(np.float64) ** 2
            among -= float((times_U * equal_U).sum()) ** 2
    else:
        centre = float((times_U[:, None] * v_UM).sum()) / total
        gap_UM = np.where(known_UM, v_UM - centre, 0.0)
        sum_U, square_U = gap_UM.sum(axis=1), (gap_UM**2).sum(axis=1)
        within_U = 2 * (num_U * square_U - sum_U**2)
        square, whole = (times_U * square_U).sum(), (times_U * sum_U).sum()
        among = 2 * float(total * square - whole**2)
    if among <= 0:
        return None
    observed = float((times_U * within_U / (num_U - 1)).sum()) / total
    return 1 - observed * total * (total - 1) / among


def _read_values(
    value_UM: ArrayLike, count_U: ArrayLike | None
) -> tuple[FloatArray, BoolArray, FloatArray]:
    """Give units of two values or more: the values, where there are any, the counts."""
    values = np.asarray(value_UM)
    if values.ndim != 2:
        raise InvalidVotes(
            f"values have shape {values.shape}; expected (U, M), units by voters"
        )
    size = len(values)
    times_U = np.ones(size) if count_U is None else np.asarray(count_U, np.float64)
    if times_U.shape != (size,):
        raise InvalidVotes(
            f"counts have shape {times_U.shape} for {size} units; expected ({size},)"
        )
    if values.dtype == np.uint8:
        known_UM = values != ABSTAIN
    else:
        values = values.astype(np.float64)
        known_UM = ~np.isnan(values)
    pairable_U = known_UM.sum(axis=1) > 1
    known_UM = known_UM[pairable_U]
    v_UM = np.where(known_UM, values[pairable_U], 0).astype(np.float64)
    return v_UM, known_UM, times_U[pairable_U]
