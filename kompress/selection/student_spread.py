"""How much a student's score would differ if it had been trained on other documents.

K = fold students, N = words, B = score bins
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidSelection
from kompress.types import FloatArray

# The variance is smoothed over this many equal bins of the score, each shrunk towards
# all words as if by so many more words.
NUM_SCORE_BINS = 10
_SHRINK_WORDS = 20


@dataclass(frozen=True, slots=True)
class StudentSpread:
    """How much students of one recipe differ, by what one of them says.

    Each document of a round is out of the fold of one student only, so its own words
    cannot tell a variance. Texts that no fold student saw can: there all K scores are
    out of fold.

    Attributes:
        variance_B: (B,) variance of a score between students, by equal bins of the
            score.
        num_words: words that it was measured on.
    """

    variance_B: FloatArray
    num_words: int

    @classmethod
    def fit(cls, score_KN: FloatArray) -> "StudentSpread | None":
        """Measure the variance on words that none of the students saw.

        With K = 2 the students share no document and the variance is that of one fold
        student; with more they share documents and it is a lower bound.

        Args:
            score_KN: (K, N) scores of each fold student, in [0, 1].

        Returns:
            The spread; None for fewer than two students or no words.

        Raises:
            InvalidSelection: the scores are not a (K, N) array within [0, 1].

        Source: sample variance over K-fold students, binned by score: ours.
        """
        score_KN = np.asarray(score_KN, dtype=np.float64)
        inside = score_KN.ndim == 2 and ((score_KN >= 0) & (score_KN <= 1)).all()
        if not inside:
            raise InvalidSelection(
                f"scores have shape {score_KN.shape} or leave [0, 1]; expected (K, N), "
                "a row a fold student, all of the same words"
            )
        num_students, num_words = score_KN.shape
        if num_students < 2 or not num_words:
            return None
        variance_N = score_KN.var(axis=0, ddof=1)
        # By each student's own score, for a witness knows no other.
        bin_KN = _score_bin(score_KN)
        count_B = np.bincount(bin_KN.ravel(), minlength=NUM_SCORE_BINS)
        sum_B = np.bincount(
            bin_KN.ravel(),
            weights=np.tile(variance_N, num_students),
            minlength=NUM_SCORE_BINS,
        )
        prior = _SHRINK_WORDS * float(variance_N.mean())
        return cls((sum_B + prior) / (count_B + _SHRINK_WORDS), num_words)

    def variance(self, score_N: FloatArray) -> FloatArray:
        """Give the variance of scores.

        Args:
            score_N: (N,) scores of a fold student, in [0, 1].

        Returns:
            (N,) variances.
        """
        return self.variance_B[_score_bin(np.asarray(score_N, dtype=np.float64))]


def _score_bin(score: FloatArray) -> NDArray[np.int64]:
    return np.minimum((score * NUM_SCORE_BINS).astype(np.int64), NUM_SCORE_BINS - 1)
