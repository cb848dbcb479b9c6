"""`python -m worker ask`: one teacher, one text, nothing stored.

Reads JSON from standard input, `{"name", "params", "text"}`, and writes one line of
JSON: `{"codes", "num_samples", "num_requests", "input_tokens", "output_tokens", "usd"}`
or `{"error"}`. It is how users try a teacher on one text: only workers hold models.
"""

import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import numpy as np
from sqlalchemy.orm import Session, sessionmaker

from kompress.errors import InvalidConfig, KompressError, VoteFailed
from kompress.teachers.endpoints import Endpoint, find_endpoint, read_endpoints
from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Answer, AskFailed, Request
from kompress.types import Vote
from kompress.voters import make_voter
from kompress.voters.teacher import KIND, Teacher, declare
from kompress.words import word_list
from worker.errors import WorkError
from worker.settings import WorkerSettings
from worker.transports.transport import Transport, open_transport

DEADLINE_S = 600.0
MISTAKE = 2


def run_ask(settings: WorkerSettings, sessions: sessionmaker[Session]) -> int:
    """Answer the question on standard input; the exit code."""
    with _own_stdout() as out:
        try:
            answer = _answer(settings, sessions, json.load(sys.stdin))
        except (KompressError, WorkError) as error:
            answer = {"error": str(error)}
        out.write(json.dumps(answer) + "\n")
    return MISTAKE if "error" in answer else 0


def load_teacher(
    name: str, params: Mapping[str, Any], endpoints: Mapping[str, Endpoint]
) -> Teacher:
    """Make a teacher that votes, as a round on this machine would.

    Raises:
        InvalidConfig: the params are wrong, or name no endpoint or a judge.
    """
    voter = make_voter(name, KIND, params, declare(params, endpoints))
    if isinstance(voter, Teacher):
        return voter
    raise InvalidConfig(
        f"{name!r} has the protocol pairwise: it compares references and has no vote "
        "on a text; try it in a round, under pairwise.judges"
    )


def ask_about(voter: Teacher, meter: "Meter", text: str) -> Vote:
    """Let a teacher vote on a text; one that corrects is shown a draft that keeps all.

    Raises:
        VoteFailed: the model's answers hold no vote.
    """
    draft_N = np.ones(len(word_list(text)), dtype=np.bool_)
    asker = voter.with_engine(meter.ask, {text: draft_N})
    _, result = next(iter(asker.vote([text])))
    if isinstance(result, VoteFailed):
        raise result
    return result


class Meter:
    """Asks a transport and adds up what that took."""

    def __init__(self, transport: Transport) -> None:
        """Start at nothing."""
        self._transport = transport
        self.num_requests = 0
        self.input_tokens = 0
        self.output_tokens = 0

    def ask(
        self, requests: Sequence[tuple[int, Request]]
    ) -> Iterator[tuple[int, Answer | AskFailed]]:
        """Ask all at once, as a voter wants it."""
        self.num_requests += len(requests)
        for place, answer in self._transport.ask(
            [request for _, request in requests],
            tick=lambda: None,
            deadline_s=DEADLINE_S,
        ):
            if isinstance(answer, Answer):
                self.input_tokens += answer.input_tokens + answer.wasted_input_tokens
                self.output_tokens += answer.output_tokens + answer.wasted_output_tokens
            yield place, answer


def _answer(
    settings: WorkerSettings,
    sessions: sessionmaker[Session],
    question: Mapping[str, Any],
) -> dict[str, Any]:
    """Open the engine or endpoint, ask, and say what came back and what it cost."""
    endpoints = read_endpoints(settings.endpoints)
    voter = load_teacher(question["name"], question["params"], endpoints)
    worker = f"ask-{socket.gethostname()}-{os.getpid()}"
    transport = open_transport(voter.spec, settings, sessions, worker)
    meter = Meter(transport)
    try:
        vote = ask_about(voter, meter, question["text"])
    finally:
        transport.close()
    return {
        "codes": vote.codes_N.tolist(),
        "num_samples": vote.num_samples,
        "num_requests": meter.num_requests,
        "input_tokens": meter.input_tokens,
        "output_tokens": meter.output_tokens,
        "usd": _price(endpoints, voter.spec, meter),
    }


def _price(endpoints: Mapping[str, Endpoint], spec: ModelSpec, meter: Meter) -> float:
    """Give the endpoint's price in USD; an engine of our own has none a token."""
    if spec.engine != "openai":
        return 0.0
    price = find_endpoint(endpoints, spec.endpoint, spec.model).prices.get(spec.model)
    return price.usd(meter.input_tokens, meter.output_tokens) if price else 0.0


@contextmanager
def _own_stdout() -> Iterator[TextIO]:
    """Keep standard output for the answer: engines print to it, also from C."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(kept, "w", encoding="utf-8") as out:
            yield out
    finally:
        sys.stdout.flush()
