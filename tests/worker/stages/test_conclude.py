from dataclasses import replace

import numpy as np
import pytest

from kompress.types import ResidualRow
from tests.end_to_end.farm import loop_config
from tests.worker.pulse import Pulse
from worker.stages.conclude import Inputs, compute


def inputs(num_documents=400, signal=1.0, num_measured=200, *, folds=True):
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
    return Inputs(
        config=loop_config(rounds=3),
        number=1,
        history=[],
        document_ids=ids,
        group_ids=[f"g{n // 2}" for n in range(num_documents)],
        features_NF=features_NF,
        measured={
            ids[n]: ResidualRow(residual_N[n], None, influence_N[n] if folds else None)
            for n in range(num_measured)
        },
        students={},
        groups={},
    )


def test_what_features_tell_out_of_sample_is_used_and_recorded():
    out = compute(None, inputs(), Pulse())

    # At best 1 / (1 + .5²) = .8 of the variance of the logarithms.
    assert out.residual_model["num_measured"] == 200
    assert out.residual_model["predicted_by"] == "features"
    assert out.residual_model["r2"] == pytest.approx(0.8, abs=0.07)
    assert out.residual_model["rank_correlation"] > 0.8
    predicted = [row.predicted for row in out.residuals.values()]
    assert len(predicted) == 400
    assert np.ptp(predicted) > 1


def test_influence_is_predicted_apart_and_on_its_own_scale():
    found = inputs()
    out = compute(None, found, Pulse())

    assert out.influence_model["predicted_by"] == "features"
    truth = 0.002 * np.exp(found.features_NF[:, 1])
    predicted = [out.residuals[100 + n].predicted_influence for n in range(400)]
    inside = np.abs(found.features_NF[:, 1]) < 1.5
    assert np.array(predicted)[inside] == pytest.approx(truth[inside], rel=0.1)
    assert out.residuals[100].influence == found.measured[100].influence
    assert out.residuals[399].influence is None


def test_without_a_second_fold_no_influence_is_predicted():
    out = compute(None, inputs(folds=False), Pulse())

    assert out.influence_model["predicted_by"] == "nothing"
    assert {row.known_influence for row in out.residuals.values()} == {None}
    assert out.residual_model["predicted_by"] == "features"


def test_where_features_tell_nothing_every_document_gets_the_mean():
    found = inputs(signal=0.0, num_measured=60)

    out = compute(None, found, Pulse())

    assert out.residual_model["predicted_by"] == "mean"
    assert out.residual_model["r2"] <= 0
    mean = np.mean([row.measured for row in found.measured.values()])
    predicted = [row.predicted for row in out.residuals.values()]
    assert predicted == pytest.approx([mean] * 400)


def test_a_round_without_measurements_predicts_nothing_and_says_so():
    out = compute(None, replace(inputs(), measured={}), Pulse())

    assert out.residuals == {}
    assert out.residual_model == {
        "num_measured": 0,
        "predicted_by": "nothing",
        "r2": None,
        "rank_correlation": None,
    }


@pytest.mark.slow  # runs a loop
def test_a_finished_round_keeps_how_well_its_residuals_are_predicted(farm):
    farm.add_documents(40)
    farm.start(rounds=2, folds=2)
    farm.run(before_round=2)

    ((quality, selection),) = farm.query(
        """SELECT decisions -> 'residual_model', decisions -> 'selection' FROM rounds
           WHERE number = 1"""
    )
    ((num_measured, num_train),) = farm.query(
        """SELECT count(measured), count(predicted) FROM residuals"""
    )
    assert farm.query(
        "SELECT count(influence), count(predicted_influence) FROM residuals"
    ) == [(num_measured, num_train)]
    assert quality["num_measured"] == num_measured > 0
    assert quality["predicted_by"] in {"features", "mean"}
    assert num_train == selection["num_population"]
