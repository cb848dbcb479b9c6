import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.errors import InvalidSelection
from kompress.selection.residuals import (
    FEATURES,
    SD_FLOOR,
    ResidualModel,
    document_features,
    fill_average,
    influence,
    measured_residual,
    validate_prediction,
)
from kompress.types import STRATA


def test_a_residual_is_the_mean_distance_in_joint_deviations():
    # |.8 - .5| / sqrt(.09 + .16) = .6 and |.5 - .5| / … = 0: .3 on average.
    residual = measured_residual(
        np.array([0.8, 0.5]),
        np.array([0.3, 0.3]),
        np.array([0.5, 0.5]),
        np.array([0.16, 0.16]),
    )

    assert residual == pytest.approx(0.3)


def test_a_sure_label_counts_more_than_an_unsure_one_down_to_the_floor():
    mean_N, score_N = np.array([0.9]), np.array([0.4])

    sure = measured_residual(mean_N, np.array([0.1]), score_N)
    unsure = measured_residual(mean_N, np.array([0.25]), score_N)
    certain = measured_residual(mean_N, np.array([0.0]), score_N)

    assert (sure, unsure) == pytest.approx((5.0, 2.0))
    assert certain == pytest.approx(0.5 / SD_FLOOR)


def test_words_without_a_label_are_left_out():
    residual = measured_residual(
        np.array([0.8, np.nan]), np.array([0.3, np.nan]), np.array([0.5, 0.5])
    )

    assert residual == pytest.approx(1.0)
    assert measured_residual(np.array([]), np.array([]), np.array([])) == 0.0


def test_a_residual_of_another_text_is_refused():
    with pytest.raises(InvalidSelection, match="score the same text"):
        measured_residual(np.zeros(2), np.zeros(2), np.zeros(3))


def test_features_of_a_text_are_those_counted_by_hand():
    # 15 bytes, 4 words, 3 types, 2 lines; digits 0 and 1, punctuation --, capital F.
    codes_N = np.array([0, 0, STRATA.index("hex"), STRATA.index("flag")])

    features = dict(
        zip(
            FEATURES,
            document_features("a a\n0x1F --all\n", codes_N, "log"),
            strict=True,
        )
    )

    assert features["log_words"] == pytest.approx(np.log(5))
    assert features["word_length"] == 15 / 4
    assert features["lines_per_word"] == 2 / 4
    assert features["type_token_ratio"] == 3 / 4
    assert features["digit_share"] == 2 / 15
    assert features["punctuation_share"] == pytest.approx(2 / 15)
    assert features["upper_share"] == pytest.approx(1 / 15)
    assert features["must_keep_quantities"] == 1 / 4
    assert features["must_keep_places"] == 1 / 4
    assert features["must_keep_names"] == features["must_keep_directives"] == 0
    assert sum(features[name] for name in FEATURES if name.startswith("kind_")) == 1


def test_an_empty_text_has_finite_features():
    features_F = document_features("", np.array([], dtype=np.uint8), "")

    assert np.isfinite(features_F).all()


def test_few_measurements_predict_their_mean():
    features_NF = np.random.default_rng(0).normal(size=(5, 3))

    model = ResidualModel.fit(features_NF, np.array([1.0, 2.0, 3.0, 4.0, 5.0]))

    assert model.predict(np.ones((2, 3)) * 9).tolist() == [3.0, 3.0]


def test_no_measurement_predicts_that_all_are_equal():
    model = ResidualModel.fit(np.zeros((0, 3)), np.zeros(0))

    assert model.predict(np.ones((2, 3))).tolist() == [1.0, 1.0]


def test_a_feature_that_drives_residuals_is_found():
    rng = np.random.default_rng(0)
    features_NF = rng.normal(size=(4_000, 3))
    log_N = 0.8 * features_NF[:, 1] + 0.7 * rng.normal(size=4_000)
    residual_N = np.exp(log_N)

    model = ResidualModel.fit(features_NF[:2_000], residual_N[:2_000])
    predicted_N = model.predict(features_NF[2_000:])

    # The best possible correlation is .8 / sqrt(.8² + .7²) = .75.
    assert np.corrcoef(np.log(predicted_N), log_N[2_000:])[0, 1] > 0.72
    # Measured and predicted residuals are mixed, so their means have to agree; the
    # exponential of the mean log alone is exp(.7² / 2) = 1.28 times too small.
    assert predicted_N.mean() == pytest.approx(residual_N[2_000:].mean(), rel=0.1)


def test_predictions_stay_within_what_was_measured():
    rng = np.random.default_rng(0)
    features_NF = rng.normal(size=(50, 2))
    residual_N = np.exp(features_NF[:, 0])
    model = ResidualModel.fit(features_NF, residual_N)

    far_N = model.predict(np.array([[1e6, 0.0], [-1e6, 0.0]]))

    assert far_N.tolist() == [residual_N.max(), residual_N.min()]


def test_a_prediction_is_judged_on_documents_that_were_not_in_the_fit():
    rng = np.random.default_rng(0)
    features_NF = rng.normal(size=(2_000, 3))
    log_N = 0.8 * features_NF[:, 1] + 0.6 * rng.normal(size=2_000)

    quality = validate_prediction(features_NF, np.exp(log_N), np.arange(2_000) % 5)

    # Explained at best: .8² / (.8² + .6²) = .64; a correlation of .8, and Spearman's
    # of two Gaussians is 6 / pi * asin(.8 / 2) = .786.
    assert quality.num_documents == 2_000
    assert quality.r2 == pytest.approx(0.64, abs=0.03)
    assert quality.rank_correlation == pytest.approx(0.786, abs=0.02)


def test_features_that_say_nothing_predict_worse_than_the_mean_out_of_sample():
    rng = np.random.default_rng(0)
    features_NF = rng.normal(size=(60, 20))
    residual_N = np.exp(rng.normal(size=60))
    model = ResidualModel.fit(features_NF, residual_N)

    quality = validate_prediction(features_NF, residual_N, np.arange(60) % 5)

    # In sample twenty features explain a good part of sixty residuals.
    fitted_N = model.log_predict(features_NF)
    assert np.corrcoef(fitted_N, np.log(residual_N))[0, 1] > 0.4
    assert quality.r2 < 0


def test_copies_of_a_document_in_one_fold_do_not_vouch_for_each_other():
    rng = np.random.default_rng(0)
    features_NF = np.repeat(rng.normal(size=(30, 20)), 4, axis=0)
    residual_N = np.repeat(np.exp(rng.normal(size=30)), 4)

    by_group = validate_prediction(
        features_NF, residual_N, np.repeat(np.arange(30) % 5, 4)
    )
    by_chance = validate_prediction(features_NF, residual_N, np.arange(120) % 4)

    assert by_group.r2 < 0 < by_chance.r2


@pytest.mark.parametrize(
    ("num_documents", "folds"), [(15, 5), (40, 1)], ids=["few documents", "one fold"]
)
def test_where_nothing_can_be_left_out_there_is_no_figure(num_documents, folds):
    features_NF = np.random.default_rng(0).normal(size=(num_documents, 2))

    quality = validate_prediction(
        features_NF, 1 + features_NF[:, 0] ** 2, np.arange(num_documents) % folds
    )

    assert (quality.r2, quality.rank_correlation) == (None, None)


def test_equal_residuals_need_no_prediction():
    features_NF = np.random.default_rng(0).normal(size=(50, 2))

    quality = validate_prediction(features_NF, np.ones(50), np.arange(50) % 5)

    assert (quality.r2, quality.rank_correlation) == (None, None)


def test_the_mean_can_be_predicted_on_purpose():
    model = ResidualModel.of_mean(np.array([1.0, 2.0]), 3)

    assert model.predict(np.ones((2, 3))).tolist() == [1.5, 1.5]
    assert model.log_predict(np.ones((2, 3))).tolist() == [0.0, 0.0]


def test_residuals_without_a_row_of_features_are_refused():
    with pytest.raises(InvalidSelection, match="one row of document_features"):
        ResidualModel.fit(np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(InvalidSelection, match="not finite"):
        ResidualModel.fit(np.zeros((1, 3)), np.array([np.nan]))


def test_features_of_another_fit_are_refused():
    model = ResidualModel.fit(np.zeros((0, 3)), np.zeros(0))

    with pytest.raises(InvalidSelection, match=r"\(N, 3\)"):
        model.predict(np.zeros((1, 4)))


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.5), st.floats(0, 1)), min_size=1)
)
def test_a_residual_is_never_above_the_whole_range_over_the_floor(words):
    mean_N, sd_N, score_N = (np.array(column) for column in zip(*words, strict=True))

    residual = measured_residual(mean_N, sd_N, score_N)

    assert 0 <= residual <= 1 / SD_FLOOR


def test_an_unknown_document_counts_as_average():
    # (2 + 4) / 2 = 3.
    assert fill_average({1: 2.0, 3: 4.0}, [3, 2, 1]).tolist() == [4.0, 3.0, 2.0]
    assert fill_average({}, [1, 2]).tolist() == [1.0, 1.0]


SCORES = arrays(np.float64, 5, elements=st.floats(0, 1))


def test_influence_is_the_mean_squared_change():
    # (.3² + 0 + .6²) / 3 = .15.
    found = influence(np.array([0.9, 0.5, 0.1]), np.array([0.6, 0.5, 0.7]))

    assert found == pytest.approx(0.15)


def test_a_text_without_words_has_no_influence():
    assert influence(np.zeros(0), np.zeros(0)) == 0.0


@given(SCORES, SCORES)
def test_influence_is_a_share_of_the_largest_change_and_0_for_equal_students(
    seen, unseen
):
    assert 0.0 <= influence(seen, unseen) <= 1.0
    assert influence(seen, seen) == 0.0


@pytest.mark.parametrize(
    ("seen", "unseen"), [([0.5], [0.5, 0.5]), ([1.5], [0.5]), ([np.nan], [0.5])]
)
def test_influence_needs_scores_of_the_same_words_in_range(seen, unseen):
    with pytest.raises(InvalidSelection, match="score the same text"):
        influence(np.array(seen), np.array(unseen))
