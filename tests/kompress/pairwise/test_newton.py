"""Newton's method where it needs damping, and inverses of Hessians."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.pairwise.newton import (
    MAX_ITERATIONS,
    Derivatives,
    centre,
    find_pins,
    inverse_root,
    minimise,
    variances,
)


def test_a_quadratic_takes_one_step_and_one_to_see_it():
    hessian = np.array([[3.0, 1.0], [1.0, 2.0]])
    target = np.array([1.0, -2.0])

    def evaluate(x):
        gradient = hessian @ (x - target)
        value = 0.5 * float((x - target) @ gradient)
        return Derivatives(value, gradient, np.triu(hessian))

    found = minimise(evaluate, np.zeros(2))

    assert found.x_P == pytest.approx(target)
    assert (found.num_iterations, found.converged) == (2, True)


def test_a_saddle_is_left_downhill():
    # x⁴/4 - x²/2 + xy/10 + y²: its Hessian at the start is indefinite.
    def evaluate(x):
        value = x[0] ** 4 / 4 - x[0] ** 2 / 2 + x[0] * x[1] / 10 + x[1] ** 2
        gradient = np.array([x[0] ** 3 - x[0] + x[1] / 10, x[0] / 10 + 2 * x[1]])
        hessian = np.array([[3 * x[0] ** 2 - 1, 0.1], [0.0, 2.0]])
        return Derivatives(float(value), gradient, hessian)

    found = minimise(evaluate, np.array([0.1, 0.1]))

    # y = -x/20, so x² = 1 + 1/200.
    assert found.converged
    assert abs(found.x_P[0]) == pytest.approx(np.sqrt(1.005))


def test_a_function_without_a_minimum_is_reported_as_such():
    def evaluate(x):
        return Derivatives(float(np.exp(-x[0])), -np.exp(-x), np.exp(-x)[None])

    found = minimise(evaluate, np.zeros(1))

    assert (found.num_iterations, found.converged) == (MAX_ITERATIONS, False)


@given(st.integers(1, 6), st.integers(0, 2**32))
def test_the_root_times_its_transpose_is_the_inverse(size, seed):
    some = np.random.default_rng(seed).normal(size=(size, size))
    matrix = some @ some.T + np.eye(size)

    root = inverse_root(np.triu(matrix))

    assert root @ root.T == pytest.approx(np.linalg.inv(matrix))
    assert variances(root) == pytest.approx(np.linalg.inv(matrix).diagonal())


def test_an_indefinite_matrix_has_no_root():
    assert np.isnan(inverse_root(np.diag([1.0, -1.0]))).all()


def test_scores_and_errors_are_centred_within_components():
    component = np.array([0, 1, 0, 2, 1], np.int32)
    root = np.random.default_rng(0).normal(size=(5, 5))
    centring = np.eye(5)
    for items in ([0, 2], [1, 4], [3]):
        centring[np.ix_(items, items)] -= 1 / len(items)

    score, error = centre(np.array([1.0, 5.0, 3.0, 7.0, 1.0]), root, component)

    expected = np.sqrt((centring @ root @ root.T @ centring.T).diagonal())
    assert score == pytest.approx([-1, 2, 1, 0, -2])
    assert error[[0, 1, 2, 4]] == pytest.approx(expected[[0, 1, 2, 4]])
    assert error[3] == np.inf


def test_a_whole_graph_is_centred_alike():
    root = np.random.default_rng(0).normal(size=(4, 4))

    score, error = centre(np.arange(4.0), root, np.zeros(4, np.int32))

    spread = np.cov(root, bias=True, rowvar=False)
    assert score.tolist() == [-1.5, -0.5, 0.5, 1.5]
    assert (error**2).sum() == pytest.approx(4 * np.trace(spread))


def test_one_item_a_component_is_pinned_unless_a_ridge_holds_all():
    component = np.array([0, 1, 0, 2], np.int32)

    assert find_pins(component, 0.0).tolist() == [0, 1, 3]
    assert find_pins(component, 0.5).tolist() == []
