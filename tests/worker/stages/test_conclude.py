import pytest


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
