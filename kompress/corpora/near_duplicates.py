"""Find texts that are nearly the same, so that they cannot straddle two splits.

MinHash over word shingles proposes pairs, banded so that only likely pairs meet; the
exact Jaccard similarity of the shingles decides. Hashes are stable across processes and
machines: band keys may be stored and compared with those of later uploads.

H = hash functions, S = shingles of one text, B = bands
"""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

SHINGLE_WORDS = 3
# 25 bands of 5 rows: a pair of similarity 0.8 meets with probability
# 1 - (1 - 0.8^5)^25 = 0.99995, one of 0.3 with 0.06.
NUM_BANDS = 25
ROWS_PER_BAND = 5
# A text meets at most this many others of a bucket: a corpus of one template stays
# linear.
MAX_COMPARED = 32
# Bounds the (S, H) matrix of a long text to 4 MiB.
_BLOCK = 4096

HashArray = NDArray[np.uint64]


class MinHasher:
    """MinHash signatures and band keys, the same in every process.

    Source: Broder 1997 (MinHash); bands: Leskovec, Rajaraman, Ullman, Mining of Massive
    Datasets, section 3.4; multiply-shift hashing: Dietzfelbinger et al. 1997.
    """

    def __init__(self, seed: int = 0) -> None:
        num_hashes = NUM_BANDS * ROWS_PER_BAND
        draws = np.arange(1, 2 * num_hashes + 1, dtype=np.uint64)
        mixed = _mix(draws + np.uint64(seed) * np.uint64(1 << 20))
        self._factor_H = mixed[:num_hashes] | np.uint64(1)
        self._offset_H = mixed[num_hashes:]

    def signature(self, text: str) -> HashArray:
        """Hash a text to (H,) minima; the share of equal ones estimates Jaccard."""
        minima_H = np.full(len(self._factor_H), np.iinfo(np.uint64).max)
        shingles_S = shingles(text)
        for start in range(0, len(shingles_S), _BLOCK):
            block_S1 = shingles_S[start : start + _BLOCK, None]
            hashed_SH = block_S1 * self._factor_H + self._offset_H
            # Only the high half of a multiply-shift hash is well mixed.
            hashed_SH >>= np.uint64(32)
            np.minimum(minima_H, hashed_SH.min(axis=0), out=minima_H)
        return minima_H

    def band_keys(self, text: str) -> list[int]:
        """Hash a text to B signed 64-bit keys; near-duplicates share at least one.

        A key carries its band's number, so keys of all bands fit one column (bigint)
        and one index.
        """
        rows_BR = self.signature(text).reshape(NUM_BANDS, ROWS_PER_BAND)
        keys_B = np.arange(1, NUM_BANDS + 1, dtype=np.uint64)
        for row in range(ROWS_PER_BAND):
            keys_B = _mix(keys_B ^ rows_BR[:, row])
        return [int(key) for key in keys_B.view(np.int64)]


def shingles(text: str) -> HashArray:
    """Hash a text's runs of 3 words to (S,) sorted, distinct 64-bit numbers.

    A text of fewer words is one shingle.
    """
    words = text.split()
    codes = {word: _hash_word(word) for word in set(words)}
    codes_N = np.array([codes[word] for word in words], dtype=np.uint64)
    if len(codes_N) < SHINGLE_WORDS:
        return np.array([_hash_word(" ".join(words))], dtype=np.uint64)
    num_shingles = len(codes_N) - SHINGLE_WORDS + 1
    mixed_S = np.zeros(num_shingles, dtype=np.uint64)
    for offset in range(SHINGLE_WORDS):
        mixed_S = _mix(mixed_S ^ codes_N[offset : offset + num_shingles])
    return np.unique(mixed_S)


def jaccard(first_S: HashArray, second_S: HashArray) -> float:
    """Compare two texts' `shingles`: |both| / |either|, in [0, 1].

    Source: Jaccard 1912.
    """
    both = len(np.intersect1d(first_S, second_S, assume_unique=True))
    return both / (len(first_S) + len(second_S) - both)


def _hash_word(word: str) -> int:
    digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _mix(x: HashArray) -> HashArray:
    """Scramble 64-bit numbers (splitmix64's finaliser, Steele et al. 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
