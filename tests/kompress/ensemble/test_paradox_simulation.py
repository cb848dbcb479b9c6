import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.ensemble.paradox import (
    k_of_n_recall_equicorrelated,
    k_of_n_recall_independent,
    nested_recall,
)
from kompress.ensemble.paradox_simulation import (
    draw_equicorrelated,
    draw_independent,
    draw_nested,
    published_simulation,
    recall_of,
)
from kompress.errors import InvalidConfig

NUM_WORDS = 40_000
# Four standard errors of a share near one half: .01.
NEAR = 4 * 0.5 / NUM_WORDS**0.5
RECALLS = np.array([0.3, 0.6, 0.7, 0.9])


@pytest.mark.parametrize(
    ("num_voters", "k", "ensemble", "best"),
    # docs/references.md, the published simulator recomputed
    [(3, 1, 0.340, 0.873), (3, 2, 0.525, 0.873), (3, 3, 0.873, 0.873),
     (5, 1, 0.310, 0.889), (5, 3, 0.564, 0.889), (5, 5, 0.889, 0.889)],
)  # fmt: skip
def test_the_published_simulator_gives_its_figures(num_voters, k, ensemble, best):
    found = published_simulation(num_voters, k)

    assert found.ensemble == pytest.approx(ensemble, abs=5e-4)
    assert found.best == pytest.approx(best, abs=5e-4)
    assert found.recall_SM.shape == (10, num_voters)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_drawn_nested_voters_are_the_k_th_weakest(k):
    kept_NM = draw_nested(RECALLS, NUM_WORDS, np.random.default_rng(0))

    found = recall_of(kept_NM, k)

    # Exactly, word for word: the columns are in the order of their recalls.
    assert found == kept_NM[:, k - 1].mean()
    assert found == pytest.approx(nested_recall(RECALLS, k), abs=NEAR)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_drawn_independent_voters_agree_with_the_poisson_binomial(k):
    kept_NM = draw_independent(RECALLS, NUM_WORDS, np.random.default_rng(1))

    expected = k_of_n_recall_independent(RECALLS, k)

    assert recall_of(kept_NM, k) == pytest.approx(expected, abs=NEAR)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_drawn_correlated_voters_agree_with_the_beta_binomial(k):
    rng = np.random.default_rng(2)

    kept_NM = draw_equicorrelated(0.85, 5, 0.4, NUM_WORDS, rng)

    # Voters of one word depend on each other, words do not.
    expected = k_of_n_recall_equicorrelated(0.85, 5, k, 0.4)
    assert recall_of(kept_NM, k) == pytest.approx(expected, abs=NEAR)
    correlation_MM = np.corrcoef(kept_NM.T)
    assert correlation_MM[np.triu_indices(5, 1)] == pytest.approx(0.4, abs=0.03)


@given(
    st.integers(1, 6).flatmap(lambda m: st.tuples(st.just(m), st.integers(1, m))),
    st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_the_ensemble_lies_between_its_voters_and_reaches_the_best_at_the_last_k(
    size, seed
):
    num_voters, k = size

    found = published_simulation(num_voters, k, seed=seed, num_strata=4)

    assert (found.ensemble_S >= found.recall_SM.min(axis=1)).all()
    assert (found.ensemble_S <= found.best_S).all()
    assert k < num_voters or (found.ensemble_S == found.best_S).all()


def test_without_a_stratum_there_is_nothing_to_simulate():
    with pytest.raises(InvalidConfig, match="0 strata"):
        published_simulation(3, 1, num_strata=0)
