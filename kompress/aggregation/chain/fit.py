"""Fit a chain: to gold along whole texts, or without any to the votes alone.

N = words, M = voters, S = strata, K = coefficients, B = boundaries, Z = truths
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from kompress.aggregation.chain.chain import (
    STATED_C,
    Chain,
    WordEvidence,
    stay_or_draw,
    text_share,
)
from kompress.aggregation.chain.forward_backward import (
    MAX_EVIDENCE,
    ChainPass,
    exp,
    run_chain,
)
from kompress.aggregation.chain.texts import text_numbers, text_starts
from kompress.types import (
    ABSTAIN,
    KEEP,
    NEW_TEXT,
    NUM_CODES,
    NUM_WITHIN,
    P_OF_CODE,
    STRATA,
    UNKNOWN,
    BoolArray,
    CodeArray,
    FloatArray,
)

# Without gold: pairs of neighbours that say nothing yet, and the most that is believed.
_STAY_PAIRS = 20.0
_MAX_STAY = 0.99
# Rows of transitions start as so many words of the usual share.
_ROW_WORDS = 3.0
# Precision of the coefficients around "the rule's evidence, and nothing else": a
# coefficient of .1 away costs half a nat (docs/log.md 2026-12-01).
_PRECISION = 100.0
_SHARE_PRECISION = 10.0
_ROUNDS = 4
_ROW_STEPS = 5


def fit_open(
    code_NM: CodeArray,
    boundary_N: CodeArray,
    *,
    share: float,
    tempering: float,
    limit: float,
) -> Chain:
    """Learn without gold how often the truth stays the same from word to word.

    Args:
        code_NM: (N, M) byte codes of whole texts.
        boundary_N: (N,) what stands before each word.
        share: of words to keep.
        tempering: of what neighbours say: errors that hang together along a text look
            like truth.
        limit: the largest log-odds that are said.

    Source: `find_stay`.
    """
    num_voters = code_NM.shape[1]
    return Chain(
        transition_BZZ=stay_or_draw(find_stay(code_NM, boundary_N), share),
        usual=float(logit(share)),
        scale=1.0,
        stated_M=np.zeros(num_voters),
        sure_M=np.zeros(num_voters),
        usual_M=np.zeros(num_voters),
        offset_S=np.zeros(len(STRATA)),
        of_text=0.0,
        tempering=tempering,
        limit=limit,
    )


def find_stay(code_NM: CodeArray, boundary_N: CodeArray) -> FloatArray:
    """Estimate how often the truth is kept from word to word, by boundary.

    Votes of two voters on one word vary together as far as both follow the truth; votes
    of two voters on neighbouring words do so times how often the truth stays. What one
    voter repeats along a text is in neither, and an error that voters share on a word
    makes the answer smaller. Votes are taken off their voter's mean in the text: that
    texts differ is no reason to follow a neighbour.

    Args:
        code_NM: (N, M) byte codes of whole texts.
        boundary_N: (N,) what stands before each word.

    Returns:
        (3,) in [0, .99]; 0 for a single voter, and near 0 after few pairs.

    Source: ours; the moments are those of a chain that stays or is drawn anew.
    """
    voted_NM = code_NM != ABSTAIN
    said_NM = np.where(voted_NM, P_OF_CODE[np.minimum(code_NM, NUM_CODES - 1)], 0.0)
    off_NM = np.where(voted_NM, said_NM - _text_means(said_NM, voted_NM, boundary_N), 0)
    same, num_same = _between_voters(off_NM, off_NM, voted_NM, voted_NM)
    stay_B = np.zeros(NUM_WITHIN)
    if same <= 0 or not num_same:
        return stay_B
    for b in range(NUM_WITHIN):
        here = np.flatnonzero(boundary_N == b)
        here = here[here > 0]
        before = here - 1
        along, num_along = _between_voters(
            off_NM[before], off_NM[here], voted_NM[before], voted_NM[here]
        )
        if num_along:
            ratio = (along / num_along) / (same / num_same)
            stay_B[b] = ratio * here.size / (here.size + _STAY_PAIRS)
    return np.clip(stay_B, 0.0, _MAX_STAY)


def _text_means(
    said_NM: FloatArray, voted_NM: BoolArray, boundary_N: CodeArray
) -> FloatArray:
    """(N, M) mean vote of each voter in the word's text."""
    start_D, text_N = text_starts(boundary_N), text_numbers(boundary_N)
    sum_DM = np.add.reduceat(said_NM, start_D, axis=0)
    votes_DM = np.add.reduceat(voted_NM.astype(np.float64), start_D, axis=0)
    mean_NM: FloatArray = (sum_DM / np.maximum(votes_DM, 1))[text_N]
    return mean_NM


def _between_voters(
    one_NM: FloatArray, other_NM: FloatArray, voted_NM: BoolArray, also_NM: BoolArray
) -> tuple[float, int]:
    """Sum products over pairs of different voters, and count them."""
    products_MM = one_NM.T @ other_NM
    pairs_MM = voted_NM.T.astype(np.float64) @ also_NM.astype(np.float64)
    np.fill_diagonal(products_MM, 0.0)
    np.fill_diagonal(pairs_MM, 0.0)
    return float(products_MM.sum()), int(pairs_MM.sum())


def fit_gold(words: WordEvidence, truth_N: CodeArray, *, scale: float) -> Chain:
    """Learn from texts with gold; words without it stand between as unknown.

    Transitions are fitted by expectation maximisation, what a word says by itself by
    the conditional likelihood of gold given the votes, in turns.

    Args:
        words: whole texts.
        truth_N: (N,) `KEEP`, `DROP` or `UNKNOWN`; some known.
        scale: what the rule's evidence counts until gold says otherwise.

    Source: conditional random fields, Lafferty et al. 2001, for what words say; the
        rule's posterior as a feature, and its shrinkage: ours.
    """
    problem = _Problem.of(words, truth_N, scale)
    theta_K = problem.start_K
    for _ in range(_ROUNDS):
        problem.fit_rows(theta_K)
        theta_K = problem.fit_coefficients(theta_K)
    num_voters = words.code_NM.shape[1]
    stated_M, sure_M, offset_S = np.split(theta_K[2:], [num_voters, 2 * num_voters])
    return Chain(
        transition_BZZ=problem.transition_BZZ,
        usual=problem.usual,
        scale=float(theta_K[0]),
        stated_M=stated_M,
        sure_M=sure_M,
        usual_M=problem.usual_M,
        offset_S=offset_S[:-1] + offset_S[-1],
        of_text=float(theta_K[1]),
        tempering=1.0,
        limit=MAX_EVIDENCE,
    )


def count_pairs(
    passed: ChainPass,
    evidence_N: FloatArray,
    boundary_N: CodeArray,
    transition_BZZ: FloatArray,
) -> FloatArray:
    """Count expected pairs of neighbouring truths, by boundary.

    Args:
        passed: of the same evidence.
        evidence_N: (N,) log-likelihood ratios.
        boundary_N: (N,) what stands before each word.
        transition_BZZ: (4, 2, 2) the transitions of the pass.

    Returns:
        (4, 2, 2) expected counts; at 3 both rows are those of first words.

    Source: Baum et al. 1970.
    """
    ratio_N = exp(np.clip(evidence_N, -MAX_EVIDENCE, MAX_EVIDENCE))
    inside = np.flatnonzero(boundary_N != NEW_TEXT)
    boundary = boundary_N[inside]
    before, after = passed.odds_N[inside - 1], (ratio_N * passed.back_N)[inside]
    step = transition_BZZ[boundary]
    pair = np.stack([
        step[:, 0, 0],
        step[:, 0, 1] * after,
        step[:, 1, 0] * before,
        step[:, 1, 1] * before * after,
    ])  # fmt: skip
    pair /= pair.sum(axis=0)
    counts = [np.bincount(boundary, weights=cell, minlength=4) for cell in pair]
    count_BZZ = np.stack(counts, axis=1).reshape(4, 2, 2).astype(np.float64)
    first_N = boundary_N == NEW_TEXT
    keep = float(expit(passed.log_odds_N[first_N]).sum())
    count_BZZ[NEW_TEXT] = [first_N.sum() - keep, keep]
    return count_BZZ


@dataclass(slots=True, eq=False)
class _Problem:
    """Texts with gold, laid out for the fit.

    Coefficients: the rule's evidence, the text's share, a vote's log-odds by voter,
    their size by voter, strata, and one for all words.
    """

    x_NK: FloatArray
    start_K: FloatArray
    precision_K: FloatArray
    usual: float
    usual_M: FloatArray
    boundary_N: CodeArray
    known_N: FloatArray
    keep_N: FloatArray
    transition_BZZ: FloatArray

    @classmethod
    def of(cls, words: WordEvidence, truth_N: CodeArray, scale: float) -> "_Problem":
        known_N = truth_N != UNKNOWN
        keep_N = truth_N == KEEP
        usual = float(logit((keep_N.sum() + 1) / (known_N.sum() + 2)))
        stated_NM = STATED_C[words.code_NM]
        voted_NM = words.code_NM != ABSTAIN
        usual_M = np.abs(stated_NM).sum(axis=0) / np.maximum(voted_NM.sum(axis=0), 1)
        size_NM = np.where(voted_NM, np.abs(stated_NM) - usual_M, 0.0)
        x_NK = np.column_stack([
            words.score_N - usual,
            text_share(words, usual),
            stated_NM,
            size_NM,
            words.stratum_N[:, None] == np.arange(len(STRATA)),
            np.ones(truth_N.size),
        ])  # fmt: skip
        x_NK[~words.heard_N] = 0.0
        start_K = np.zeros(x_NK.shape[1])
        start_K[0] = scale
        precision_K = np.full(start_K.size, _PRECISION)
        precision_K[1] = _SHARE_PRECISION
        return cls(
            x_NK,
            start_K,
            precision_K,
            usual,
            usual_M,
            words.boundary_N,
            known_N.astype(np.float64),
            keep_N.astype(np.float64),
            stay_or_draw(np.zeros(NUM_WITHIN), float(expit(usual))),
        )

    def told(self, evidence_N: FloatArray) -> FloatArray:
        """(N,) evidence with gold in the place of votes."""
        sure_N = MAX_EVIDENCE * (2 * self.keep_N - 1)
        return np.where(self.known_N > 0, sure_N, evidence_N)

    def fit_rows(self, theta_K: FloatArray) -> None:
        """Fit transitions to gold and, between it, to what is expected."""
        told_N = self.told(self.x_NK @ theta_K)
        prior_Z = _ROW_WORDS * np.array([1 - expit(self.usual), expit(self.usual)])
        for _ in range(_ROW_STEPS):
            passed = run_chain(told_N, self.boundary_N, self.transition_BZZ)
            count_BZZ = prior_Z + count_pairs(
                passed, told_N, self.boundary_N, self.transition_BZZ
            )
            self.transition_BZZ = count_BZZ / count_BZZ.sum(axis=2, keepdims=True)

    def fit_coefficients(self, theta_K: FloatArray) -> FloatArray:
        """Fit what words say by themselves, under the present transitions."""
        found = minimize(
            self._loss, theta_K, jac=True, method="L-BFGS-B", options={"maxiter": 100}
        )
        return np.asarray(found.x, dtype=np.float64)

    def _loss(self, theta_K: FloatArray) -> tuple[float, FloatArray]:
        """-log P(gold | votes) with its prior, and the gradient."""
        evidence_N = self.x_NK @ theta_K
        free = run_chain(evidence_N, self.boundary_N, self.transition_BZZ)
        told_N = self.told(evidence_N)
        fixed = run_chain(told_N, self.boundary_N, self.transition_BZZ)
        # What the clamped words' evidence was, in the place of ±30.
        moved = (self.keep_N * (evidence_N - MAX_EVIDENCE)).sum()
        off_K = theta_K - self.start_K
        loss = free.log_likelihood - fixed.log_likelihood - moved
        wrong_N = expit(free.log_odds_N) - expit(fixed.log_odds_N)
        return (
            float(loss + off_K @ (self.precision_K * off_K) / 2),
            self.x_NK.T @ wrong_N + self.precision_K * off_K,
        )
