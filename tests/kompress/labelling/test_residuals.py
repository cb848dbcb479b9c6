import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.labelling.residuals import (
    Population,
    measure_residuals,
    predict_residuals,
)
from kompress.selection.residuals import PredictionQuality
from kompress.types import Label, ResidualRow


def measurements(num_documents=400, signal=1.0, num_measured=200, *, folds=True):
    """Documents in groups of two whose residual follows the first feature.

    Their influence is the second feature's, a few thousandths.
    """
    rng = np.random.default_rng(0)
    features_NF = rng.normal(size=(num_documents, 10))
    residual_N = np.exp(
        signal * features_NF[:, 0] + 0.5 * rng.normal(size=num_documents)
    )
    influence_N = 0.002 * np.exp(signal * features_NF[:, 1])
    ids = [100 + n for n in range(num_documents)]
    population = Population(
        tuple(ids), tuple(f"g{n // 2}" for n in range(num_documents)), features_NF
    )
    measured = {
        ids[n]: ResidualRow(residual_N[n], None, influence_N[n] if folds else None)
        for n in range(num_measured)
    }
    return population, measured


def test_what_features_tell_out_of_sample_is_used_and_recorded():
    rows, residual, _ = predict_residuals(*measurements())

    # At best 1 / (1 + .5²) = .8 of the variance of the logarithms.
    assert residual.quality.num_documents == 200
    assert residual.predicted_by == "features"
    assert residual.quality.r2 == pytest.approx(0.8, abs=0.07)
    assert residual.quality.rank_correlation > 0.8
    predicted = [row.predicted for row in rows.values()]
    assert len(predicted) == 400
    assert np.ptp(predicted) > 1


def test_influence_is_predicted_apart_and_on_its_own_scale():
    population, measured = measurements()

    rows, _, influence = predict_residuals(population, measured)

    assert influence.predicted_by == "features"
    truth = 0.002 * np.exp(population.features_NF[:, 1])
    predicted = [rows[100 + n].predicted_influence for n in range(400)]
    inside = np.abs(population.features_NF[:, 1]) < 1.5
    assert np.array(predicted)[inside] == pytest.approx(truth[inside], rel=0.1)
    assert rows[100].influence == measured[100].influence
    assert rows[399].influence is None


def test_without_a_second_fold_no_influence_is_predicted():
    rows, residual, influence = predict_residuals(*measurements(folds=False))

    assert influence.predicted_by == "nothing"
    assert {row.known_influence for row in rows.values()} == {None}
    assert residual.predicted_by == "features"


def test_where_features_tell_nothing_every_document_gets_the_mean():
    population, measured = measurements(signal=0.0, num_measured=60)

    rows, residual, _ = predict_residuals(population, measured)

    assert residual.predicted_by == "mean"
    assert residual.quality.r2 <= 0
    mean = np.mean([row.measured for row in measured.values()])
    predicted = [row.predicted for row in rows.values()]
    assert predicted == pytest.approx([mean] * 400)


def test_without_measurements_nothing_is_predicted():
    population, _ = measurements()

    rows, residual, influence = predict_residuals(population, {})

    assert rows == {}
    assert residual == influence
    assert residual.predicted_by == "nothing"
    assert residual.quality == PredictionQuality(0, None, None)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=9),
    st.floats(0.01, 0.5),
)
def test_a_document_that_a_student_learned_from_keeps_its_residual(words, sd):
    score_N = np.array([score for score, _ in words])
    means = np.array([mean for _, mean in words], dtype=np.float16)
    label = Label(means, np.full(len(words), sd, dtype=np.float16))

    alone = measure_residuals({7: label}, {7: score_N}, {}, [])
    taught = measure_residuals({7: label}, {7: score_N}, {7: score_N}, [])

    assert alone[7].influence is None
    assert taught[7] == alone[7]._replace(influence=0.0)
