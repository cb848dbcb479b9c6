"""How wrong the student still is on a document: measured, or predicted from features.

A document's size in sampling is its residual times its influence.

N = words of one text or documents, F = features
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidSelection
from kompress.types import CATEGORIES, STRATA, FloatArray

# The standardising deviation is never below this: labels stored in float16 and votes
# stored in 255 codes cannot be surer than a few hundredths, and without a floor one
# sure word would outweigh a whole document. 0.05 is the sd of Beta(50, 50).
SD_FLOOR = 0.05
# Fewer measured documents than this say less than their mean does.
MIN_MEASURED = 20
# Ridge on standardised features: as strong as one document per feature.
_RIDGE = 1.0
# Added before the logarithm, so that a residual of 0 is small and not -inf.
_LOG_OFFSET = 1e-3

_GROUPS = {
    "quantities": ("hex", "number", "unit", "version"),
    "names": ("id", "signal", "constant", "identifier", "dotted", "formula"),
    "places": ("path", "flag"),
    "directives": ("directive",),
}
_NUM_KIND_BUCKETS = 8
FEATURES = (
    "log_words",
    "word_length",
    "lines_per_word",
    "type_token_ratio",
    "digit_share",
    "punctuation_share",
    "upper_share",
    *(f"must_keep_{name}" for name in _GROUPS),
    *(f"kind_{bucket}" for bucket in range(_NUM_KIND_BUCKETS)),
)


@dataclass(frozen=True, slots=True)
class ResidualModel:
    """Ridge regression of log residuals; predicts their mean where it has too few.

    Attributes:
        center_F: (F,) means of the features.
        scale_F: (F,) their deviations, 1 where constant.
        coef_F: (F,) coefficients of the standardised features.
        intercept: mean log residual.
        smear: factor that gives the fitted residuals the mean of the measured ones.
        low: smallest measured residual; predictions stay between it and `high`.
        high: largest measured residual.
    """

    center_F: FloatArray
    scale_F: FloatArray
    coef_F: FloatArray
    intercept: float
    smear: float
    low: float
    high: float

    @classmethod
    def fit(cls, features_NF: FloatArray, residual_N: FloatArray) -> "ResidualModel":
        """Fit to the documents whose residual was measured.

        Args:
            features_NF: (N, F) rows of `document_features`.
            residual_N: (N,) measured residuals, at least 0.

        Returns:
            The model; with N < 20 it predicts the mean residual (1 if N = 0).

        Raises:
            InvalidSelection: shapes differ, or a value is not finite or negative.

        Source: ridge, Hoerl & Kennard 1970; back from logs, Duan 1983; the use, ours.
        """
        features_NF = np.asarray(features_NF, dtype=np.float64)
        residual_N = np.asarray(residual_N, dtype=np.float64)
        _check(features_NF, residual_N)
        num_features = features_NF.shape[1]
        if residual_N.size < MIN_MEASURED:
            return cls.of_mean(residual_N, num_features)
        center_F = features_NF.mean(axis=0)
        scale_F = features_NF.std(axis=0)
        scale_F = np.where(scale_F > 1e-12, scale_F, 1.0)
        x_NF = (features_NF - center_F) / scale_F
        log_N = np.log(residual_N + _LOG_OFFSET)
        intercept = float(log_N.mean())
        gram_FF = x_NF.T @ x_NF + _RIDGE * np.eye(num_features)
        coef_F = np.linalg.solve(gram_FF, x_NF.T @ (log_N - intercept))
        fitted_N = np.exp(intercept + x_NF @ coef_F)
        return cls(
            center_F=center_F,
            scale_F=scale_F,
            coef_F=coef_F,
            intercept=intercept,
            smear=float(residual_N.mean() / fitted_N.mean()),
            low=float(residual_N.min()),
            high=float(residual_N.max()),
        )

    @classmethod
    def of_mean(cls, residual_N: FloatArray, num_features: int) -> "ResidualModel":
        """Predict the mean of the measured residuals, whatever the features.

        Args:
            residual_N: (N,) measured residuals; 1 is predicted if there is none.
            num_features: F.
        """
        mean = float(residual_N.mean()) if residual_N.size else 1.0
        return cls(
            center_F=np.zeros(num_features),
            scale_F=np.ones(num_features),
            coef_F=np.zeros(num_features),
            intercept=0.0,
            smear=mean,
            low=mean,
            high=mean,
        )

    def predict(self, features_NF: FloatArray) -> FloatArray:
        """Predict residuals, within the range of the measured ones.

        Args:
            features_NF: (N, F) rows of `document_features`.

        Returns:
            (N,) residuals, at least 0.

        Raises:
            InvalidSelection: the features are not those of the fit.
        """
        predicted_N = self.smear * np.exp(self.log_predict(features_NF))
        return np.clip(predicted_N, self.low, self.high)

    def log_predict(self, features_NF: FloatArray) -> FloatArray:
        """Predict the logarithms that were fitted, without going back to residuals.

        Args:
            features_NF: (N, F) rows of `document_features`.

        Returns:
            (N,) logarithms; 0 where the model is only a mean.

        Raises:
            InvalidSelection: the features are not those of the fit.
        """
        features_NF = np.asarray(features_NF, dtype=np.float64)
        if features_NF.ndim != 2 or features_NF.shape[1] != self.coef_F.size:
            raise InvalidSelection(
                f"features have shape {features_NF.shape}; expected "
                f"(N, {self.coef_F.size}) as in the fit; make both with "
                "document_features"
            )
        x_NF = (features_NF - self.center_F) / self.scale_F
        # Bounded before the exponential: a far-off document must not overflow.
        return np.clip(self.intercept + x_NF @ self.coef_F, -50.0, 50.0)


@dataclass(frozen=True, slots=True)
class PredictionQuality:
    """How well residuals are predicted for documents that were not in the fit.

    Attributes:
        num_documents: documents whose residual was measured.
        r2: share of the variance of log residuals that is explained out of sample;
            below 0 where their mean predicts better; None where it cannot be told.
        rank_correlation: Spearman's, out of sample; None likewise.
    """

    num_documents: int
    r2: float | None
    rank_correlation: float | None


def validate_prediction(
    features_NF: FloatArray, residual_N: FloatArray, fold_N: NDArray[np.integer]
) -> PredictionQuality:
    """Predict each measured document by a model that was fitted without its fold.

    Args:
        features_NF: (N, F) rows of `document_features`.
        residual_N: (N,) measured residuals.
        fold_N: (N,) folds; documents of one group in one of them.

    Returns:
        The quality; without figures for fewer than two folds, for a fit on fewer than
        `MIN_MEASURED` documents, or where all residuals are equal.

    Raises:
        InvalidSelection: as `ResidualModel.fit`.

    Source: cross-validation, Stone 1974; the mean that R² compares with is also that
    of the other folds: ours.
    """
    features_NF = np.asarray(features_NF, dtype=np.float64)
    residual_N = np.asarray(residual_N, dtype=np.float64)
    fold_N = np.asarray(fold_N)
    _check(features_NF, residual_N)
    folds = np.unique(fold_N)
    sizes = [int((fold_N != fold).sum()) for fold in folds]
    if len(folds) < 2 or min(sizes) < MIN_MEASURED or np.ptp(residual_N) == 0:
        return PredictionQuality(residual_N.size, None, None)
    predicted_N, mean_N = np.zeros(residual_N.size), np.zeros(residual_N.size)
    log_N = np.log(residual_N + _LOG_OFFSET)
    for fold in folds:
        out_N = fold_N == fold
        model = ResidualModel.fit(features_NF[~out_N], residual_N[~out_N])
        predicted_N[out_N] = model.log_predict(features_NF[out_N])
        mean_N[out_N] = log_N[~out_N].mean()
    left = float(((log_N - predicted_N) ** 2).sum())
    whole = float(((log_N - mean_N) ** 2).sum())
    rank_N, other_N = _rank(log_N), _rank(predicted_N)
    constant = 0.0 in {float(np.ptp(rank_N)), float(np.ptp(other_N))}
    return PredictionQuality(
        num_documents=residual_N.size,
        r2=1 - left / whole,
        rank_correlation=None if constant else _correlate(rank_N, other_N),
    )


def fill_average(known: Mapping[int, float], ids: Iterable[int]) -> FloatArray:
    """Lay values out by document; where none is known yet it counts as average.

    Args:
        known: values by document id; none at all counts as ones.
        ids: of N documents.

    Returns:
        (N,) values.
    """
    average = float(np.mean(list(known.values()))) if known else 1.0
    return np.array([known.get(document, average) for document in ids])


def measured_residual(
    label_mean_N: FloatArray,
    label_sd_N: FloatArray,
    student_score_N: FloatArray,
    student_var_N: FloatArray | None = None,
) -> float:
    """Average |label − student| in units of their joint deviation.

    The denominator √(Var_label + Var_student) is floored at `SD_FLOOR`.

    Args:
        label_mean_N: (N,) posterior means; NaN leaves the word out.
        label_sd_N: (N,) posterior standard deviations.
        student_score_N: (N,) out-of-fold scores of the student, in [0, 1].
        student_var_N: (N,) variance of the score between students, see
            `student_spread`; None counts as 0, which is all that one student can say.

    Returns:
        The mean over words, at least 0; 0 for a text without labelled words.

    Raises:
        InvalidSelection: lengths differ.

    Source: design §9 "Residuals"; the floor: ours.
    """
    mean_N = np.asarray(label_mean_N, dtype=np.float64)
    variance_N = np.asarray(label_sd_N, dtype=np.float64) ** 2
    score_N = np.asarray(student_score_N, dtype=np.float64)
    if student_var_N is not None:
        variance_N = variance_N + np.asarray(student_var_N, dtype=np.float64)
    if not mean_N.shape == variance_N.shape == score_N.shape:
        raise InvalidSelection(
            f"label means, variances and student scores have shapes {mean_N.shape}, "
            f"{variance_N.shape} and {score_N.shape}; expected one each a word; "
            "score the same text that was labelled"
        )
    sd_N = np.maximum(np.sqrt(variance_N), SD_FLOOR)
    z_N = np.abs(mean_N - score_N) / sd_N
    z_N = z_N[np.isfinite(z_N)]
    return float(z_N.mean()) if z_N.size else 0.0


def influence(seen_N: FloatArray, unseen_N: FloatArray) -> float:
    """Average the squared change of a student's score by having seen the document.

    A residual alone is large where nothing can be learned, too: where a label is a
    coin's toss, or where students already say what the label's posterior says on
    average. Students that learned from the document differ from one that did not by
    what its label teaches (and by their other documents: how little they are sure).

    Args:
        seen_N: (N,) scores of a student that learned from the document, in [0, 1].
        unseen_N: (N,) scores of the one whose fold left it out.

    Returns:
        The mean over words, in [0, 1]; 0 for a text without words.

    Raises:
        InvalidSelection: the scores are not two arrays of N numbers within [0, 1].

    Source: the numerator of Cook's distance (Cook 1977), by fold instead of by
    document; as a weight of sampling: ours.
    """
    both = [np.asarray(scores, dtype=np.float64) for scores in (seen_N, unseen_N)]
    inside = all(((scores >= 0) & (scores <= 1)).all() for scores in both)
    if both[0].shape != both[1].shape or both[0].ndim != 1 or not inside:
        raise InvalidSelection(
            f"scores have shapes {both[0].shape} and {both[1].shape} or leave [0, 1]; "
            "expected (N,) each; score the same text with both students"
        )
    return float(np.square(both[0] - both[1]).mean()) if both[0].size else 0.0


def document_features(
    text: str, strata_codes_N: NDArray[np.integer], kind: str
) -> FloatArray:
    """Describe a document by what costs almost nothing to compute.

    Args:
        text: the document.
        strata_codes_N: (N,) stratum codes of its words, places in `STRATA`.
        kind: its kind, hashed to one of 8 buckets.

    Returns:
        (F,) values in the order of `FEATURES`.
    """
    codes_N = np.asarray(strata_codes_N, dtype=np.int64)
    num_words = max(codes_N.size, 1)
    bytes_B = np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8)
    num_bytes = max(bytes_B.size, 1)
    count_256 = np.bincount(bytes_B, minlength=256)
    digits = int(count_256[48:58].sum())
    upper = int(count_256[65:91].sum())
    lower = int(count_256[97:123].sum())
    graphic = int(count_256[33:127].sum())
    num_types = len(set(text.split()))
    count_S = np.bincount(codes_N, minlength=len(STRATA))
    values = [
        np.log1p(codes_N.size),
        num_bytes / num_words,
        int(count_256[10]) / num_words,
        num_types / num_words,
        digits / num_bytes,
        (graphic - digits - upper - lower) / num_bytes,
        upper / num_bytes,
    ]
    for names in _GROUPS.values():
        group = [1 + CATEGORIES.index(name) for name in names]
        values.append(count_S[group].sum() / num_words)
    bucket_K = np.zeros(_NUM_KIND_BUCKETS)
    # Python's own hash differs between processes.
    bucket_K[sha256(kind.encode("utf-8", "replace")).digest()[0] % 8] = 1.0
    return np.concatenate([np.array(values, dtype=np.float64), bucket_K])


def _rank(values_N: FloatArray) -> FloatArray:
    """Rank numbers; equal ones share the mean of their ranks."""
    _, place_N, count = np.unique(values_N, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place_N])


def _correlate(a_N: FloatArray, b_N: FloatArray) -> float:
    a_N, b_N = a_N - a_N.mean(), b_N - b_N.mean()
    return float((a_N @ b_N) / np.sqrt((a_N @ a_N) * (b_N @ b_N)))


def _check(features_NF: FloatArray, residual_N: FloatArray) -> None:
    if features_NF.ndim != 2 or len(features_NF) != residual_N.size:
        raise InvalidSelection(
            f"features have shape {features_NF.shape} for {residual_N.size} residuals; "
            "expected (N, F) and N; give one row of document_features a document"
        )
    wrong = not np.isfinite(features_NF).all() or not np.isfinite(residual_N).all()
    if wrong or (residual_N < 0).any():
        raise InvalidSelection(
            "a feature or residual is not finite, or a residual is negative; "
            "expected what document_features and measured_residual return"
        )
