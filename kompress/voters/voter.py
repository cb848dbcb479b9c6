"""What a voter is, and what a kind of voter must bring to the registry.

N = words
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict

from kompress.config import parse_config
from kompress.errors import InvalidConfig, VoteFailed
from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Ask
from kompress.types import BoolArray, Fingerprint, FloatArray, Vote, encode_votes
from kompress.words import WORD_VERSION

P = TypeVar("P", bound="VoterParams")
V_co = TypeVar("V_co", bound="Voter", covariant=True)


class Voter(Protocol):
    """Whatever votes on words: a teacher, a rule, a statistic, a student, a person."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Everything that decides a vote; equal fingerprints share stored votes."""
        ...

    def vote(
        self, texts: Sequence[str], *, replicate: int = 0
    ) -> Iterator[tuple[int, Vote | VoteFailed]]:
        """Vote on texts; each result comes as soon as it is there, in any order.

        Args:
            texts: the texts; a vote has one code for each word of `text.split()`.
            replicate: which of a stochastic voter's repetitions this is; voters
                without chance answer the same to each.

        Yields:
            A text's index and its vote, or why there is none.
        """
        ...


@runtime_checkable
class ReferenceReader(Protocol):
    """A voter that votes by stored references and must be given them first."""

    def with_references(self, references: Mapping[str, str]) -> Voter:
        """Give a copy of the voter that knows references, by their text."""
        ...


@runtime_checkable
class Asker(Protocol):
    """A voter that asks a language model and must be given the engine first."""

    @property
    def spec(self) -> ModelSpec:
        """The model that is to answer."""
        ...

    def with_engine(
        self, ask: Ask, drafts: Mapping[str, BoolArray] | None = None
    ) -> Voter:
        """Give a copy of the voter that asks, and knows drafts by their text."""
        ...


class VoterParams(BaseModel):
    """The base of a kind's parameters: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class VoterKind(Generic[P, V_co]):
    """One entry of the registry.

    Attributes:
        name: the entry's key.
        params: the kind's parameters.
        make: the voter's name, checked params and snapshot (None without a fit) -> the
            voter. Raises InvalidConfig on a snapshot it cannot read.
        fit: params and the texts of the pinned corpus' train split -> the snapshot's
            bytes, deterministic and without pickle; None if there is nothing to fit.
        origin_of: params -> the origin whose references the voter reads; None for a
            kind that reads none. Its voters are `ReferenceReader`s.
        fit_references: params, the hash of all references of that origin in the pinned
            corpus, (text, reference) of its train split -> the snapshot's bytes; takes
            the place of `fit` where `origin_of` is given.
        needs_engine: params -> the model that its worker has to hold; None for a kind
            that needs none. Its snapshot is what `kompress.voters.teacher.declare`
            writes, and its voters are `Asker`s (or judges).
        varies: a fingerprint's parts -> whether another replicate may say something
            else: drawn again, or another reference; None for a kind that never does.
        for_drills: it runs as any other, but users are not offered it: a double for
            tests, demos and drills.
    """

    name: str
    params: type[P]
    make: Callable[[str, P, bytes | None], V_co]
    fit: Callable[[Mapping[str, Any], Iterable[str]], bytes] | None = None
    origin_of: Callable[[Mapping[str, Any]], str] | None = None
    fit_references: (
        Callable[[Mapping[str, Any], str, Sequence[tuple[str, str]]], bytes] | None
    ) = None
    needs_engine: Callable[[Mapping[str, Any]], ModelSpec] | None = None
    varies: Callable[[Mapping[str, Any]], bool] | None = None
    for_drills: bool = False

    def load(
        self, name: str, params: Mapping[str, Any], snapshot: bytes | None
    ) -> V_co:
        """Make a voter from plain parameters and its snapshot.

        Raises:
            InvalidConfig: the params are wrong, or the snapshot cannot be read.
        """
        return self.make(name, parse_params(self.params, self.name, params), snapshot)

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuse wrong parameters, naming what was found and expected.

        Raises:
            InvalidConfig: the params are wrong.
        """
        parse_params(self.params, self.name, params)


class WordScorer(Protocol):
    """What a deterministic voter thinks of a text's words."""

    def p_keep(self, text: str) -> FloatArray:
        """Give (N,) P(keep) of a text's words, NaN to abstain."""
        ...


class DeterministicVoter:
    """A voter without chance: the text alone decides, so replicates are equal."""

    def __init__(self, fingerprint: Fingerprint, scorer: WordScorer) -> None:
        self._fingerprint = fingerprint
        self._scorer = scorer

    @property
    def fingerprint(self) -> Fingerprint:
        """Everything that decides a vote."""
        return self._fingerprint

    def vote(
        self, texts: Sequence[str], *, replicate: int = 0
    ) -> Iterator[tuple[int, Vote | VoteFailed]]:
        """Vote on each text in turn.

        Yields:
            A text's index and its vote.
        """
        del replicate
        for index, text in enumerate(texts):
            yield index, Vote(encode_votes(self._scorer.p_keep(text)))


def deterministic_kind(
    name: str,
    params: type[P],
    scorer: Callable[[P, bytes | None], WordScorer],
    *,
    fit: Callable[[Mapping[str, Any], Iterable[str]], bytes] | None = None,
    **versions: str,
) -> VoterKind[P, DeterministicVoter]:
    """Make the registry's entry of a voter that knows no chance.

    Args:
        name: the entry's key.
        params: the kind's parameters.
        scorer: checked params and snapshot (None without a fit) -> what scores words.
        fit: as of `VoterKind`; the snapshot's hash is then part of the fingerprint.
        versions: `version`, which changes whenever any vote would, and those of the
            rules that it uses.
    """

    def make(name_: str, checked: P, snapshot: bytes | None) -> DeterministicVoter:
        parts = describe(checked, kind=name, words=WORD_VERSION, **versions)
        if fit is not None:
            parts["snapshot"] = sha256(snapshot or b"").hexdigest()
        return DeterministicVoter(Fingerprint(name_, parts), scorer(checked, snapshot))

    return VoterKind(name, params, make, fit=fit)


def parse_params(model: type[P], kind: str, params: Mapping[str, Any]) -> P:
    """Validate a voter's parameters.

    Args:
        model: the kind's parameters.
        kind: its name, for the message.
        params: plain data, as it stands in a loop's config.

    Raises:
        InvalidConfig: one line a mistake, and the parameters that the kind has.
    """
    try:
        return parse_config(model, dict(params))
    except InvalidConfig as error:
        known = ", ".join(model.model_fields) or "none"
        raise InvalidConfig(
            f"voter kind {kind!r}: {error}\nits parameters are: {known}"
        ) from error


def describe(params: VoterParams, **parts: Any) -> dict[str, Any]:
    """Lay out a fingerprint's parts: the parameters with their defaults, and the rest.

    Args:
        params: the voter's parameters.
        parts: the other inputs: kind, versions, the snapshot's hash.

    Returns:
        Plain JSON data.
    """
    return {"params": params.model_dump(mode="json"), **parts}
