"""What a fitted chain says of words, and how it is stored."""

import json

import numpy as np
import pytest

from kompress.aggregation.chain.chain import (
    Chain,
    WordEvidence,
    stay_or_draw,
    text_share,
)
from kompress.types import STRATA


def _words(score_N, boundary_N, code_NM=None):
    size = len(score_N)
    codes = np.full((size, 2), 200, dtype=np.uint8) if code_NM is None else code_NM
    return WordEvidence(
        np.array(score_N, dtype=float),
        codes,
        np.zeros(size, dtype=np.intp),
        np.array(boundary_N, dtype=np.uint8),
    )


def _chain(stay, *, tempering=1.0, limit=30.0):
    none = np.zeros(2)
    return Chain(
        stay_or_draw(np.full(3, stay), 0.5), 0.0, 1.0, none, none, none,
        np.zeros(len(STRATA)), 0.0, tempering, limit,
    )  # fmt: skip


def test_a_silent_word_between_two_sure_ones_follows_them():
    codes = np.array([[250, 250], [255, 255], [250, 250]], dtype=np.uint8)
    chain = _chain(0.8)

    score_N = chain.follow(_words([30, 9, 30], [3, 0, 0], codes))

    # Both neighbours keep: odds (.9 · .9) / (.1 · .1); its own 9 is not heard.
    assert score_N[1] == pytest.approx(np.log(81))


def test_what_neighbours_say_is_tempered_and_limited():
    words = _words([2, 1], [3, 0])
    full = _chain(0.8).follow(words)

    half_N = _chain(0.8, tempering=0.5).follow(words)

    # Half of what the neighbour adds, and all of its own.
    assert half_N == pytest.approx([(2 + full[0]) / 2, (1 + full[1]) / 2])
    limited_N = _chain(0.8, limit=1.5).follow(words)
    assert limited_N == pytest.approx(full / (1 + (full / 1.5) ** 4) ** 0.25)
    assert limited_N[1] < limited_N[0] < 1.5


def test_another_text_says_nothing():
    chain = _chain(0.8)

    assert chain.follow(_words([5, 1], [3, 3]))[1] == pytest.approx(1)


def test_transitions_stay_or_draw():
    transition = stay_or_draw(np.array([0.8, 0.0, 0.0]), 0.25)

    # Keep after keep: .8 + .2 · .25; after a line's end the share alone.
    assert transition[0, 1, 1] == pytest.approx(0.85)
    assert transition[1, 0, 1] == transition[3, 1, 1] == 0.25


def test_a_text_of_many_sure_words_has_their_share():
    score_N = np.repeat([20.0, -20.0], [90, 10])

    share_N = text_share(_words(score_N, [3] + [0] * 99), 0.0)

    # (90 + 5) / (100 + 10) = .8636, all words alike.
    assert np.ptp(share_N) == 0
    assert share_N[0] == pytest.approx(np.log(95 / 15), rel=1e-6)


def test_a_chain_comes_back_bit_for_bit():
    rng = np.random.default_rng(0)
    chain = Chain(
        stay_or_draw(rng.random(3), 0.3), -0.7, 0.61, rng.normal(size=2),
        rng.normal(size=2), rng.random(2), rng.normal(size=len(STRATA)), 0.4, 1.0, 9.0,
    )  # fmt: skip
    words = _words(rng.normal(size=50), [3] + [0] * 49)

    again = Chain.of(json.loads(json.dumps(chain.data)))

    assert again.follow(words).tobytes() == chain.follow(words).tobytes()
