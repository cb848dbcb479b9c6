"""Ask the micro-teacher in an engine's own environment; bench_teach drives it.

    python -m benchmarks.teach_engine ENGINE NUM_DOCUMENTS ROUNDS

Prints one JSON object. An engine-second is a second in which the engine is asked:
loading it, making prompts and reading answers are outside.
"""

import json
import statistics
import sys
import time
from typing import Any

import numpy as np

from kompress.corpora.generators import generate
from kompress.errors import VoteFailed
from kompress.teachers.request import Answer, Request
from kompress.types import ABSTAIN, Document
from kompress.voters import make_voter
from kompress.voters.teacher import Teacher
from tests.micro_teacher.params import FOLDER, HELD_OUT_SEED, REWRITE, WORD_VOTES
from worker.settings import WorkerSettings
from worker.transports.transport import Transport, open_transport

NUM_ONE_BY_ONE = 12
DEADLINE_S = 600.0


def main() -> None:
    engine, num_documents, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    documents = generate(num_documents, HELD_OUT_SEED)
    teachers = {"word_votes": _teacher(engine, WORD_VOTES)}
    teachers["rewrite"] = _teacher(engine, REWRITE)
    started = time.perf_counter()
    transport = _open(teachers["word_votes"])
    figures: dict[str, Any] = {"load_s": time.perf_counter() - started}
    for teacher in teachers.values():
        _ask(teacher, transport, documents[:4])  # the first steps of an engine are slow
    speed: dict[str, list[float]] = {name: [] for name in teachers}
    answers = {}
    for _ in range(rounds):
        for name, teacher in teachers.items():
            seconds, answers[name] = _ask(teacher, transport, documents)
            speed[name].append(_num_words(documents) / seconds)
    for name, teacher in teachers.items():
        figures[f"{name}: words per engine-second"] = statistics.median(speed[name])
        figures[f"{name}: balanced accuracy"] = _balanced_accuracy(
            teacher, documents, answers[name]
        )
    ratios = [a / b for a, b in zip(speed["word_votes"], speed["rewrite"], strict=True)]
    figures["word_votes over rewrites: ratios"] = ratios
    figures |= _saturation(teachers["word_votes"], transport, documents, rounds)
    print(json.dumps(figures))


def _teacher(engine: str, params: dict[str, Any]) -> Teacher:
    spec = {"engine": engine, "model": str(FOLDER), "max_model_tokens": 2_048}
    voter = make_voter("micro", "teacher", {**params, **spec}, None)
    assert isinstance(voter, Teacher)
    return voter


def _open(teacher: Teacher) -> Transport:
    settings = WorkerSettings(
        database_url="postgresql://none", broker_url="redis://none", artifacts="none"
    )
    # No endpoint, so nothing is shared with other workers.
    return open_transport(teacher.spec, settings, None, "bench")  # type: ignore[arg-type]  # unused here


def _requests(teacher: Teacher, document: Document) -> tuple[Request, ...]:
    return teacher.protocol.requests(teacher.shown(document.text))


def _ask(
    teacher: Teacher, transport: Transport, documents: list[Document]
) -> tuple[float, list[list[Answer]]]:
    """Ask about all documents at once."""
    places, requests = [], []
    for number, document in enumerate(documents):
        for request in _requests(teacher, document):
            places.append(number)
            requests.append(request)
    found: dict[int, Answer] = {}
    started = time.perf_counter()
    for place, answer in transport.ask(
        requests, tick=lambda: None, deadline_s=DEADLINE_S
    ):
        assert isinstance(answer, Answer), answer
        found[place] = answer
    seconds = time.perf_counter() - started
    grouped: list[list[Answer]] = [[] for _ in documents]
    for place, number in enumerate(places):
        grouped[number].append(found[place])
    return seconds, grouped


def _saturation(
    teacher: Teacher, transport: Transport, documents: list[Document], rounds: int
) -> dict[str, Any]:
    """Ask a few documents one request at a time, and all of them at once, in turn."""
    few = documents[:NUM_ONE_BY_ONE]
    ratios, alone = [], []
    for _ in range(rounds):
        seconds, _answers = _ask(teacher, transport, documents)
        at_once = _num_words(documents) / seconds
        started = time.perf_counter()
        for document in few:
            for request in _requests(teacher, document):
                list(transport.ask([request], tick=lambda: None, deadline_s=DEADLINE_S))
        alone.append(_num_words(few) / (time.perf_counter() - started))
        ratios.append(at_once / alone[-1])
    return {
        "one request at a time: words per second": statistics.median(alone),
        "saturated over one at a time: ratios": ratios,
    }


def _num_words(documents: list[Document]) -> int:
    return sum(len(document.text.split()) for document in documents)


def _balanced_accuracy(
    teacher: Teacher, documents: list[Document], answers: list[list[Answer]]
) -> float:
    """Compare with planted gold; a text without a vote counts as all dropped."""
    cells_22 = np.zeros((2, 2), dtype=np.int64)
    for document, own in zip(documents, answers, strict=True):
        assert document.gold is not None
        codes_N = document.gold.codes_N
        try:
            keep_N = teacher.protocol.read(teacher.shown(document.text), own).codes_N
            kept_N = keep_N >= 127
        except VoteFailed:
            kept_N = np.zeros(codes_N.size, dtype=np.bool_)
        known_N = codes_N != ABSTAIN
        np.add.at(cells_22, ((codes_N > 127)[known_N] * 1, kept_N[known_N] * 1), 1)
    drop_2, keep_2 = cells_22
    return float((keep_2[1] / keep_2.sum() + drop_2[0] / drop_2.sum()) / 2)


if __name__ == "__main__":
    main()
