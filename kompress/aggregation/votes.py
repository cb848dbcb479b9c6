"""Check a matrix of votes and feed it to a rule in cache-sized blocks.

N = words, M = voters, C = words of one block, S = strata
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompress.errors import InvalidVotes
from kompress.types import (
    ABSTAIN,
    NEW_TEXT,
    STRATA,
    BoolArray,
    CodeArray,
    FloatArray,
    Posterior,
    decode_votes,
    encode_votes,
)

# Eight voters' temporaries of this many words stay in a core's second-level cache.
BLOCK_WORDS = 8_192


@dataclass(frozen=True, slots=True)
class Block:
    """Some words' votes, voters first so that sums over voters run along memory.

    Attributes:
        p_MC: (M, C) P(keep); 0.5 where there is no vote.
        strength_MC: (M, C) samples behind each vote; 0 where there is no vote.
        voted_MC: (M, C) whether there is a vote.
        stratum_C: (C,) codes into `STRATA`.
    """

    p_MC: FloatArray
    strength_MC: FloatArray
    voted_MC: BoolArray
    stratum_C: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Pooled:
    """A rule's answer for one block.

    Attributes:
        alpha_C: (C,) pseudo-counts for keep, > 0.
        beta_C: (C,) pseudo-counts for drop, > 0.
        weight_MC: (M, C) what each vote weighed, >= 0, 0 where there is no vote.
    """

    alpha_C: FloatArray
    beta_C: FloatArray
    weight_MC: FloatArray


class Aggregator(Protocol):
    """Turns several voters' votes into one posterior per word.

    The properties that an entry may declare, each tested on all that declare it; what
    a `Learner` declares holds for what it learned as well, with gold and without:

    - `voter_order` (all): permuting the voters permutes the weights, nothing else;
    - `abstention` (all): a voter that abstains from every word changes nothing,
      whatever its strength, bit for bit;
    - `inside` (all): 0 < mean < 1, never NaN; no vote at all gives Beta(1, 1);
    - `monotone`: a higher P(keep) never lowers the mean;
    - `unanimous`: where all who voted say the same P(keep) >= 1/2, saying a higher one
      together never lowers the mean, nor a lower one below 1/2 raises it. For a learner
      that was fitted with gold: where every voter is better than chance on it, and gold
      links no two of them (linked voters that speak more alike may be one voice);
    - `copies`: an exact copy of a voter, beside it, leaves alpha and beta as they are;
      for a learner where gold tells that it is one.

    Attributes:
        properties: those that the rule declares.
    """

    properties: ClassVar[frozenset[str]]

    def __init__(self, **params: Any) -> None: ...

    def aggregate(
        self,
        p_NM: ArrayLike,
        strength: ArrayLike,
        stratum_N: ArrayLike,
        boundary_N: ArrayLike | None = None,
    ) -> Posterior:
        """Pool the votes; see `pool_votes` for the arguments.

        Rules that do not look along the text ignore `boundary_N`, what stands before
        each word (`kompress.boundaries`); None: words are independent.
        """
        ...


def pool_votes(
    p_NM: ArrayLike,
    strength: ArrayLike,
    stratum_N: ArrayLike,
    *,
    combine: Callable[[Block], Pooled],
) -> Posterior:
    """Check the votes, apply a rule to every block and sum up the weights.

    Args:
        p_NM: (N, M) P(keep) in [0, 1] with NaN for an abstention, or uint8 byte codes
            (255 abstains).
        strength: (M,) or (N, M) samples behind each vote, finite and >= 0; 0 counts
            as an abstention. It is not looked at where a voter abstains.
        stratum_N: (N,) codes into `STRATA`.
        combine: the rule.

    Returns:
        The posterior. A weight is the voter's share of all that was weighed in the
        stratum: rows of `weight_SM` sum to 1, or to 0 where nobody voted.

    Raises:
        InvalidVotes: a shape, a probability, a strength or a stratum is wrong.

    Source: ours.
    """
    p_NM = _read_p(p_NM)
    num_words, num_voters = p_NM.shape
    strength = _read_strength(strength, p_NM.shape)
    stratum_N = read_stratum(stratum_N, num_words)
    alpha_N, beta_N = np.empty(num_words), np.empty(num_words)
    weight_SM = np.zeros((len(STRATA), num_voters))
    for start in range(0, num_words, BLOCK_WORDS):
        part = slice(start, min(start + BLOCK_WORDS, num_words))
        part_strength = strength if strength.ndim == 1 else strength[part]
        pooled = combine(_read_block(p_NM[part], part_strength, stratum_N[part]))
        alpha_N[part], beta_N[part] = pooled.alpha_C, pooled.beta_C
        for m in range(num_voters):
            weight_SM[:, m] += np.bincount(
                stratum_N[part], weights=pooled.weight_MC[m], minlength=len(STRATA)
            )
    total_S1 = weight_SM.sum(axis=1, keepdims=True)
    weight_SM /= np.where(total_S1 > 0, total_S1, 1.0)
    return Posterior(alpha_N, beta_N, weight_SM)


def read_votes(
    p_NM: ArrayLike, strength: ArrayLike, stratum_N: ArrayLike
) -> tuple[CodeArray, NDArray[Any], NDArray[np.intp]]:
    """Check votes and give them as byte codes.

    Args:
        p_NM: (N, M) P(keep) in [0, 1] with NaN for an abstention, or uint8 byte codes.
        strength: (M,) or (N, M) samples behind each vote, finite and >= 0 where there
            is a vote; 0 counts as an abstention.
        stratum_N: (N,) codes into `STRATA`.

    Returns:
        (N, M) byte codes, 255 also where the strength is 0; the strengths as given, 1
        where nobody looks; and (N,) strata.

    Raises:
        InvalidVotes: a shape, a probability, a strength or a stratum is wrong.

    Source: ours.
    """
    votes_NM = _read_p(p_NM)
    num_words = len(votes_NM)
    strength = _read_strength(strength, votes_NM.shape)
    if votes_NM.dtype == np.uint8 and strength.ndim == 1 and _is_plain(strength):
        # Nothing to check word by word, and nothing to copy.
        return votes_NM, strength.astype(float), read_stratum(stratum_N, num_words)
    codes_NM = np.empty(votes_NM.shape, dtype=np.uint8)
    strengths = np.ones(strength.shape)
    for start in range(0, num_words, BLOCK_WORDS):
        part = slice(start, min(start + BLOCK_WORDS, num_words))
        own = strength if strength.ndim == 1 else strength[part]
        codes_CM = _read_codes(votes_NM[part])
        cast_CM = codes_CM != ABSTAIN
        own_CM = np.broadcast_to(own.astype(np.float64), codes_CM.shape)
        _check(own_CM.T, cast_CM.T, "strengths", np.finfo(np.float64).max)
        voted_CM = cast_CM & (own_CM > 0)
        codes_NM[part] = np.where(voted_CM, codes_CM, np.uint8(ABSTAIN))
        if strength.ndim == 2:
            strengths[part] = np.where(voted_CM, own_CM, 1.0)
        else:
            strengths = np.where(voted_CM.any(axis=0), own, strengths)
    return codes_NM, strengths, read_stratum(stratum_N, num_words)


def check_num_voters(p_NM: ArrayLike, num_voters: int) -> NDArray[Any]:
    """Give votes as an array, if they are of as many voters as a rule was fitted to.

    Args:
        p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes.
        num_voters: of the fit.

    Raises:
        InvalidVotes: M is another number.
    """
    votes_NM = np.asarray(p_NM)
    if votes_NM.ndim == 2 and votes_NM.shape[1] != num_voters:
        raise InvalidVotes(
            f"votes have {votes_NM.shape[1]} voters; expected {num_voters}, as many as "
            "were fitted; fit again, or pass NaN for absent voters"
        )
    return votes_NM


def as_codes(p_NM: ArrayLike) -> CodeArray:
    """Give votes as byte codes; what are codes already stays as it is.

    Args:
        p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes.

    Raises:
        InvalidVotes: a probability lies outside [0, 1].
    """
    votes_NM = np.asarray(p_NM)
    return votes_NM if votes_NM.dtype == np.uint8 else encode_votes(votes_NM)


def sum_voters(values_MC: NDArray[Any]) -> FloatArray:
    """Sum over voters, one after the other.

    Args:
        values_MC: (M, C) numbers; bools are counted.

    Returns:
        (C,) sums. numpy's own reduction adds in an order that depends on C, so a
        word's last bit would depend on the shard that it is in.

    Source: ours.
    """
    sum_C = np.zeros(values_MC.shape[1])
    for row_C in values_MC:
        sum_C += row_C
    return sum_C


def read_stratum(stratum_N: ArrayLike, num_words: int) -> NDArray[np.intp]:
    """Check stratum codes.

    Args:
        stratum_N: (N,) codes into `STRATA`.
        num_words: N.

    Raises:
        InvalidVotes: another shape, or a code that `STRATA` does not have.

    Source: ours.
    """
    codes_N = np.asarray(stratum_N)
    if codes_N.shape != (num_words,):
        raise InvalidVotes(
            f"strata have shape {codes_N.shape}; expected ({num_words},), a code a word"
        )
    if not num_words:
        return np.zeros(0, dtype=np.intp)
    if codes_N.dtype.kind not in "iu":
        raise InvalidVotes(f"strata are {codes_N.dtype}; expected integer codes")
    if codes_N.min() < 0 or codes_N.max() >= len(STRATA):
        raise InvalidVotes(
            f"strata lie in {codes_N.min()}..{codes_N.max()}; expected codes "
            f"0..{len(STRATA) - 1} into kompress.types.STRATA"
        )
    return codes_N.astype(np.intp)


def read_boundary(boundary_N: ArrayLike, num_words: int) -> CodeArray:
    """Check boundaries.

    Args:
        boundary_N: (N,) what stands before each word.
        num_words: N.

    Returns:
        (N,) uint8; the first word always begins a text.

    Raises:
        InvalidVotes: another shape, or a code that is none.

    Source: ours.
    """
    codes_N = np.asarray(boundary_N)
    if codes_N.shape != (num_words,):
        raise InvalidVotes(
            f"boundaries have shape {codes_N.shape}; expected ({num_words},), a code "
            "a word"
        )
    if not num_words:
        return np.zeros(0, dtype=np.uint8)
    if codes_N.dtype.kind not in "iu":
        raise InvalidVotes(f"boundaries are {codes_N.dtype}; expected integer codes")
    if codes_N.min() < 0 or codes_N.max() > NEW_TEXT:
        raise InvalidVotes(
            f"boundaries lie in {codes_N.min()}..{codes_N.max()}; expected 0 (same "
            "line), 1 (next line), 2 (blank line between), 3 (another text)"
        )
    found_N = codes_N.astype(np.uint8)
    found_N[0] = NEW_TEXT
    return found_N


def _read_p(p_NM: ArrayLike) -> NDArray[Any]:
    votes_NM = np.asarray(p_NM)
    if votes_NM.ndim != 2:
        raise InvalidVotes(
            f"votes have shape {votes_NM.shape}; expected (N, M), words by voters"
        )
    if votes_NM.dtype == np.uint8:
        return votes_NM
    if votes_NM.dtype.kind == "f" or not votes_NM.size:
        return votes_NM
    raise InvalidVotes(
        f"votes are {votes_NM.dtype}; expected float P(keep) with NaN for an "
        "abstention, or uint8 byte codes"
    )


def _read_strength(strength: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    values = np.asarray(strength)
    if values.shape not in {shape, shape[1:]}:
        raise InvalidVotes(
            f"votes have shape {shape}, strengths {values.shape}; expected "
            f"{shape[1:]} (one a voter) or {shape}"
        )
    if values.dtype.kind not in "iuf" and values.size:
        raise InvalidVotes(f"strengths are {values.dtype}; expected numbers")
    return values


def _is_plain(strength_M: NDArray[Any]) -> bool:
    return bool((np.isfinite(strength_M) & (strength_M > 0)).all())


def _read_codes(p_CM: NDArray[Any]) -> CodeArray:
    """Quantise one block, naming the first probability that is none."""
    if p_CM.dtype == np.uint8:
        return p_CM
    p_CM = p_CM.astype(np.float64)
    _check(p_CM.T, ~np.isnan(p_CM).T, "P(keep)", 1.0)
    return encode_votes(p_CM)


def _read_block(
    p_CM: NDArray[Any], strength: NDArray[Any], stratum_C: NDArray[np.intp]
) -> Block:
    """Transpose, decode and check one block; blank what abstains."""
    raw_MC = np.ascontiguousarray(p_CM.T)
    is_code = raw_MC.dtype == np.uint8
    p_MC = decode_votes(raw_MC) if is_code else raw_MC.astype(np.float64)
    strength = strength.astype(np.float64)
    strength_MC = np.broadcast_to(
        strength[:, None] if strength.ndim == 1 else strength.T, p_MC.shape
    )
    cast_MC = ~np.isnan(p_MC)
    _check(p_MC, cast_MC, "P(keep)", 1.0)
    _check(strength_MC, cast_MC, "strengths", np.finfo(np.float64).max)
    voted_MC = cast_MC & (strength_MC > 0)
    return Block(
        p_MC=np.where(voted_MC, p_MC, 0.5),
        strength_MC=np.where(voted_MC, strength_MC, 0.0),
        voted_MC=voted_MC,
        stratum_C=stratum_C,
    )


def _check(values_MC: FloatArray, cast_MC: BoolArray, what: str, high: float) -> None:
    """Refuse a cast vote's value outside [0, high]; NaN is outside."""
    wrong_MC = cast_MC & ~((values_MC >= 0) & (values_MC <= high))
    if wrong_MC.any():
        m, c = np.argwhere(wrong_MC)[0]
        limit = "[0, 1]" if high == 1 else "finite numbers >= 0"
        raise InvalidVotes(
            f"{what}: voter {m} has {values_MC[m, c]}; expected {limit}; pass NaN "
            "as P(keep) to abstain"
        )
