"""Ask a teacher about documents and hold its votes against gold.

N = words of a document
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kompress.errors import VoteFailed
from kompress.teachers.protocol import TeacherProtocol
from kompress.teachers.request import Answer, AskFailed, Request
from kompress.types import ABSTAIN, NUM_CODES, Document, Vote


class Asks(Protocol):
    """As much of a transport as is needed here."""

    def ask(
        self,
        requests: Sequence[Request],
        *,
        tick: Callable[[], None],
        deadline_s: float,
    ) -> Iterator[tuple[int, Answer | AskFailed]]: ...


@dataclass(frozen=True, slots=True)
class Measured:
    """What a teacher said of some documents.

    Attributes:
        votes: one for each document, None where it failed.
        seconds: while the engine was asked; making prompts and reading are outside.
        balanced_accuracy: see `balanced_accuracy`.
    """

    votes: list[Vote | None]
    seconds: float
    balanced_accuracy: float


def measure(
    transport: Asks,
    protocol: TeacherProtocol,
    documents: Sequence[Document],
    *,
    deadline_s: float = 600.0,
) -> Measured:
    """Ask about all documents at once, and score the votes."""
    asked = [protocol.requests(document.text) for document in documents]
    requests = [request for each in asked for request in each]
    started_s = time.perf_counter()
    answers = dict(transport.ask(requests, tick=lambda: None, deadline_s=deadline_s))
    passed_s = time.perf_counter() - started_s
    votes: list[Vote | None] = []
    first = 0
    for document, each in zip(documents, asked, strict=True):
        found = [answers[first + number] for number in range(len(each))]
        first += len(each)
        votes.append(_read(protocol, document.text, found))
    return Measured(votes, passed_s, balanced_accuracy(documents, votes))


def balanced_accuracy(
    documents: Sequence[Document], votes: Sequence[Vote | None]
) -> float:
    """Give (recall + specificity) / 2 of P(keep) >= 1/2 over all words of known gold.

    A document without a vote counts as if all its words were kept, as they would be.
    """
    right = {True: 0, False: 0}
    total = {True: 0, False: 0}
    for document, vote in zip(documents, votes, strict=True):
        assert document.gold is not None
        gold_N = document.gold.codes_N
        keep_N = np.ones(len(gold_N), dtype=np.bool_)
        if vote is not None:
            keep_N = vote.codes_N >= NUM_CODES // 2
        for wanted in (True, False):
            among_N = (gold_N != ABSTAIN) & ((gold_N > 0) == wanted)
            total[wanted] += int(among_N.sum())
            right[wanted] += int((keep_N[among_N] == wanted).sum())
    return (right[True] / total[True] + right[False] / total[False]) / 2


def _read(
    protocol: TeacherProtocol, text: str, answers: Sequence[Answer | AskFailed]
) -> Vote | None:
    known = [answer for answer in answers if isinstance(answer, Answer)]
    if len(known) < len(answers):
        return None
    try:
        return protocol.read(text, known)
    except VoteFailed:
        return None
