"""A chain over the truth of a text's words, and what each word says by itself.

N = words, M = voters, C = 256 byte codes, S = strata, B = boundaries, Z = truths
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from kompress.aggregation.chain.forward_backward import (
    MAX_EVIDENCE,
    log,
    run_chain,
)
from kompress.aggregation.chain.texts import text_numbers
from kompress.types import ABSTAIN, JSON, P_OF_CODE, CodeArray, FloatArray

# A text's share of words to keep starts as so many words of the usual share.
_USUAL_WORDS = 10.0
_SHARE_STEPS = 4

# (256,) log-odds that a vote states; 0 for an abstention.
STATED_C: FloatArray = np.append(np.log(P_OF_CODE) - np.log1p(-P_OF_CODE), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class WordEvidence:
    """What a rule says of each word by itself.

    Attributes:
        score_N: (N,) log-odds of keep.
        code_NM: (N, M) the votes behind it.
        stratum_N: (N,) codes into `STRATA`.
        boundary_N: (N,) what stands before each word; 3 begins a text.
    """

    score_N: FloatArray
    code_NM: CodeArray
    stratum_N: NDArray[np.intp]
    boundary_N: CodeArray

    @property
    def heard_N(self) -> NDArray[np.bool_]:
        """(N,) whether anybody voted."""
        heard_N: NDArray[np.bool_] = (self.code_NM != ABSTAIN).any(axis=1)
        return heard_N


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """What was learned of truth along a text.

    A word's evidence is `scale` · (its log-odds less the usual ones), plus what each
    vote adds, plus its stratum's, plus `of_text` · the log-odds of its text's share of
    words to keep, less the usual ones. What the rest of the text adds to a word's own
    log-odds counts `tempering`, and log-odds stay below `limit`.

    Attributes:
        transition_BZZ: (4, 2, 2) P(truth | truth before) by boundary.
        usual: log-odds of keep of any word.
        scale: what the rule's evidence counts: errors along a text hang together.
        stated_M: (M,) what a vote's own log-odds add.
        sure_M: (M,) what the size of its log-odds adds, beside `usual_M`.
        usual_M: (M,) mean size of a voter's log-odds.
        offset_S: (S,) of each stratum.
        of_text: what the text's share counts.
        tempering: of what the rest of the text adds; 1 where gold has spoken.
        limit: the largest log-odds.
    """

    transition_BZZ: FloatArray
    usual: float
    scale: float
    stated_M: FloatArray
    sure_M: FloatArray
    usual_M: FloatArray
    offset_S: FloatArray
    of_text: float
    tempering: float
    limit: float

    @property
    def data(self) -> JSON:
        """Everything that was learned."""
        return {
            "transition": self.transition_BZZ.tolist(),
            "usual": self.usual,
            "scale": self.scale,
            "stated": self.stated_M.tolist(),
            "sure": self.sure_M.tolist(),
            "mean_size": self.usual_M.tolist(),
            "offset": self.offset_S.tolist(),
            "of_text": self.of_text,
            "tempering": self.tempering,
            "limit": self.limit,
        }

    @classmethod
    def of(cls, data: JSON) -> "Chain":
        """Read `data`, bit for bit."""
        return cls(
            np.array(data["transition"]),
            float(data["usual"]),
            float(data["scale"]),
            np.array(data["stated"]),
            np.array(data["sure"]),
            np.array(data["mean_size"]),
            np.array(data["offset"]),
            float(data["of_text"]),
            float(data["tempering"]),
            float(data["limit"]),
        )

    def follow(self, words: WordEvidence) -> FloatArray:
        """Give the log-odds of each word given its whole text.

        Args:
            words: what is said of each by itself.

        Returns:
            (N,) log-odds. A text's do not depend on the texts beside it, bit for bit.

        Source: `Chain`; forward-backward, Rabiner 1989.
        """
        evidence_N = self.evidence(words)
        passed = run_chain(evidence_N, words.boundary_N, self.transition_BZZ)
        along_N = passed.log_odds_N
        if self.tempering < 1:
            alone_N = evidence_N + self.usual
            along_N = alone_N + self.tempering * (along_N - alone_N)
        if self.limit >= MAX_EVIDENCE:
            return along_N
        # Softly, so that surer words stay surer: x / (1 + (x/limit)^4)^(1/4).
        square_N = np.square(along_N / self.limit)
        bounded_N: FloatArray = along_N / np.sqrt(np.sqrt(1 + square_N * square_N))
        return bounded_N

    def evidence(self, words: WordEvidence) -> FloatArray:
        """(N,) what each word says by itself, as the chain counts it."""
        total_N = self.scale * (words.score_N - self.usual)
        if self.of_text:
            total_N += self.of_text * text_share(words, self.usual)
        if self.stated_M.any() or self.sure_M.any() or self.offset_S.any():
            for m, code_N in enumerate(words.code_NM.T):
                size_C = np.abs(STATED_C) - self.usual_M[m]
                size_C[ABSTAIN] = 0.0
                added_C = self.stated_M[m] * STATED_C + self.sure_M[m] * size_C
                total_N += added_C[code_N]
            total_N += self.offset_S[words.stratum_N]
        total_N[~words.heard_N] = 0.0
        return total_N


def text_share(words: WordEvidence, usual: float) -> FloatArray:
    """Give the log-odds of a text's share of words to keep, less the usual ones.

    The share is found by expectation maximisation, from as many words of the usual
    share as `_USUAL_WORDS`.

    Args:
        words: what is said of each by itself.
        usual: log-odds of the usual share.

    Returns:
        (N,) the same for all words of a text.

    Source: empirical Bayes of a mixing proportion; Dempster et al. 1977.
    """
    text_N = text_numbers(words.boundary_N)
    # `bincount` adds in the order of the words: a text's sum is its own.
    size_D = np.bincount(text_N).astype(np.float64)
    prior = _USUAL_WORDS * float(expit(usual))
    shift_D = np.zeros(size_D.size)
    for _ in range(_SHARE_STEPS):
        keep_N = expit(words.score_N + shift_D[text_N])
        share_D = (np.bincount(text_N, weights=keep_N) + prior) / (
            size_D + _USUAL_WORDS
        )
        shift_D = log(share_D / (1 - share_D)) - usual
    share_N: FloatArray = shift_D[text_N]
    return share_N


def stay_or_draw(stay_B: FloatArray, share: float) -> FloatArray:
    """Lay out transitions that keep the truth, or else draw it anew.

    Args:
        stay_B: (3,) how often the truth is kept, by boundary inside a text.
        share: of words to keep.

    Returns:
        (4, 2, 2) transitions.

    Source: ours.
    """
    drawn_Z = np.array([1 - share, share])
    transition_BZZ = np.empty((4, 2, 2))
    for b, stay in enumerate(np.append(stay_B, 0.0)):
        transition_BZZ[b] = stay * np.eye(2) + (1 - stay) * drawn_Z
    return transition_BZZ
