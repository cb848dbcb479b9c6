"""Texts that are nearly the same: what tests of data and of splits ask for."""

from collections import defaultdict
from itertools import combinations

from kompress.corpora.near_duplicates import MinHasher, jaccard, shingles


def find_near_pairs(texts, threshold):
    """Give the pairs of texts, by number, that share a band and are that similar."""
    hasher = MinHasher()
    sets = [shingles(text) for text in texts]
    buckets = defaultdict(list)
    for number, text in enumerate(texts):
        for key in hasher.band_keys(text):
            buckets[key].append(number)
    met = {pair for bucket in buckets.values() for pair in combinations(bucket, 2)}
    return {(a, b) for a, b in met if jaccard(sets[a], sets[b]) >= threshold}
