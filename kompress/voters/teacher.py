"""Voters that are language models: a protocol asks, an engine outside answers.

N = words
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import asdict
from hashlib import sha256
from typing import Annotated, Any

from pydantic import Field, model_validator

from kompress.errors import InvalidConfig, VoteFailed
from kompress.teachers import make_protocol
from kompress.teachers.endpoints import Endpoint, find_endpoint
from kompress.teachers.pairwise import PairwiseJudge
from kompress.teachers.protocol import (
    LOCAL,
    Dtype,
    Engine,
    ModelSpec,
    ProtocolParams,
    TeacherProtocol,
)
from kompress.teachers.request import Answer, Ask, AskFailed, Capabilities, Request
from kompress.teachers.shown import SHOWN_VERSION, show, show_reference
from kompress.types import BoolArray, Fingerprint, Vote
from kompress.voters.voter import Voter, VoterKind, VoterParams, parse_params
from kompress.words import WORD_VERSION

KIND = "teacher"
VERSION = "1"  # changes whenever the same answers would give another vote


class TeacherParams(VoterParams, ProtocolParams):
    """Parameters of a teacher: how it is asked, and which model answers.

    Attributes:
        engine: see `ModelSpec`, as are the others.
        endpoint: a name in the operator's settings; for `openai`, and only for it.
    """

    engine: Engine
    model: Annotated[str, Field(min_length=1, max_length=500)]
    revision: str = ""
    endpoint: str = ""
    dtype: Dtype = "auto"
    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    max_model_tokens: Annotated[int, Field(ge=128)] = 8_192

    @model_validator(mode="after")
    def _check_endpoint(self) -> "TeacherParams":
        if self.engine == "openai" and not self.endpoint:
            raise ValueError(
                "engine 'openai' needs an endpoint; name one of the operator's "
                "settings, the file that FARM_ENDPOINTS names"
            )
        if self.engine != "openai" and self.endpoint:
            raise ValueError(
                f"engine {self.engine!r} runs in the worker and has no endpoint, but "
                f"endpoint is {self.endpoint!r}; leave it out, or take engine 'openai'"
            )
        return self

    @property
    def spec(self) -> ModelSpec:
        """The model that is to answer."""
        return ModelSpec(
            engine=self.engine,
            model=self.model,
            revision=self.revision,
            endpoint=self.endpoint,
            dtype=self.dtype,
            gpus=self.gpus,
            max_model_tokens=self.max_model_tokens,
        )


class _ModelVoter:
    """What a teacher and a judge share: a model, its limits, and what it is shown.

    Attributes:
        spec: the model that is to answer.
        protocol: what is asked, and how answers are read.
        capabilities: what the model's engine can do.
        draft: hash of the student whose drafts are corrected, '' for none.
    """

    protocol: TeacherProtocol | PairwiseJudge

    def __init__(
        self, name: str, params: TeacherParams, snapshot: bytes | None
    ) -> None:
        self._name = name
        self._params = params
        self.spec = params.spec
        known = _read_snapshot(params, snapshot)
        self.capabilities, self._is_external, self.draft = known

    @property
    def fingerprint(self) -> Fingerprint:
        """Everything that decides an answer's meaning; how many GPUs do not."""
        parts = {
            "params": self._params.model_dump(mode="json", exclude={"gpus"}),
            "kind": KIND,
            "version": VERSION,
            "words": WORD_VERSION,
            "shown": SHOWN_VERSION,
            "protocol": self.protocol.parts,
            "model": self.spec.identity(),
            "capabilities": asdict(self.capabilities),
            "external": self._is_external,
            "draft": self.draft,
        }
        return Fingerprint(self._name, parts)

    def shown(self, text: str) -> str:
        """Give a text as the model sees it, with as many words."""
        return show(text, external=self._is_external)


class Teacher(_ModelVoter):
    """Votes by what a language model answers.

    Without an engine it has no answers: `with_engine` gives the voter that has.

    Blind strata: the model's own, and what its criterion leaves out; see gold.

    Source: the protocols' modules in `kompress.teachers`.
    """

    protocol: TeacherProtocol

    def __init__(
        self, name: str, params: TeacherParams, snapshot: bytes | None
    ) -> None:
        super().__init__(name, params, snapshot)
        self.protocol = make_protocol(params, self.capabilities)
        self._ask: Ask | None = None
        self._drafts: Mapping[str, BoolArray] = {}

    def requests(
        self, text: str, *, replicate: int = 0, draft_N: BoolArray | None = None
    ) -> tuple[Request, ...]:
        """Lay out the questions about one text, as `vote` asks them.

        Args:
            text: as it is stored, not as it is shown.
            replicate: seeds the sampling.
            draft_N: (N,) what the student keeps, for `correct`.

        Raises:
            VoteFailed: the text cannot be asked about.
        """
        seed = find_seed(text, replicate)
        return self.protocol.requests(self.shown(text), draft_N=draft_N, seed=seed)

    def with_engine(
        self, ask: Ask, drafts: Mapping[str, BoolArray] | None = None
    ) -> Voter:
        """Give a copy of the voter that asks, and knows drafts by their text."""
        known = copy(self)
        known._ask = ask  # noqa: SLF001  # of its own class
        known._drafts = drafts or {}  # noqa: SLF001
        return known

    def vote(
        self, texts: Sequence[str], *, replicate: int = 0
    ) -> Iterator[tuple[int, Vote | VoteFailed]]:
        """Ask about all texts at once; a text's vote comes with its last answer.

        Yields:
            A text's index and its vote, or why there is none.
        """
        asked: list[tuple[int, Request]] = []
        places: list[int] = []  # of each request among its text's
        open_texts: dict[int, list[Answer | AskFailed | None]] = {}
        for index, text in enumerate(texts):
            try:
                requests = self._lay_out(text, replicate)
            except VoteFailed as error:
                yield index, error
                continue
            if not requests:
                yield index, self._read(text, [])
                continue
            open_texts[index] = [None] * len(requests)
            asked.extend((index, request) for request in requests)
            places.extend(range(len(requests)))
        if self._ask is None or not asked:
            return
        for number, answer in self._ask(asked):
            index = asked[number][0]
            answers = open_texts[index]
            answers[places[number]] = answer
            known = [each for each in answers if each is not None]
            if len(known) == len(answers):
                del open_texts[index]
                yield index, self._read(texts[index], known)
        for index in open_texts:
            yield index, VoteFailed("an answer did not come", is_transient=True)

    def _lay_out(self, text: str, replicate: int) -> tuple[Request, ...]:
        """Make a text's requests; without an engine only a text without words has."""
        requests = self.requests(
            text, replicate=replicate, draft_N=self._drafts.get(text)
        )
        if requests and self._ask is None:
            raise VoteFailed(
                f"teacher {self._name!r} has no engine here; it votes where a worker "
                f"takes its own queue, teach.{self._name}",
                is_transient=True,
            )
        return requests

    def _read(
        self, text: str, known: Sequence[Answer | AskFailed]
    ) -> Vote | VoteFailed:
        """Read the vote, or say why there is none."""
        answers = [each for each in known if isinstance(each, Answer)]
        failed = [each for each in known if isinstance(each, AskFailed)]
        if failed:
            # One question that cannot be answered makes asking the others useless.
            worst = min(failed, key=lambda each: each.is_transient)
            return VoteFailed(worst.error, is_transient=worst.is_transient)
        try:
            return self.protocol.read(self.shown(text), answers)
        except VoteFailed as error:
            return error


class Judge(_ModelVoter):
    """A teacher of the protocol `pairwise`: compares references, votes on no word.

    Source: `kompress.teachers.pairwise`.
    """

    protocol: PairwiseJudge

    def __init__(
        self, name: str, params: TeacherParams, snapshot: bytes | None
    ) -> None:
        super().__init__(name, params, snapshot)
        self.protocol = PairwiseJudge(params.criterion, self.capabilities)

    def shown_reference(self, text: str, reference: str) -> str:
        """Give a text's reference as the model sees it, without the text's secrets."""
        return show_reference(text, reference, external=self._is_external)

    def vote(
        self, texts: Sequence[str], *, replicate: int = 0
    ) -> Iterator[tuple[int, Vote | VoteFailed]]:
        """Refuse: a judge has nothing to say of single words.

        Yields:
            A text's index and why there is no vote.
        """
        del replicate
        why = (
            f"{self._name!r} has the protocol pairwise, for references; "
            "name it under pairwise.judges, not under voters"
        )
        for index in range(len(texts)):
            yield index, VoteFailed(why)


def declare(
    params: Mapping[str, Any], endpoints: Mapping[str, Endpoint], *, draft: str = ""
) -> bytes:
    """Write down what decides votes beside the parameters: the voter's snapshot.

    Args:
        params: see `TeacherParams`.
        endpoints: the operator's.
        draft: hash of the student whose drafts are corrected; `correct` alone uses it.

    Returns:
        Canonical JSON.

    Raises:
        InvalidConfig: the params are wrong, or no such endpoint serves the model.
    """
    checked = parse_params(TeacherParams, KIND, params)
    if checked.engine == "openai":
        endpoint = find_endpoint(endpoints, checked.endpoint, checked.model)
        capabilities, external = endpoint.capabilities, endpoint.external
    else:
        capabilities, external = LOCAL[checked.engine], False
    declared = {
        "capabilities": asdict(capabilities),
        "external": external,
        "draft": draft if checked.protocol == "correct" else "",
    }
    return json.dumps(declared, sort_keys=True).encode()


def find_seed(text: str, replicate: int) -> int:
    """Give the seed of a text's sampling: its own in each replicate.

    Returns:
        In [0, 2^31).
    """
    data = f"{replicate}\n{text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(sha256(data).digest()[:4], "big") >> 1


def needs_engine(params: Mapping[str, Any]) -> ModelSpec:
    """Name the model that a teacher's worker has to hold.

    Raises:
        InvalidConfig: the params are wrong.
    """
    return parse_params(TeacherParams, KIND, params).spec


def make(name: str, params: TeacherParams, snapshot: bytes | None) -> Teacher | Judge:
    """Make a teacher, or a judge if its protocol compares references.

    Args:
        name: its own.
        params: checked ones.
        snapshot: what `declare` wrote; without it the engine can do everything.

    Raises:
        InvalidConfig: the snapshot cannot be read.
    """
    kind = Judge if params.protocol == "pairwise" else Teacher
    return kind(name, params, snapshot)


TEACHER = VoterKind(
    KIND,
    TeacherParams,
    make,
    needs_engine=needs_engine,
    # A protocol that does not sample has no temperature in its fingerprint.
    varies=lambda parts: float(parts["protocol"].get("temperature", 0)) > 0,
)


def _read_snapshot(
    params: TeacherParams, snapshot: bytes | None
) -> tuple[Capabilities, bool, str]:
    """Read what `declare` wrote."""
    if snapshot is None:
        return LOCAL.get(params.engine, LOCAL["vllm"]), False, ""
    try:
        found = json.loads(snapshot)
        capabilities = Capabilities(**found["capabilities"])
        return capabilities, bool(found["external"]), str(found["draft"])
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidConfig(
            f"voter kind {KIND!r} cannot read its snapshot of {len(snapshot)} bytes "
            f"({error}); declare it again"
        ) from error
