"""A double for tests and drills: given error rates, correlation, latency and failures.

N = words, S = strata, D = draws (samples of one vote)
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from kompress.errors import VoteFailed
from kompress.must_keep.classify import RULE_VERSIONS, classify_words
from kompress.types import (
    PLAIN,
    STRATA,
    BoolArray,
    CodeArray,
    Fingerprint,
    FloatArray,
    Vote,
    encode_votes,
)
from kompress.voters.voter import VoterKind, VoterParams, describe
from kompress.words import WORD_VERSION

KIND = "simulated"
VERSION = "1"  # changes whenever any vote would

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0, le=3_600.0)]
Truth = Literal["must_keep", "hash"]


class SimulatedParams(VoterParams):
    """Parameters of the simulated voter.

    Attributes:
        sensitivity: P(keep | to keep) by stratum; `all` is for the strata not named.
        specificity: P(drop | to drop) by stratum, likewise.
        correlation: share of words whose draws are the family's, not the voter's own.
        family: voters with the same family and seed share draws; '' is the name's own.
        samples: draws a vote pools.
        latency_s: seconds a text takes.
        latency_batch_s: seconds a call takes besides.
        cpu_share: share of both that burns a core; the rest sleeps.
        failure_rate: share of texts that fail.
        abstain_rate: share of words it abstains on.
        truth: `must_keep` (farm's must-keep words) or `hash` (seeded dice).
        keep_share: share of words to keep under `hash`.
        seed: of the world; voters of one world have the same.
    """

    sensitivity: dict[str, Share] = Field(default_factory=lambda: {"all": 0.9})
    specificity: dict[str, Share] = Field(default_factory=lambda: {"all": 0.9})
    correlation: Share = 0.0
    family: str = ""
    samples: Annotated[int, Field(ge=1, le=10_000)] = 1
    latency_s: Seconds = 0.0
    latency_batch_s: Seconds = 0.0
    cpu_share: Share = 0.0
    failure_rate: Share = 0.0
    abstain_rate: Share = 0.0
    truth: Truth = "must_keep"
    keep_share: Share = 0.5
    seed: int = 0

    @model_validator(mode="after")
    def _check_strata(self) -> "SimulatedParams":
        for what in ("sensitivity", "specificity"):
            named = set(getattr(self, what))
            unknown = named - {"all", *STRATA}
            if "all" not in named and not named >= set(STRATA):
                raise ValueError(
                    f"{what} is given for {sorted(named)} only; expected every stratum "
                    "or `all` for the rest"
                )
            if unknown:
                raise ValueError(
                    f"{what} names strata {sorted(unknown)}; expected `all` or some of "
                    f"{', '.join(STRATA)}"
                )
        return self


class Simulated:
    """Votes right with a given probability, by stratum and truth.

    Each of a vote's draws is right if a uniform number is below the sensitivity (of a
    word to keep) or specificity (of a word to drop); P(keep) is the share of draws for
    keep. On a share `correlation` of the words, chosen once for the family, the
    uniform numbers are the family's, so that two voters of equal error rates have an
    error correlation of exactly `correlation`: they are equicorrelated.

    All chance comes from (seed, name or family, sha256 of the text, replicate), never
    from global state or the order of texts. The family's draws also depend on the
    replicate, so replicates are independent. Whether a text fails depends on the
    replicate too.

    Blind strata: those given a sensitivity of 0.

    Source: common-cause mixture of Bernoulli errors, Lunn & Davies 1998; two coins
    a voter Dawid & Skene 1979; in this form ours.
    """

    def __init__(
        self, name: str, params: SimulatedParams, snapshot: bytes | None = None
    ) -> None:
        del snapshot  # nothing is fitted
        self._name = name
        self._params = params
        self._sensitivity_S = _by_stratum(params.sensitivity)
        self._specificity_S = _by_stratum(params.specificity)
        # Classifying is most of a vote's cost, and scaling runs need none.
        self._needs_strata = params.truth == "must_keep" or (
            np.ptp(self._sensitivity_S) > 0 or np.ptp(self._specificity_S) > 0
        )
        self._fingerprint = Fingerprint(
            name,
            describe(
                params,
                kind=KIND,
                version=VERSION,
                words=WORD_VERSION,
                rules=RULE_VERSIONS["farm"],
            ),
        )

    @property
    def fingerprint(self) -> Fingerprint:
        """Everything that decides a vote."""
        return self._fingerprint

    def vote(
        self, texts: Sequence[str], *, replicate: int = 0
    ) -> Iterator[tuple[int, Vote | VoteFailed]]:
        """Vote on each text in turn, as slowly as the params say.

        Yields:
            A text's index and its vote, or a VoteFailed.
        """
        self._spend(self._params.latency_batch_s)
        for index, text in enumerate(texts):
            self._spend(self._params.latency_s)
            yield index, self._vote(text, replicate)

    def _vote(self, text: str, replicate: int) -> Vote | VoteFailed:
        params = self._params
        own = _generator(params.seed, "voter", self._name, text, replicate)
        if own.random() < params.failure_rate:
            return VoteFailed(
                f"simulated voter {self._name!r} fails on a share of "
                f"{params.failure_rate} of all texts, this one among them; expected "
                "with failure_rate > 0"
            )
        stratum_N = self._strata(text.split())
        keep_N = _truth(text, stratum_N, params)
        right_N = np.where(
            keep_N, self._sensitivity_S[stratum_N], self._specificity_S[stratum_N]
        )
        right_DN = self._draw(own, text, replicate, keep_N.size) < right_N
        p_N = np.where(right_DN, keep_N, ~keep_N).mean(axis=0)
        p_N[own.random(keep_N.size) < params.abstain_rate] = np.nan
        return Vote(encode_votes(p_N), params.samples)

    def _strata(self, words: list[str]) -> CodeArray:
        """The words' strata, or zeros where no stratum changes anything."""
        if self._needs_strata:
            return classify_words(words)
        return np.zeros(len(words), dtype=np.uint8)

    def _draw(
        self, own: np.random.Generator, text: str, replicate: int, size: int
    ) -> FloatArray:
        """Uniform numbers, D by N: the voter's own, or the family's on shared words."""
        params = self._params
        own_DN = own.random((params.samples, size))
        if not params.correlation:
            return own_DN
        family = params.family or self._name
        common = _generator(params.seed, "family", family, text, replicate)
        # The choice of words is drawn first: it must not depend on `samples`.
        shared_N = common.random(size) < params.correlation
        return np.where(shared_N, common.random((params.samples, size)), own_DN)

    def _spend(self, seconds: float) -> None:
        """Let time pass: burn this thread's share of it, then sleep to its end."""
        if not seconds:
            return
        end = time.perf_counter() + seconds
        busy_until = time.thread_time() + seconds * self._params.cpu_share
        while time.thread_time() < busy_until:
            sum(range(1_000))
        time.sleep(max(0.0, end - time.perf_counter()))


SIMULATED = VoterKind(
    KIND, SimulatedParams, Simulated, varies=lambda _parts: True, for_drills=True
)


def _truth(text: str, stratum_N: CodeArray, params: SimulatedParams) -> BoolArray:
    if params.truth == "must_keep":
        must_keep_N: BoolArray = stratum_N != PLAIN
        return must_keep_N
    generator = _generator(params.seed, "truth", "", text, 0)
    keep_N: BoolArray = generator.random(stratum_N.size) < params.keep_share
    return keep_N


def _by_stratum(rates: Mapping[str, float]) -> FloatArray:
    """(S,) rates; strata not named have that of `all`."""
    return np.array([rates.get(name, rates.get("all", 0.0)) for name in STRATA])


def _generator(
    seed: int, role: str, name: str, text: str, replicate: int
) -> np.random.Generator:
    """A generator of its own for each (seed, role, name, text, replicate)."""
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    key = repr((seed, role, name, digest, replicate)).encode()
    return np.random.default_rng(int.from_bytes(sha256(key).digest()[:16], "big"))
