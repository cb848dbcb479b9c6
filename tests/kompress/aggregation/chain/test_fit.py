"""A chain finds the runs that it is shown, and none where there are none."""

import numpy as np
import pytest

from kompress.aggregation.chain.chain import WordEvidence
from kompress.aggregation.chain.fit import find_stay, fit_gold
from kompress.types import DROP, KEEP, UNKNOWN

SIZE, LENGTH = 6_000, 60


def _draw(seed: int, stay: float):
    """Words of which `stay` have the truth of the word before, and their votes."""
    rng = np.random.default_rng(seed)
    fresh_N = rng.random(SIZE) < 0.4
    drawn_N = rng.random(SIZE) >= stay
    drawn_N[::LENGTH] = True
    keep_N = fresh_N[np.maximum.accumulate(np.where(drawn_N, np.arange(SIZE), 0))]
    right_N = rng.random(SIZE) < 0.75
    code_N1 = np.where(keep_N == right_N, 254, 0).astype(np.uint8)[:, None]
    boundary_N = np.zeros(SIZE, dtype=np.uint8)
    boundary_N[::LENGTH] = 3
    score_N = np.where(code_N1[:, 0] > 0, 1, -1) * np.log(3)
    words = WordEvidence(
        score_N.astype(float), code_N1, np.zeros(SIZE, dtype=np.intp), boundary_N
    )
    return words, keep_N


def _votes(keep_N, right_NM):
    return np.where(keep_N[:, None] == right_NM, 254, 0).astype(np.uint8)


@pytest.mark.parametrize("stay", [0.0, 0.8])
def test_without_gold_the_votes_of_others_tell_how_often_truth_stays(stay):
    words, keep_N = _draw(0, stay)
    code_NM = _votes(keep_N, np.random.default_rng(3).random((SIZE, 3)) < 0.8)

    stay_B = find_stay(code_NM, words.boundary_N)

    # Off a text's own mean a chain of 60 words looks somewhat shorter.
    assert stay_B[0] == pytest.approx(stay, abs=0.06)
    assert stay_B[1:].tolist() == [0, 0]  # no line ends in these texts


def test_what_a_voter_repeats_along_a_text_is_no_truth():
    words, keep_N = _draw(0, 0.0)
    right_NM = np.random.default_rng(3).random((SIZE // 10, 3)) < 0.8

    stay_B = find_stay(
        _votes(keep_N, np.repeat(right_NM, 10, axis=0)), words.boundary_N
    )

    assert stay_B[0] < 0.06


def test_that_texts_differ_is_no_reason_to_follow_a_neighbour():
    rng = np.random.default_rng(4)
    words, _ = _draw(0, 0.0)
    share_N = np.repeat(rng.choice([0.1, 0.7], SIZE // LENGTH), LENGTH)
    keep_N = rng.random(SIZE) < share_N
    code_NM = _votes(keep_N, rng.random((SIZE, 3)) < 0.8)

    assert find_stay(code_NM, words.boundary_N)[0] < 0.06


def test_one_voter_alone_tells_nothing_of_neighbours():
    words, _ = _draw(0, 0.8)

    assert find_stay(words.code_NM, words.boundary_N).tolist() == [0, 0, 0]


def test_gold_along_texts_teaches_transitions_and_what_votes_are_worth():
    words, keep_N = _draw(1, 0.8)
    truth_N = np.where(keep_N, KEEP, DROP).astype(np.uint8)
    truth_N[SIZE // 3 :] = UNKNOWN
    told = slice(SIZE // 3, None)

    chain = fit_gold(words, truth_N, scale=1.0)
    decided_N = chain.follow(words) >= 0

    # P(keep | keep) = .8 + .2 · .4, P(keep | drop) = .2 · .4
    assert chain.transition_BZZ[0, :, 1] == pytest.approx([0.08, 0.88], abs=0.05)
    wrong_alone = np.mean((words.score_N >= 0)[told] != keep_N[told])
    assert np.mean(decided_N[told] != keep_N[told]) < 0.6 * wrong_alone


def test_words_without_gold_stand_between_as_unknown():
    words, keep_N = _draw(2, 0.8)
    truth_N = np.where(keep_N, KEEP, DROP).astype(np.uint8)
    truth_N[np.random.default_rng(0).random(SIZE) < 0.9] = UNKNOWN

    chain = fit_gold(words, truth_N, scale=1.0)

    assert chain.transition_BZZ[0, :, 1] == pytest.approx([0.08, 0.88], abs=0.08)
