"""Dawid & Skene 1979: its own data, another implementation, and distinct rows."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.aggregation.dawid_skene import em
from kompress.aggregation.dawid_skene.em import Pseudocounts, fit
from kompress.errors import InvalidConfig, InvalidVotes

GOLDEN = Path(__file__).parents[3] / "golden" / "dawid_skene_1979.csv"


@pytest.fixture(scope="module")
def patients():
    """(45, 5, 4) counts; observer 1 rated each patient three times."""
    counts_NMK = np.zeros((45, 5, 4), dtype=np.int64)
    with GOLDEN.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            place = [int(row[name]) - 1 for name in ("patient", "observer", "rating")]
            counts_NMK[tuple(place)] += 1
    assert counts_NMK.sum() == 315
    return counts_NMK


def hard_votes(num_items, accuracy_M, seed=0, missing=0.0, num_classes=2):
    """Counts of one answer a voter, right with its accuracy, some missing."""
    rng = np.random.default_rng(seed)
    truth_N1 = rng.integers(num_classes, size=(num_items, 1))
    shape = (num_items, len(accuracy_M))
    wrong_NM = (truth_N1 + rng.integers(1, num_classes, shape)) % num_classes
    said_NM = np.where(rng.random(shape) < accuracy_M, truth_N1, wrong_NM)
    counts_NMK = said_NM[:, :, None] == np.arange(num_classes)
    counts_NMK &= rng.random(shape)[:, :, None] >= missing
    return counts_NMK.astype(np.uint8)


def test_the_published_figures_are_found(patients):
    # Dawid & Skene 1979 by a public transcription; see docs/references.md.
    found = fit(patients)

    assert found.converged
    assert found.log_likelihood == pytest.approx(-192.89088, abs=5e-6)
    assert found.prior_K == pytest.approx(
        [0.39955, 0.42198, 0.11180, 0.06667], abs=6e-6
    )
    first = np.diag(found.confusion_MKK[0])
    assert first == pytest.approx([0.8895, 0.8764, 0.6612, 0.4444], abs=6e-5)


def test_the_first_iteration_is_the_published_one(patients):
    found = fit(patients, max_iter=1)

    assert found.log_likelihood == pytest.approx(-205.09114, abs=5e-6)
    assert (found.num_iter, found.converged) == (1, False)


def test_several_answers_of_one_voter_are_several_observations(patients):
    # Observer 1's three ratings cut to the first kind make another likelihood.
    once = fit(np.minimum(patients, 1))

    assert once.log_likelihood != pytest.approx(fit(patients).log_likelihood, abs=1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # crowd-kit on pandas 3
@pytest.mark.parametrize(("num_classes", "missing"), [(2, 0.0), (2, 0.3), (4, 0.3)])
def test_posteriors_are_those_of_crowd_kit_at_equal_iterations(num_classes, missing):
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    accuracy_M = [0.9, 0.8, 0.75, 0.6, 0.55]
    counts_NMK = hard_votes(
        600, accuracy_M, missing=missing, num_classes=num_classes
    )  # fmt: skip
    item, voter, label = counts_NMK.nonzero()
    data = pd.DataFrame({"task": item, "worker": voter, "label": label})
    theirs = DawidSkene(n_iter=7, tol=-np.inf).fit(data)

    ours = fit(counts_NMK, max_iter=7, tol=-np.inf)

    assert len(theirs.loss_history_) == 7
    heard = theirs.probas_.sort_index().sort_index(axis=1)
    difference = heard.to_numpy() - ours.posterior_NK[heard.index]
    assert np.abs(difference).max() < 1e-9


@pytest.mark.parametrize("kind", ["dense", "keys", "columns", "fractions", "as_is"])
def test_counting_equal_rows_once_is_exact(kind, monkeypatch, patients):
    # Keys of at most 65,536 values; of more; of several parts; votes that are no whole
    # numbers; rows that are nearly all different.
    if kind == "dense":
        counts_NMK = hard_votes(500, [0.9, 0.8, 0.6])
    elif kind == "keys":
        counts_NMK = patients[np.arange(500) % 45]
    elif kind == "columns":
        # Voters 0 and 22 say each of two things, the others one. Of 500 rows numbers
        # of 44 binary digits are exact, so voter 22 begins the second part.
        counts_NMK = np.zeros((500, 60, 2), dtype=int)
        counts_NMK[:, :, 0] = 1
        counts_NMK[1::2, 0] = counts_NMK[2::4, 22] = counts_NMK[3::4, 22] = (0, 1)
    elif kind == "fractions":
        counts_NMK = (hard_votes(60, [0.9, 0.7]) * 0.3 + 0.1)[np.arange(500) % 60]
    else:
        counts_NMK = np.random.default_rng(1).random((500, 3, 3))
    rows = len(np.unique(counts_NMK.reshape(500, -1), axis=0))
    answers_PF, weight_P, row_N = em._distinct_rows(counts_NMK.reshape(500, -1))
    assert (len(answers_PF), weight_P.sum()) == (rows, 500)
    assert (row_N is None) == (kind == "as_is")

    ours = fit(counts_NMK, max_iter=20, tol=-np.inf)
    monkeypatch.setattr(
        em,
        "_distinct_rows",
        lambda flat_NF: (flat_NF.astype(float), np.ones(len(flat_NF)), None),
    )
    one_by_one = fit(counts_NMK, max_iter=20, tol=-np.inf)

    assert np.abs(ours.posterior_NK - one_by_one.posterior_NK).max() < 1e-9
    assert ours.log_likelihood == pytest.approx(one_by_one.log_likelihood, rel=1e-12)


def test_rows_that_hardly_repeat_are_not_sorted():
    # Of 4,096 sampled rows of 10,000 all different ones, none repeats.
    counts_NMK = np.random.default_rng(0).random((10_000, 2, 2))
    flat_NF = counts_NMK.reshape(10_000, 4)

    assert not em._worth_counting(flat_NF)
    assert em._worth_counting(flat_NF[np.arange(10_000) % 2_000])


def test_a_prior_is_imagined_answers():
    # One item, one voter who said class 0 once, one step. Start: posterior (1, 0).
    # Classes: (1 + 1) / 3 and (0 + 1) / 3. Row of class 0: (1 + 2) / 4, (0 + 1) / 4;
    # row of class 1: 1/4, 3/4 imagined alone is (0 + 1) / 4, (0 + 3) / 4.
    prior = Pseudocounts(classes=1.0, confusion=[[2.0, 1.0], [1.0, 3.0]])
    counts_NMK = [[[1, 0]]]

    found = fit(counts_NMK, max_iter=1, prior=prior)

    assert found.prior_K == pytest.approx([2 / 3, 1 / 3])
    assert found.confusion_MKK[0] == pytest.approx(np.array([[3, 1], [1, 3]]) / 4)
    # 2/3 * 3/4 : 1/3 * 1/4 = 6 : 1; the likelihood is their sum, 7/12.
    assert found.posterior_NK[0] == pytest.approx([6 / 7, 1 / 7])
    assert found.log_likelihood == pytest.approx(np.log(7 / 12))


def test_each_step_gains_also_under_a_prior(patients):
    def objective(steps):
        found = fit(patients, steps, -np.inf, prior=0.5)
        logs = np.log(found.confusion_MKK).sum() + np.log(found.prior_K).sum()
        return found.log_likelihood + 0.5 * logs

    gains = np.diff([objective(steps) for steps in range(1, 12)])

    assert (gains > 0).all()


def test_an_item_without_answers_gets_the_classes_shares_and_changes_nothing(patients):
    without = fit(patients)

    more_NMK = np.concatenate([patients, np.zeros((3, 5, 4), dtype=int)])
    found = fit(more_NMK)

    for steps in (1, 3):
        assert np.allclose(
            fit(more_NMK, steps).confusion_MKK, fit(patients, steps).confusion_MKK
        )
    assert fit(more_NMK, 1).prior_K == pytest.approx(fit(patients, 1).prior_K)
    assert np.allclose(found.posterior_NK[45:], found.prior_K, atol=1e-12)
    assert found.prior_K == pytest.approx(without.prior_K, abs=1e-6)
    assert found.log_likelihood == pytest.approx(without.log_likelihood, abs=1e-6)
    assert fit(np.zeros((0, 2, 3))).prior_K == pytest.approx([1 / 3] * 3)


COUNTS = st.integers(1, 5).flatmap(
    lambda size: arrays(
        np.float64,
        (size, 2, 3),
        elements=st.sampled_from([0.0, 1.0, 2.0]) | st.floats(0, 50),
    )
)


@given(COUNTS, st.sampled_from([None, 0.5]))
def test_every_fit_is_a_set_of_distributions(counts_NMK, prior):
    found = fit(counts_NMK, max_iter=30, prior=prior)

    for shares in (found.prior_K, found.confusion_MKK, found.posterior_NK):
        assert (shares >= 0).all()
        assert np.allclose(shares.sum(axis=-1), 1)
    assert found.log_likelihood <= 1e-9


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ([[1, 0]], r"shape \(1, 2\).*expected \(N, M, K\)"),
        ([[[1]]], "at least two classes"),
        ([[[1, -1]]], "item 0, voter 0, class 1 has the count -1"),
        ([[[1.0, np.nan]]], "class 1 has the count nan"),
        ([[["a", "b"]]], "expected numbers"),
        ([[[1e308, 1e308], [1e308, 0]], [[0, 1e308], [0, 1e308]]], "sum to inf"),
        ([[[2**63 - 1, 2**63 - 1]]], r"expected at most 2\*\*53"),
        ([[[1e16, 0.0]]], "sum to 1e\\+16"),
    ],
)
def test_wrong_counts_are_refused_in_words(counts, says):
    with pytest.raises(InvalidVotes, match=says):
        fit(counts)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"max_iter": 0}, "at least 1"),
        ({"tol": np.nan}, "tol is NaN"),
        ({"prior": -1.0}, "pseudo-counts >= 0"),
        ({"prior": 1e308}, "reach 1e\\+308"),
        ({"prior": Pseudocounts(classes=[1, 2, 3])}, r"shape \(3,\); expected"),
    ],
)
def test_a_wrong_limit_or_prior_is_refused_in_words(wrong, says):
    with pytest.raises(InvalidConfig, match=says):
        fit([[[1, 0]]], **wrong)
