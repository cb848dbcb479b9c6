"""What students get wrong about documents, and what their labels teach: measured, then
predicted for the documents that have no label.

How far one student's score can be trusted is measured on texts that no fold student
saw: there all of them are out of fold.

N = words of one text or train documents, F = features, K = fold students
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kompress.decisions import PredictionSummary
from kompress.labelling.folds import fold_of
from kompress.selection.residuals import (
    PredictionQuality,
    ResidualModel,
    document_features,
    influence,
    measured_residual,
    validate_prediction,
)
from kompress.selection.student_spread import StudentSpread
from kompress.types import CodeArray, FloatArray, Label, ResidualRow

# Prediction is validated over so many parts, by document group.
VALIDATION_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Population:
    """The train documents whose residual is to be predicted.

    Attributes:
        ids: N documents.
        group_ids: N document groups.
        features_NF: (N, F) of `describe_documents`.
    """

    ids: tuple[int, ...]
    group_ids: tuple[str, ...]
    features_NF: FloatArray


@dataclass(frozen=True, slots=True)
class Prediction:
    """A figure of every document of a population, and how far it can be trusted.

    Attributes:
        values: by document id; none where nothing was measured.
        predicted_by: `features`, their `mean`, or `nothing`.
        quality: out of sample.
    """

    values: dict[int, float]
    predicted_by: Literal["features", "mean", "nothing"]
    quality: PredictionQuality

    def summary(self) -> PredictionSummary:
        """Say what the round keeps of it."""
        return PredictionSummary(
            num_measured=self.quality.num_documents,
            predicted_by=self.predicted_by,
            r2=self.quality.r2,
            rank_correlation=self.quality.rank_correlation,
        )


def measure_residuals(
    labels: Mapping[int, Label],
    unseen: Mapping[int, FloatArray],
    seen: Mapping[int, FloatArray],
    audit: Sequence[FloatArray],
) -> dict[int, ResidualRow]:
    """Measure residuals and influences of labelled documents.

    Args:
        labels: by document id.
        unseen: (N,) scores of the student that left the document's fold out.
        seen: those of a student that learned from the document; documents that are not
            in it get no influence.
        audit: K times the scores of all words of texts that no fold student saw.

    Returns:
        By document id, in the order of `labels`.
    """
    spread = StudentSpread.fit(np.stack(audit)) if audit else None
    return {
        document: ResidualRow(
            measured=measured_residual(
                label.mean_N.astype(np.float64),
                label.sd_N.astype(np.float64),
                unseen[document],
                None if spread is None else spread.variance(unseen[document]),
            ),
            predicted=None,
            influence=influence(seen[document], unseen[document])
            if document in seen
            else None,
        )
        for document, label in labels.items()
    }


def describe_documents(
    documents: Sequence[tuple[str, CodeArray, str]],
) -> FloatArray:
    """Describe each document by what can be known without a label.

    Args:
        documents: N times text, `farm` codes of its words and kind.

    Returns:
        (N, F) features; (0, 0) of no document.
    """
    if not documents:
        return np.zeros((0, 0))
    return np.stack([document_features(*document) for document in documents])


def predict_residuals(
    population: Population, measured: Mapping[int, ResidualRow]
) -> tuple[dict[int, ResidualRow], Prediction, Prediction]:
    """Predict residuals and influences of every document of a population.

    Args:
        population: the train documents.
        measured: of `measure_residuals`, by document id.

    Returns:
        Rows by document id, measured figures kept; the residuals' prediction, and that
        of the influences in units of their mean.
    """
    residuals = {
        document: row.measured
        for document, row in measured.items()
        if row.measured is not None
    }
    influences = {
        document: row.influence
        for document, row in measured.items()
        if row.influence is not None
    }
    residual = _predict(population, residuals)
    # Against their mean: a squared change of scores is a few thousandths.
    mean = float(np.mean(list(influences.values()))) if influences else 0.0
    scale = mean or 1.0
    taught = _predict(population, {d: value / scale for d, value in influences.items()})
    rows = {
        document: ResidualRow(
            measured=residuals.get(document),
            predicted=predicted,
            influence=influences.get(document),
            predicted_influence=scale * taught.values[document]
            if document in taught.values
            else None,
        )
        for document, predicted in residual.values.items()
    }
    return rows, residual, taught


def _predict(population: Population, measured: Mapping[int, float]) -> Prediction:
    """Predict every document from those that were measured.

    Where features predict worse out of sample than the mean does, the mean is taken:
    documents without a measurement are then all alike.
    """
    place = {document: n for n, document in enumerate(population.ids)}
    ids = sorted(document for document in measured if document in place)
    if not ids:
        return Prediction({}, "nothing", PredictionQuality(0, None, None))
    rows = [place[document] for document in ids]
    features_NF = population.features_NF[rows]
    value_N = np.array([measured[document] for document in ids])
    fold_N = [fold_of(population.group_ids[row], VALIDATION_FOLDS) for row in rows]
    quality = validate_prediction(features_NF, value_N, np.array(fold_N))
    by: Literal["features", "mean"] = (
        "features" if quality.r2 is not None and quality.r2 > 0 else "mean"
    )
    model = (
        ResidualModel.fit(features_NF, value_N)
        if by == "features"
        else ResidualModel.of_mean(value_N, features_NF.shape[1])
    )
    values = model.predict(population.features_NF).tolist()
    return Prediction(dict(zip(population.ids, values, strict=True)), by, quality)
