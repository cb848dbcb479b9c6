"""Near-duplicates are found, distinct texts are not, and keys never change."""

import time
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.corpora.generators import generate
from kompress.corpora.near_duplicates import (
    MinHasher,
    group_near_duplicates,
    jaccard,
    shingles,
    signature,
)
from kompress.corpora.readers import load_sample
from kompress.errors import InvalidConfig


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

    groups = group_near_duplicates([*originals, *copies])

    assert groups == [*range(300), *range(300)]


def test_similarity_just_above_the_threshold_joins_and_just_below_does_not():
    words = [f"w{n}" for n in range(102)]
    text = " ".join(words)  # 100 shingles
    # m new words at the end: 100 of 100 + m shingles are shared.
    above = " ".join([*words, *(f"x{n}" for n in range(24))])  # 100 / 124 = 0.806
    below = " ".join([*words, *(f"y{n}" for n in range(26))])  # 100 / 126 = 0.794

    assert jaccard(shingles(text), shingles(above)) == pytest.approx(100 / 124)
    assert group_near_duplicates([text, above]) == [0, 0]
    assert group_near_duplicates([text, below]) == [0, 1]


def test_groups_close_over_chains():
    words = [f"w{n}" for n in range(122)]
    chain = [" ".join(words[:102]), " ".join(words[:112]), " ".join(words[:122])]
    # neighbours: 100 / 110 = 0.91; the ends: 100 / 120 = 0.83 > 0.8, so ask for 0.85
    assert group_near_duplicates(chain, threshold=0.85) == [0, 0, 0]
    assert group_near_duplicates([chain[0], chain[2]], threshold=0.85) == [0, 1]


def test_short_and_empty_texts_join_only_their_equals():
    texts = ["", "a", "a b", "a  b", "b", ""]

    assert group_near_duplicates(texts) == [0, 1, 2, 2, 3, 0]


def test_the_demo_corpus_is_grouped_within_two_seconds():
    texts = [d.text for d in load_sample()] + [d.text for d in generate(500, 0)]

    start = time.process_time()
    groups = group_near_duplicates(texts)

    assert time.process_time() - start < 2
    assert len(groups) == 686


@pytest.mark.slow
def test_a_corpus_of_one_template_stays_linear():
    rng = Random(0)
    base = _random_text(rng, 60)
    # J of two of them is about 0.7: they meet in many buckets and are never joined.
    texts = [f"{base} {_random_text(rng, 12)}" for _ in range(600)]

    start = time.process_time()
    groups = group_near_duplicates(texts)

    assert len(set(groups)) == 600
    assert time.process_time() - start < 5


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


def test_a_signature_is_125_minima_of_4_bytes():
    assert len(signature("a b c d e")) == 500
    assert signature("a b c") == signature("a  b\nc")


@settings(max_examples=30)
@given(st.lists(st.text(alphabet="ab ", max_size=12), max_size=8))
def test_equal_texts_share_a_group_and_numbers_rise_without_gaps(texts):
    groups = group_near_duplicates(texts)

    assert len(groups) == len(texts)
    assert list(dict.fromkeys(groups)) == list(range(len(set(groups))))
    first = {}
    for text, group in zip(texts, groups, strict=True):
        assert first.setdefault(text, group) == group


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01, float("nan")])
def test_a_threshold_outside_its_range_is_refused(threshold):
    with pytest.raises(InvalidConfig, match="expected a similarity in"):
        group_near_duplicates(["a"], threshold)
