"""From a score among a text's candidates to a quality in [0, 1].

I = candidates of all texts
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import expit, log_expit

from kompress.types import FloatArray

# Changes whenever the same scores would get another quality.
CALIBRATION_VERSION = "1"
# With fewer candidates of known F1 two numbers are not worth fitting.
MIN_CANDIDATES = 20
# A better score is a better quality, even where gold says that judges know nothing:
# gold sets the scale and never the order.
MIN_SLOPE = 0.01
# Of the Gaussian prior around sigma(score), in F1-candidates: it decides nothing once
# there are some dozens, and keeps a map of few, separable ones finite.
PRIOR_STRENGTH = 0.1
# Of a quality in [0, 1]: a smaller error would be a weight that drowns all others.
MIN_ERROR = 0.01
TOLERANCE = 1e-9
MAX_ITERATIONS = 100


@dataclass(frozen=True, slots=True)
class QualityMap:
    """quality = sigma(intercept + slope * score), which keeps the order of scores.

    Attributes:
        intercept: logit of the quality of a text's average candidate.
        slope: how much a score's unit is worth, at least `MIN_SLOPE`.
        num_candidates: candidates of known F1 that it was fitted to; 0: none, the map
            is sigma(score), the chance to beat the average candidate.
    """

    intercept: float = 0.0
    slope: float = 1.0
    num_candidates: int = 0

    def quality(self, score_I: FloatArray) -> FloatArray:
        """Map (I,) scores to qualities in (0, 1); NaN stays."""
        return np.asarray(expit(self.intercept + self.slope * score_I))

    def error(self, score_I: FloatArray, se_I: FloatArray) -> FloatArray:
        """Map (I,) standard errors of scores to those of qualities, by the slope there.

        At least `MIN_ERROR`; the map itself is taken as known.

        Source: the delta method.
        """
        quality_I = self.quality(score_I)
        error_I = self.slope * quality_I * (1 - quality_I) * se_I
        return np.asarray(np.maximum(error_I, MIN_ERROR))

    def describe(self) -> dict[str, Any]:
        """Give plain JSON data, for what a round reports."""
        return asdict(self)


def fit_quality(score_I: FloatArray, f1_I: FloatArray) -> QualityMap:
    """Fit the map from a score to the F1 that candidates of such a score have.

    By the cross-entropy between F1 and quality: quality is the mean F1, not a chance.
    Scores are relative to the text's other candidates, so the map says what a
    candidate that leads its field by so much is worth in the mean over texts.

    Args:
        score_I: (I,) fitted scores; those that are NaN are left out.
        f1_I: (I,) F1 of their masks against calibration gold, in [0, 1].

    Returns:
        The map; sigma(score) for fewer than `MIN_CANDIDATES`.

    Source: Platt 1999 with soft targets; the bound on the slope ours.
    """
    known_I = ~(np.isnan(score_I) | np.isnan(f1_I))
    score_I, f1_I = score_I[known_I], f1_I[known_I]
    if score_I.size < MIN_CANDIDATES:
        return QualityMap()

    ones_I = np.ones_like(score_I)
    design_I2 = np.stack([ones_I, score_I], axis=1)
    intercept, slope = _minimise(design_I2, 0.0, f1_I, np.array([0.0, 1.0]))
    if slope < MIN_SLOPE:
        # The loss is convex: with the bound its minimum lies on it.
        slope = MIN_SLOPE
        fixed_I = slope * score_I
        (intercept,) = _minimise(ones_I[:, None], fixed_I, f1_I, np.zeros(1))
    return QualityMap(float(intercept), float(slope), score_I.size)


def _minimise(
    design_IP: FloatArray,
    fixed_I: FloatArray | float,
    f1_I: FloatArray,
    origin_P: FloatArray,
) -> FloatArray:
    """Fit by Newton's method from the prior's mean; steps that go up are halved."""

    def loss(x_P: FloatArray) -> float:
        eta_I = design_IP @ x_P + fixed_I
        misfit = -(f1_I * log_expit(eta_I) + (1 - f1_I) * log_expit(-eta_I)).sum()
        return float(misfit + PRIOR_STRENGTH * ((x_P - origin_P) ** 2).sum() / 2)

    x_P, value = origin_P, loss(origin_P)
    for _ in range(MAX_ITERATIONS):
        p_I = expit(design_IP @ x_P + fixed_I)
        gradient_P = design_IP.T @ (p_I - f1_I) + PRIOR_STRENGTH * (x_P - origin_P)
        hessian_PP = (design_IP.T * (p_I * (1 - p_I))) @ design_IP
        hessian_PP += PRIOR_STRENGTH * np.eye(x_P.size)
        step_P = np.linalg.solve(hessian_PP, gradient_P)
        while loss(x_P - step_P) > value and np.abs(step_P).max() > TOLERANCE:
            step_P = step_P / 2
        x_P, value = x_P - step_P, loss(x_P - step_P)
        if np.abs(step_P).max() <= TOLERANCE:
            break
    return x_P
