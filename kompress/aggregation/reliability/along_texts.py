"""The default rule: as much as gold, or else the joint votes, give reason for.

What each voter is worth, `reliability.rule` learns; here it is decided how far that is
believed, and what a word's neighbours add.

N = words, M = voters, S = strata, A = answers (the modest one, of all words, of gold
words)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompress.aggregation.chain.chain import Chain, WordEvidence
from kompress.aggregation.chain.fit import fit_gold, fit_open
from kompress.aggregation.chain.forward_backward import exp, log
from kompress.aggregation.chain.texts import (
    MAX_OPEN_WORDS,
    OrderedTexts,
    text_starts,
)
from kompress.aggregation.learned import Learned
from kompress.aggregation.patterns import (
    VotePatterns,
    count_patterns,
    merge_patterns,
)
from kompress.aggregation.reliability.common_vote import common_vote
from kompress.aggregation.reliability.copies import (
    find_copies,
    groups_of,
    join_copies,
)
from kompress.aggregation.reliability.goodness_of_fit import check_fit
from kompress.aggregation.reliability.held_out import choose_mix, folds, is_enough
from kompress.aggregation.reliability.rule import (
    Reliability,
    ReliabilityFit,
    spread_words,
)
from kompress.aggregation.rules.plain import Uniform
from kompress.aggregation.votes import read_boundary, read_stratum, read_votes
from kompress.config import NEWEST_RELIABILITY
from kompress.errors import InvalidConfig, InvalidVotes
from kompress.types import (
    ABSTAIN,
    JSON,
    KEEP,
    UNKNOWN,
    CodeArray,
    FloatArray,
    Posterior,
)

VERSION = NEWEST_RELIABILITY
# A chain of voters who err together along a text: without gold its log-odds count so
# much, and until gold says otherwise the rule's evidence does (docs/log.md 2026-12-01).
DOUBTED = 0.6
_VOTES, _ALL, _GOLD = range(3)
# Log-odds that a fit may give where the plain mean is in two minds: P = .55.
_LEAST_SAID = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class AlongTextsFit:
    """What `AlongTexts` learned of M voters.

    Attributes:
        groups: columns of voters that count as one in the votes' plain mean.
        all_words: what joint votes and gold tell of the voters.
        gold_words: what gold alone tells; None without enough of it.
        mix_A: (A,) what the modest answer and these two count.
        doubt: why `all_words` is not asked without gold; None if it is.
        chain: truth along a text; None where no texts were told.
    """

    groups: tuple[tuple[int, ...], ...]
    all_words: ReliabilityFit
    gold_words: ReliabilityFit | None
    mix_A: FloatArray
    doubt: str | None
    chain: Chain | None

    @property
    def believed(self) -> ReliabilityFit:
        """What is believed of the voters: by gold where that counts more."""
        if self.gold_words is not None and self.mix_A[_GOLD] > self.mix_A[_ALL]:
            return self.gold_words
        return self.all_words

    @property
    def is_open(self) -> bool:
        """Whether the fit is asked which way, and no gold says how surely."""
        return self.doubt is None and bool(self.mix_A[_VOTES] == 1)

    @property
    def sensitivity_SM(self) -> FloatArray:
        """(S, M) P(keep | to keep), posterior mean; NaN for who never voted."""
        return self.believed.sensitivity_SM

    @property
    def specificity_SM(self) -> FloatArray:
        """(S, M) P(drop | to drop), posterior mean; NaN for who never voted."""
        return self.believed.specificity_SM

    @property
    def families(self) -> tuple[tuple[int, ...], ...]:
        """Columns of voters that count as one family, copies included."""
        return self.all_words.families

    @property
    def undetectable(self) -> tuple[str, ...]:
        """Strata with votes and without gold."""
        return self.all_words.undetectable

    @property
    def data(self) -> JSON:
        """Everything that was learned."""
        return {
            "version": VERSION,
            "num_voters": self.all_words.pool.num_voters,
            "undetectable": list(self.undetectable),
            "groups": [list(group) for group in self.groups],
            "mix": self.mix_A.tolist(),
            "doubt": self.doubt,
            "all_words": self.all_words.data,
            "gold_words": self.gold_words and self.gold_words.data,
            "chain": self.chain and self.chain.data,
        }

    @classmethod
    def of(cls, data: JSON) -> "AlongTextsFit":
        """Read `data`, bit for bit."""
        gold, chain = data["gold_words"], data["chain"]
        return cls(
            tuple(tuple(group) for group in data["groups"]),
            ReliabilityFit.of(data["all_words"]),
            None if gold is None else ReliabilityFit.of(gold),
            np.array(data["mix"]),
            data["doubt"],
            None if chain is None else Chain.of(chain),
        )

    def aggregate(
        self,
        p_NM: ArrayLike,
        strength: ArrayLike,
        stratum_N: ArrayLike,
        boundary_N: ArrayLike | None = None,
    ) -> Posterior:
        """Pool raw votes of the same voters, along texts where these are told.

        Args:
            p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes.
            strength: (M,) or (N, M) samples behind each vote.
            stratum_N: (N,) codes into `STRATA`.
            boundary_N: (N,) what stands before each word: 0 nothing, 1 a line's end, 2
                a blank line, 3 the text's beginning. None: words are independent.

        Returns:
            The posterior. Without boundaries no vote at all gives Beta(1, 1); along a
            text it gives what the neighbours say, as little known as Beta(1, 1).

        Raises:
            InvalidVotes: a shape, a probability, a strength, a stratum or a boundary is
                wrong.

        Source: `AlongTexts`.
        """
        code_NM, strengths, stratum = read_votes(p_NM, strength, stratum_N)
        if boundary_N is None:
            return self._mix(code_NM, strengths, stratum)
        boundary = read_boundary(boundary_N, len(code_NM))
        if self.chain is None or not boundary.size:
            return self._mix(code_NM, strengths, stratum)
        if self.is_open:
            # Along a text evidence has to be what it is; the chain limits what is said.
            told = self.all_words.aggregate(code_NM, strengths, stratum)
            alone = be_modest(told, plain_mean(code_NM, stratum, self.groups))
        else:
            alone = told = self._mix(code_NM, strengths, stratum)
        words = WordEvidence(_log_odds(told), code_NM, stratum, boundary)
        return _with_log_odds(alone, self.chain.follow(words))

    def _mix(
        self, code_NM: CodeArray, strengths: FloatArray, stratum_N: NDArray[np.intp]
    ) -> Posterior:
        """Pool word by word; an answer that counts nothing is not asked for."""
        answers = [
            (weight, self._answer(a, code_NM, strengths, stratum_N))
            for a, weight in enumerate(self.mix_A)
            if weight > 0
        ]
        if len(answers) == 1:
            return answers[0][1]
        score_N = sum(weight * _log_odds(found) for weight, found in answers)
        variance_N = sum(weight * _variance(found) for weight, found in answers)
        first = max(answers, key=lambda answer: answer[0])[1]
        return _posterior(score_N, variance_N, first.weight_SM)

    def _answer(
        self,
        number: int,
        code_NM: CodeArray,
        strengths: FloatArray,
        stratum_N: NDArray[np.intp],
    ) -> Posterior:
        if number == _VOTES:
            plain = plain_mean(code_NM, stratum_N, self.groups)
            if self.doubt:
                return plain
            return be_modest(
                self.all_words.aggregate(code_NM, strengths, stratum_N), plain
            )
        learned = self.gold_words if number == _GOLD else self.all_words
        if learned is None:
            raise InvalidVotes("the stored fit weighs gold, but holds no fit to it")
        return learned.aggregate(code_NM, strengths, stratum_N)


def be_modest(fitted: Posterior, plain: Posterior) -> Posterior:
    """Say what a fit says, no surer than the votes' plain mean.

    Args:
        fitted: of a fit without gold.
        plain: of `plain_mean`, on the same words.

    Source: ours; docs/adr/0027-modest-without-gold.md.
    """
    most_N = np.maximum(np.abs(_log_odds(plain)), _LEAST_SAID)
    score_N = np.clip(_log_odds(fitted), -most_N, most_N)
    return _posterior(score_N, _variance(plain), fitted.weight_SM)


def plain_mean(
    code_NM: CodeArray, stratum_N: NDArray[np.intp], groups: Sequence[tuple[int, ...]]
) -> Posterior:
    """Pool by `Uniform`, copies having one vote.

    Args:
        code_NM: (N, M) byte codes.
        stratum_N: (N,) codes into `STRATA`.
        groups: columns that count as one; others count by themselves.

    Source: `Uniform`; copies: ours.
    """
    heads = {group[0]: group for group in groups if len(group) > 1}
    weight_M = np.ones(code_NM.shape[1])
    if heads:
        code_NM = code_NM.copy()
        for head, group in heads.items():
            code_NM[:, head] = common_vote(code_NM.T, group)
            code_NM[:, list(group[1:])] = ABSTAIN
            weight_M[list(group)] = 1 / len(group)
    found = Uniform().aggregate(code_NM, np.ones(code_NM.shape[1]), stratum_N)
    weight_SM = found.weight_SM.copy()
    for head, group in heads.items():
        weight_SM[:, list(group)] = weight_SM[:, [head]] / len(group)
    return Posterior(found.alpha_N, found.beta_N, weight_SM)


@dataclass(frozen=True, slots=True)
class AlongTexts:
    """Voters weighed by how far they can be believed, along texts.

    1. `Reliability` is fitted to all words. Where its model explains how the votes fall
       together (`goodness_of_fit`), it says of each word which way it is; else, and the
       reason is kept in `data`, the votes' plain mean does (`Uniform`, copies having
       one vote).
    2. Without gold nothing is surer than that plain mean: an error that all voters
       share looks like truth.
    3. With gold, the log-odds of this answer, of `Reliability` fitted to all words and,
       in doubt, of `Reliability` fitted to gold words alone are mixed by the weights
       that lose least on gold held out, by document group.
    4. Where boundaries are told, a two-state chain runs along each text: transitions by
       boundary, and how much a word's own evidence counts, are learned from texts with
       gold (`chain.fit`). Without gold the truth stays or is drawn anew, and the
       chain's log-odds count .6.
    5. The posterior is a Beta with the chain's mean; its spread in log-odds is that of
       the word by itself: what the neighbours say may be wrong in the same way.

    Attributes:
        version: 1 is `Reliability` alone, word by word, for loops that began with it.

    Source: steps 1 and 4: see there; sequences of votes: HMM-Crowd, Nguyen et al. 2017,
        and Bayesian sequence combination, Simpson & Gurevych 2019; steps 2, 3 and 5:
        ours.
    """

    version: int = VERSION
    properties: ClassVar[frozenset[str]] = Reliability.properties
    _words: Reliability = field(default_factory=Reliability, init=False, repr=False)

    def __post_init__(self) -> None:
        value: object = self.version  # a config may hold anything
        if isinstance(value, bool) or value not in (1, VERSION):
            raise InvalidConfig(
                f"reliability: version is {value!r}; expected 1 or {VERSION}"
            )

    def fit(self, patterns: VotePatterns) -> Learned:
        """Learn from joint votes.

        Args:
            patterns: raw votes; gold among them is observed truth.

        Returns:
            What was learned; bit for bit the same for the same patterns.
        """
        if self.version == 1:
            return self._words.fit(patterns)
        copies = find_copies(patterns)
        groups = tuple(groups_of(copies).values())
        all_words = self._words.fit(patterns)
        doubt = check_fit(
            patterns, all_words.pool, all_words.prevalence_S, copies
        ).doubt
        gold_words, mix_A = None, np.eye(3)[_VOTES]
        if is_enough(patterns):
            mix_A = self._choose_mix(patterns, copies, doubt)
        if mix_A[_GOLD] > 0:
            gold_words = self._words.fit(_gold(patterns))
        alone = AlongTextsFit(groups, all_words, gold_words, mix_A, doubt, None)
        if patterns.texts is None:
            return alone
        chain = fit_chain(alone, patterns.texts, patterns.strength_M)
        return replace(alone, chain=chain)

    def load(self, data: JSON) -> Learned:
        """Bring back what a fit's `data` laid out, of whichever version."""
        if data.get("version", 1) == 1:
            return ReliabilityFit.of(data)
        return AlongTextsFit.of(data)

    def aggregate(
        self,
        p_NM: ArrayLike,
        strength: ArrayLike,
        stratum_N: ArrayLike,
        boundary_N: ArrayLike | None = None,
    ) -> Posterior:
        """Fit to these words, without gold, and pool them.

        Args:
            p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes; read
                as byte codes in any case.
            strength: (M,) or (N, M) samples behind each vote.
            stratum_N: (N,) codes into `STRATA`.
            boundary_N: (N,) what stands before each word; None: words are independent.

        Returns:
            The posterior; see `AlongTextsFit.aggregate`.

        Raises:
            InvalidVotes: a shape, a probability, a strength, a stratum or a boundary is
                wrong.

        Source: see the class.
        """
        votes_NM, strengths = np.asarray(p_NM), np.asarray(strength)
        stratum = read_stratum(stratum_N, len(votes_NM))
        some = spread_words(stratum)
        patterns = _count(votes_NM, strengths, stratum, some)
        learned: Any = self.fit(patterns)
        if self.version == 1 or boundary_N is None:
            found: Posterior = learned.aggregate(votes_NM, strengths, stratum)
            return found
        boundary = read_boundary(boundary_N, len(votes_NM))
        own = _spread_texts(boundary)
        texts = _count(votes_NM, strengths, stratum, own, boundary[own]).texts
        if texts is not None and boundary.size:
            chain = fit_chain(learned, texts, patterns.strength_M)
            learned = replace(learned, chain=chain)
        along: Posterior = learned.aggregate(votes_NM, strengths, stratum, boundary)
        return along

    def _choose_mix(
        self, patterns: VotePatterns, copies: dict[int, int], doubt: str | None
    ) -> FloatArray:
        """Weigh the answers by what each says of gold it has not seen."""
        groups = tuple(groups_of(copies).values())
        told, keep, count = [], [], []
        for rest, held in folds(one_voice(patterns, copies)):
            if not is_enough(rest):
                continue
            stratum_P = held.stratum_P.astype(np.intp)
            fits = [self._words.fit(rest)]
            if doubt:
                fits.append(self._words.fit(_gold(rest)))
            answers = [
                found.aggregate(held.code_PM, found.pool.strength_M, stratum_P)
                for found in fits
            ]
            plain = plain_mean(held.code_PM, stratum_P, groups)
            answers.insert(0, plain if doubt else be_modest(answers[0], plain))
            told.append(np.stack([_log_odds(answer) for answer in answers]))
            keep.append(held.truth_P == KEEP)
            count.append(held.count_P)
        mix_A: FloatArray = np.eye(3)[_VOTES]
        if told:
            score_AP = np.concatenate(told, axis=1)
            chosen = choose_mix(score_AP, np.concatenate(keep), np.concatenate(count))
            mix_A = np.pad(chosen, (0, 3 - chosen.size))
        return mix_A


def fit_chain(
    alone: AlongTextsFit, texts: OrderedTexts, strength_M: FloatArray
) -> Chain | None:
    """Fit the chain on top of what is said of each word by itself.

    Args:
        alone: what was learned so far.
        texts: with gold, and others.
        strength_M: (M,) samples behind a usual vote.

    Returns:
        None where there is no text.

    Source: `AlongTexts`, step 4.
    """
    if not texts.boundary_N.size:
        return None
    known = np.unique(texts.truth_N[texts.known_N])
    if known.size < 2:
        return _open_chain(alone, texts)
    own = texts.take(texts.has_gold_N)
    posterior = alone.aggregate(own.code_NM, strength_M, own.stratum_N)
    words = WordEvidence(
        _log_odds(posterior),
        own.code_NM,
        own.stratum_N.astype(np.intp),
        own.boundary_N,
    )
    return fit_gold(words, own.truth_N, scale=DOUBTED if alone.doubt else 1.0)


def _open_chain(alone: AlongTextsFit, texts: OrderedTexts) -> Chain:
    """Fit a chain without gold: no surer than all voices agreeing."""
    share = 0.5
    if alone.doubt is None:
        words_S = alone.all_words.words_S
        share = float(words_S @ alone.all_words.prevalence_S / words_S.sum())
    return fit_open(
        texts.code_NM,
        texts.boundary_N,
        share=share,
        tempering=DOUBTED,
        limit=float(np.log1p(len(alone.groups))),
    )


def one_voice(patterns: VotePatterns, copies: dict[int, int]) -> VotePatterns:
    """Let the first of each group of copies speak for them, and alone.

    Args:
        patterns: joint votes.
        copies: of `find_copies`.

    Source: ours.
    """
    if all(m == head for m, head in copies.items()):
        return patterns
    joined = join_copies(patterns, copies)
    silent = [m for m, head in copies.items() if m != head]
    code_PM, samples_M = joined.code_PM.copy(), joined.samples_M.copy()
    code_PM[:, silent], samples_M[silent] = ABSTAIN, 0
    return merge_patterns([
        replace(joined, code_PM=code_PM, samples_M=samples_M)
    ])  # fmt: skip


def _gold(patterns: VotePatterns) -> VotePatterns:
    return patterns.take(patterns.truth_P != UNKNOWN)


def _count(
    votes_NM: NDArray[Any],
    strengths: NDArray[Any],
    stratum: NDArray[np.intp],
    some: NDArray[np.intp] | slice,
    boundary: CodeArray | None = None,
) -> VotePatterns:
    own = strengths if strengths.ndim == 1 else strengths[some]
    return count_patterns(votes_NM[some], own, stratum[some], boundary_N=boundary)


def _spread_texts(boundary_N: CodeArray) -> NDArray[np.intp]:
    """Take words of whole texts, evenly, about `MAX_OPEN_WORDS` of them."""
    start_D = text_starts(boundary_N)
    if boundary_N.size <= MAX_OPEN_WORDS:
        return np.arange(boundary_N.size)
    end_D = np.append(start_D[1:], boundary_N.size)
    every = -(-boundary_N.size // MAX_OPEN_WORDS)
    parts, room = [], MAX_OPEN_WORDS
    for start, end in zip(start_D[::every], end_D[::every], strict=True):
        if room <= 0:
            break
        parts.append(np.arange(start, end))
        room -= int(end - start)
    return np.concatenate(parts)


def _log_odds(posterior: Posterior) -> FloatArray:
    score_N: FloatArray = log(posterior.alpha_N) - log(posterior.beta_N)
    return score_N


def _variance(posterior: Posterior) -> FloatArray:
    """(N,) variance of a Beta's log-odds, to first order."""
    variance_N: FloatArray = 1 / posterior.alpha_N + 1 / posterior.beta_N
    return variance_N


def _with_log_odds(alone: Posterior, score_N: FloatArray) -> Posterior:
    return _posterior(score_N, _variance(alone), alone.weight_SM)


def _posterior(
    score_N: FloatArray, variance_N: FloatArray, weight_SM: FloatArray
) -> Posterior:
    odds_N = exp(np.clip(score_N, -30.0, 30.0))
    return Posterior(
        (1 + odds_N) / variance_N, (1 + 1 / odds_N) / variance_N, weight_SM
    )
