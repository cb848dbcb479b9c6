"""Near-duplicates share a band, distinct texts do not, and keys never change."""

import time
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.corpora.generators import generate
from kompress.corpora.near_duplicates import MinHasher, jaccard, shingles
from kompress.corpora.readers import load_sample
from tests.kompress.corpora.near_pairs import find_near_pairs


def _random_text(rng: Random, num_words: int) -> str:
    return " ".join(f"w{rng.randrange(5000)}" for _ in range(num_words))


def _with_one_word_changed(text: str, rng: Random) -> str:
    words = text.split()
    words[rng.randrange(len(words))] = "changed"
    return " ".join(words)


def test_every_planted_pair_is_found_and_nothing_else():
    rng = Random(0)
    originals = [_random_text(rng, 200) for _ in range(300)]
    # One changed word of 200 touches 3 of 198 shingles: J >= 195 / 201 = 0.97.
    copies = [_with_one_word_changed(text, rng) for text in originals]

    pairs = find_near_pairs([*originals, *copies], 0.8)

    assert pairs == {(n, n + 300) for n in range(300)}


def test_similarity_is_told_on_either_side_of_a_threshold():
    words = [f"w{n}" for n in range(102)]
    text = " ".join(words)  # 100 shingles
    # m new words at the end: 100 of 100 + m shingles are shared.
    above = " ".join([*words, *(f"x{n}" for n in range(24))])  # 100 / 124 = 0.806
    below = " ".join([*words, *(f"y{n}" for n in range(26))])  # 100 / 126 = 0.794

    assert jaccard(shingles(text), shingles(above)) == pytest.approx(100 / 124)
    assert find_near_pairs([text, above, below], 0.8) == {(0, 1)}


def test_short_and_empty_texts_are_near_only_their_equals():
    texts = ["", "a", "a b", "a  b", "b", ""]

    assert find_near_pairs(texts, 0.8) == {(0, 5), (2, 3)}


def test_the_demo_corpus_is_hashed_within_two_seconds():
    texts = [d.text for d in load_sample()] + [d.text for d in generate(500, 0)]
    hasher = MinHasher()

    start = time.process_time()
    keys = [hasher.band_keys(text) for text in texts]

    assert time.process_time() - start < 2
    assert len(keys) == 686


def test_band_keys_are_the_same_in_every_process_and_fit_bigint():
    keys = MinHasher().band_keys("the quick brown fox jumps over the lazy dog")

    assert keys[:2] == [-3542461906466709987, 2728877552087289627]
    assert len(keys) == 25
    assert all(-(2**63) <= key < 2**63 for key in keys)


def test_near_duplicates_share_a_band_key():
    rng = Random(1)
    text = _random_text(rng, 200)
    hasher = MinHasher()

    shared = set(hasher.band_keys(text)) & set(
        hasher.band_keys(_with_one_word_changed(text, rng))
    )

    assert shared
    assert not set(hasher.band_keys(text)) & set(
        hasher.band_keys(_random_text(rng, 200))
    )


def test_equal_minima_estimate_the_similarity():
    words = [f"w{n}" for n in range(402)]
    first, second = " ".join(words[:302]), " ".join(words[100:402])
    # 200 of 400 shingles: J = 0.5; sd of 125 draws is sqrt(.25 / 125) = 0.045
    hasher = MinHasher()

    share = (hasher.signature(first) == hasher.signature(second)).mean()

    assert abs(share - 0.5) < 0.135


@settings(max_examples=30)
@given(st.lists(st.text(alphabet="ab ", max_size=12), max_size=8))
def test_texts_of_equal_words_share_every_band(texts):
    hasher = MinHasher()

    keys = {" ".join(text.split()): hasher.band_keys(text) for text in texts}

    assert all(keys[" ".join(text.split())] == hasher.band_keys(text) for text in texts)
