"""The chain against every path, and texts beside each other."""

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kompress.aggregation.chain.forward_backward import run_chain

# N = words, B = boundaries, Z = truths


def _transitions(rng: np.random.Generator) -> np.ndarray:
    keep_BZ = rng.uniform(0.01, 0.99, (4, 2))
    keep_BZ[3, 1] = keep_BZ[3, 0]
    return np.stack([1 - keep_BZ, keep_BZ], axis=2)


def _brute_force(evidence_N, boundary_N, transition_BZZ):
    total = np.zeros((evidence_N.size, 2))
    for path in product((0, 1), repeat=evidence_N.size):
        weight = 1.0
        for n, truth in enumerate(path):
            weight *= transition_BZZ[boundary_N[n], path[n - 1] if n else 0, truth]
            weight *= np.exp(evidence_N[n]) if truth else 1.0
        for n, truth in enumerate(path):
            total[n, truth] += weight
    return total[:, 1] / total.sum(axis=1), np.log(total[0].sum())


@given(seed=st.integers(0, 10**6), size=st.integers(1, 10))
def test_the_pass_is_the_sum_over_all_paths(seed, size):
    rng = np.random.default_rng(seed)
    evidence_N = rng.normal(0, 3, size)
    boundary_N = np.append(3, rng.integers(0, 3, size - 1)).astype(np.uint8)
    transition_BZZ = _transitions(rng)

    found = run_chain(evidence_N, boundary_N, transition_BZZ)
    expected_N, log_total = _brute_force(evidence_N, boundary_N, transition_BZZ)

    p_N = 1 / (1 + np.exp(-found.log_odds_N))
    assert np.abs(p_N - expected_N).max() < 1e-12
    assert abs(found.log_likelihood - log_total) < 1e-12 * max(1, abs(log_total)) * 10


@given(seed=st.integers(0, 10**6), num_texts=st.integers(2, 40))
def test_a_text_has_the_same_bits_whatever_texts_are_beside_it(seed, num_texts):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 30, num_texts)
    parts = [
        np.append(3, rng.integers(0, 3, size - 1)).astype(np.uint8) for size in sizes
    ]
    boundary_N = np.concatenate(parts)
    evidence_N = rng.normal(0, 3, boundary_N.size)
    transition_BZZ = _transitions(rng)

    together = run_chain(evidence_N, boundary_N, transition_BZZ).log_odds_N
    ends = np.cumsum(sizes)
    alone = [
        run_chain(evidence_N[end - size : end], part, transition_BZZ).log_odds_N
        for end, size, part in zip(ends, sizes, parts, strict=True)
    ]

    assert together.tobytes() == np.concatenate(alone).tobytes()


def test_no_words_pass():
    empty = np.zeros(0)

    found = run_chain(empty, np.zeros(0, dtype=np.uint8), np.full((4, 2, 2), 0.5))

    assert found.log_odds_N.size == 0
    assert found.log_likelihood == 0
