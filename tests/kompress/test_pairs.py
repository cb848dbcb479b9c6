"""Keys do not outlive their values, nor values their keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.metrics.keep_rate import keep_top
from kompress.pairs import find_pairs


def _pairs(text):
    found, words = find_pairs(text), text.split()
    whole = [" ".join(words[start:stop]) for start, stop in found.whole]
    led = [
        (" ".join(words[start:first]), " ".join(words[first:stop]))
        for start, first, stop in found.led
    ]
    return whole, led


@pytest.mark.parametrize(
    ("text", "whole", "led"),
    [
        ("  enabled: false", ["enabled: false"], []),
        ("- name: service0\n  replicas: 0", ["name: service0", "replicas: 0"], []),
        ("retries = 3", ["retries = 3"], []),
        ("size := 4 # MiB", ["size := 4"], []),
        ('{"ok": false, "n": 3}', ['{"ok": false,', '"n": 3}'], []),
        ('"msg": "no such file",', ['"msg": "no such file",'], []),
        ("pid: 12 user: root", ["pid: 12", "user: root"], []),
        ("error: no such file", [], [("error:", "no such file")]),
        ("image:\n  repository: app", ["repository: app"], []),
        ("main.c:10:5: note", [], []),
        ("12:30: started", [], []),
        ("a = b = c", ["b = c"], []),
        ("plain text", [], []),
        ("= 3", [], []),
    ],
)
def test_pairs_are_found_by_line(text, whole, led):
    assert _pairs(text) == (whole, led)


def test_the_better_word_of_a_pair_decides_for_both():
    pairs = find_pairs("x enabled: false y")
    rank_N = pairs.rank(np.array([0.1, 0.2, 0.9, 0.3]))

    # Two words follow the key: it is led by them, and lives as long as one does.
    assert rank_N.tolist() == [0.1, 0.9, 0.9, 0.3]

    pairs = find_pairs("enabled: false")
    assert pairs.rank(np.array([0.2, 0.9])).tolist() == [0.9, 0.9]
    assert pairs.rank(np.array([np.inf, 0.1])).tolist() == [np.inf, np.inf]


def test_a_rate_that_cuts_a_pair_drops_it():
    pairs = find_pairs("a: 1\nb: 2")
    rank_N = pairs.rank(np.array([0.9, 0.1, 0.8, 0.1]))
    keep_N = keep_top(rank_N, 0.75)  # three of four words

    assert keep_N.tolist() == [True, True, True, False]
    nobody_N = np.zeros(4, dtype=bool)
    assert pairs.settle(keep_N, nobody_N).tolist() == [True, True, False, False]


WORDS = st.sampled_from(["key:", "=", "name", "1", '"two', 'three"', "#", "\n", "{"])


@given(st.lists(WORDS, max_size=30), st.floats(0, 1), st.data())
def test_no_key_and_no_value_is_left_alone(words, rate, data):
    text = " ".join(words)
    num_words = len(text.split())
    score_N = np.array(
        data.draw(st.lists(st.floats(0, 1), min_size=num_words, max_size=num_words))
    )
    pairs, nobody_N = find_pairs(text), np.zeros(num_words, dtype=bool)

    chosen_N = keep_top(pairs.rank(score_N), rate)
    keep_N = pairs.settle(chosen_N, nobody_N)

    assert keep_N.sum() <= chosen_N.sum()
    for start, stop in pairs.whole:
        assert len(set(keep_N[start:stop].tolist())) == 1
    for start, first, stop in pairs.led:
        assert keep_N[start:first].any() == keep_N[first:stop].any()
