"""A world: how truth and votes come about, and what is known of a word given its votes.

N = words, M = voters, S = strata, T = truths (drop, keep), C = byte codes with the
abstention
"""

from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from kompress.types import ABSTAIN, BoolArray, CodeArray, FloatArray

NUM_GOLD = 1_000


@dataclass(frozen=True, slots=True)
class Family:
    """Voters whose votes on a word hang together beyond the truth.

    Attributes:
        voters: their columns; they share one table.
        kind: `copies`: with probability rho a word's votes are one draw, else each
            voter draws alone. `common`: a hidden draw stands behind every word, and
            each voter by itself repeats it with probability sqrt(rho): any two votes
            have correlation rho given the truth. Votes are missing for each alone.
        rho: in [0, 1].

    Source: `common`: Lunn & Davies 1998, section 2; `copies`: ours.
    """

    voters: tuple[int, ...]
    kind: Literal["copies", "common"]
    rho: float


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Voters and what they look at.

    Attributes:
        size_S: (S,) words of each stratum.
        prevalence_S: (S,) P(keep) of each stratum.
        table_MSTC: (M, S, T, C) masses of byte codes.
        families: disjoint families; everybody else votes alone.
        hard_share: share of words that are hard, whatever their stratum and truth.
        hard_MSTC: (M, S, T, C) masses on hard words, None for the same.
    """

    size_S: NDArray[np.int64]
    prevalence_S: FloatArray
    table_MSTC: FloatArray
    families: tuple[Family, ...] = ()
    hard_share: float = 0.0
    hard_MSTC: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A stretch of a corpus on which nothing changes.

    Attributes:
        panel: what votes there.
        round: the round that it belongs to; each is fitted by itself.
    """

    panel: Panel
    round: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """One corpus with its votes.

    Attributes:
        code_NM: (N, M) byte codes of the votes, 255 where there is none.
        strength_M: (M,) samples behind a vote.
        stratum_N: (N,) codes into `kompress.types.STRATA`.
        truth_N: (N,) whether the word is to be kept.
        gold_N: (N,) words whose truth a rule that learns is told; never scored.
        round_N: (N,) round of each word.
        bayes_N: (N,) P(keep | the word's votes, the world's own parameters).
        notes: what a reader of the table should know.
    """

    code_NM: CodeArray
    strength_M: FloatArray
    stratum_N: CodeArray
    truth_N: BoolArray
    gold_N: BoolArray
    round_N: NDArray[np.int64]
    bayes_N: FloatArray
    notes: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """A named generator.

    Attributes:
        name: what the table calls it.
        segments: the corpus, stretch by stretch.
        notes: one sentence: what is hard here.
        strength: samples behind every vote.
        num_gold: words of calibration gold, drawn at random over the corpus.
        with_gold: '' if the truth can be found with that gold, else why not.
        without_gold: '' if it can be found from the votes alone, else why not.
        wrong_stratum: a stratum on which all voters are wrong, -1 for none.
        wrong_gold: of the gold, words in that stratum.
    """

    name: str
    segments: tuple[Segment, ...]
    notes: str
    strength: float = 1.0
    num_gold: int = NUM_GOLD
    with_gold: str = ""
    without_gold: str = ""
    wrong_stratum: int = -1
    wrong_gold: int = 0

    def is_identifiable(self, *, gold: bool) -> bool:
        """Whether the truth can be found, with the world's gold or with none."""
        return not (self.with_gold if gold else self.without_gold)

    def make(self, seed: int) -> Draw:
        """Draw a corpus: the same seed gives the same bytes.

        Args:
            seed: whole number >= 0; worlds draw apart under one seed.

        Returns:
            The draw, its words in random order within a segment.

        Source: ours.
        """
        rng = np.random.default_rng([crc32(self.name.encode()), seed])
        parts = [_draw_panel(segment.panel, rng) for segment in self.segments]
        stratum_N, truth_N, code_NM, bayes_N = (
            np.concatenate(part) for part in zip(*parts, strict=True)
        )
        rounds = [segment.round for segment in self.segments]
        return Draw(
            code_NM,
            np.full(code_NM.shape[1], self.strength),
            stratum_N,
            truth_N,
            self._choose_gold(stratum_N, rng),
            np.repeat(rounds, [len(part[0]) for part in parts]),
            bayes_N,
            self.notes,
        )

    def _choose_gold(self, stratum_N: CodeArray, rng: np.random.Generator) -> BoolArray:
        gold_N = np.zeros(len(stratum_N), dtype=np.bool_)
        if self.wrong_stratum < 0:
            gold_N[rng.choice(len(gold_N), self.num_gold, replace=False)] = True
            return gold_N
        inside = np.flatnonzero(stratum_N == self.wrong_stratum)
        outside = np.flatnonzero(stratum_N != self.wrong_stratum)
        gold_N[rng.choice(inside, self.wrong_gold, replace=False)] = True
        rest = self.num_gold - self.wrong_gold
        gold_N[rng.choice(outside, rest, replace=False)] = True
        return gold_N


def find_posterior(
    panel: Panel, code_NM: CodeArray, stratum_N: CodeArray
) -> FloatArray:
    """Compute P(keep | votes) of words by the world's own parameters.

    Args:
        panel: prevalences, tables and families.
        code_NM: (N, M) byte codes that the panel can produce.
        stratum_N: (N,) codes below S.

    Returns:
        (N,) probabilities, exact: given the truth, families and lone voters are
        independent, and within a family the hidden draw is summed out, as is whether
        a word is hard.

    Source: Bayes' rule.
    """
    log_NT = _log_mass(panel.table_MSTC, panel.families, code_NM, stratum_N)
    if panel.hard_MSTC is not None:
        hard_NT = _log_mass(panel.hard_MSTC, panel.families, code_NM, stratum_N)
        log_NT = np.logaddexp(
            np.log(1 - panel.hard_share) + log_NT, np.log(panel.hard_share) + hard_NT
        )
    prior_N = panel.prevalence_S[stratum_N]
    posterior_N: FloatArray = expit(logit(prior_N) + log_NT[:, 1] - log_NT[:, 0])
    return posterior_N


def _log_mass(
    table_MSTC: FloatArray,
    families: tuple[Family, ...],
    code_NM: CodeArray,
    stratum_N: CodeArray,
) -> FloatArray:
    """(N, T) ln P(a word's votes | truth)."""
    log_NT = np.zeros((len(code_NM), 2))
    grouped = {m for family in families for m in family.voters}
    for m in range(code_NM.shape[1]):
        if m not in grouped:
            log_NT += np.log(table_MSTC[m, stratum_N, :, code_NM[:, m]])
    for family in families:
        columns = list(family.voters)
        code_NF = code_NM[:, columns]
        voted_NF = code_NF != ABSTAIN
        for t in (0, 1):
            mass_NF = np.stack(
                [table_MSTC[m, stratum_N, t, code_NM[:, m]] for m in columns], axis=1
            )
            heard_NF = 1 - table_MSTC[columns, :, t, ABSTAIN].T[stratum_N]
            said_NF = np.where(voted_NF, mass_NF / heard_NF, 1.0)
            silence_N = np.where(voted_NF, heard_NF, mass_NF).prod(axis=1)
            mass_N = silence_N * _family_mass(family, said_NF, code_NF)
            log_NT[:, t] += np.log(mass_N)
    return log_NT


def _family_mass(family: Family, said_NF: FloatArray, code_NF: CodeArray) -> FloatArray:
    """P(what a family says | truth, who votes); F = its voters, 1 for the silent."""
    voted_NF = code_NF != ABSTAIN
    if family.kind == "copies":
        first_N1 = voted_NF.argmax(axis=1)[:, None]
        repeats_NF = code_NF == np.take_along_axis(code_NF, first_N1, axis=1)
        equal_N = (repeats_NF | ~voted_NF).all(axis=1)
        copied_N = equal_N * np.take_along_axis(said_NF, first_N1, axis=1)[:, 0]
        alone_N = said_NF.prod(axis=1)
        mass_N: FloatArray = family.rho * copied_N + (1 - family.rho) * alone_N
        return mass_N
    # The hidden draw is one of the codes that were cast, each counted once, or none.
    lean = np.sqrt(family.rho)
    total_N = np.zeros(len(code_NF))
    seen_N = np.zeros(len(code_NF))
    for f in range(code_NF.shape[1]):
        is_new_N = (code_NF[:, :f] != code_NF[:, f : f + 1]).all(axis=1)
        hidden_N = is_new_N * voted_NF[:, f] * said_NF[:, f]
        repeats_NF = code_NF == code_NF[:, f : f + 1]
        given_NF = lean * repeats_NF + (1 - lean) * said_NF
        total_N += hidden_N * np.where(voted_NF, given_NF, 1.0).prod(axis=1)
        seen_N += hidden_N
    # 1 - seen is 0 but for rounding where all codes that have mass were cast.
    rest_N = np.maximum(1 - seen_N, 0)
    total_N += rest_N * np.where(voted_NF, (1 - lean) * said_NF, 1.0).prod(axis=1)
    return total_N


def _draw_panel(
    panel: Panel, rng: np.random.Generator
) -> tuple[CodeArray, BoolArray, CodeArray, FloatArray]:
    """Strata, truth, votes and posterior of one segment's words."""
    stratum_N = rng.permutation(np.repeat(np.arange(panel.size_S.size), panel.size_S))
    stratum_N = stratum_N.astype(np.uint8)
    truth_N = rng.random(stratum_N.size) < panel.prevalence_S[stratum_N]
    num_voters = len(panel.table_MSTC)
    code_NM = np.empty((stratum_N.size, num_voters), dtype=np.uint8)
    for m in range(num_voters):
        code_NM[:, m] = _draw_codes(panel.table_MSTC[m], stratum_N, truth_N, rng)
    if panel.hard_MSTC is not None:
        hard_N = rng.random(stratum_N.size) < panel.hard_share
        for m in range(num_voters):
            code_N = _draw_codes(panel.hard_MSTC[m], stratum_N, truth_N, rng)
            code_NM[hard_N, m] = code_N[hard_N]
    for family in panel.families:
        columns = list(family.voters)
        table_STC = panel.table_MSTC[columns[0]].copy()
        table_STC[..., ABSTAIN] = 0
        one_N = _draw_codes(table_STC, stratum_N, truth_N, rng)
        shape = (stratum_N.size, len(columns))
        if family.kind == "copies":
            repeat_NF = np.broadcast_to(rng.random((shape[0], 1)) < family.rho, shape)
        else:
            repeat_NF = rng.random(shape) < np.sqrt(family.rho)
        repeat_NF = repeat_NF & (code_NM[:, columns] != ABSTAIN)
        code_NM[:, columns] = np.where(repeat_NF, one_N[:, None], code_NM[:, columns])
    return stratum_N, truth_N, code_NM, find_posterior(panel, code_NM, stratum_N)


def _draw_codes(
    table_STC: FloatArray,
    stratum_N: CodeArray,
    truth_N: BoolArray,
    rng: np.random.Generator,
) -> CodeArray:
    """One voter's codes by inverting the distribution function of each table row."""
    uniform_N = rng.random(stratum_N.size)
    code_N = np.empty(stratum_N.size, dtype=np.uint8)
    for s in range(len(table_STC)):
        for t in (0, 1):
            here_N = (stratum_N == s) & (truth_N == bool(t))
            row_C = table_STC[s, t]
            reached_C = np.cumsum(row_C) / row_C.sum()
            # "right" steps over codes without mass, also where u is 0.
            found = np.searchsorted(reached_C, uniform_N[here_N], side="right")
            code_N[here_N] = np.minimum(found, ABSTAIN)
    return code_N
