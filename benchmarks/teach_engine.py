"""Ask the micro-teacher in an engine's own environment; bench_teach drives it.

    python -m benchmarks.teach_engine ENGINE NUM_DOCUMENTS ROUNDS

Prints one JSON object. An engine-second is a second in which the engine is asked:
loading it, making prompts and reading answers are outside. Words are those asked about,
whether or not a vote came of them. Each round asks about other documents: a prompt that
an engine has seen would cost it nothing.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kompress.corpora.generators import generate
from kompress.teachers import make_protocol
from kompress.teachers.protocol import ModelSpec, ProtocolParams, TeacherProtocol
from kompress.types import Document
from tests.micro_teacher.params import FOLDER, HELD_OUT_SEED, REWRITE, WORD_VOTES
from tests.micro_teacher.scoring import measure
from worker.settings import WorkerSettings
from worker.transports.transport import Transport, open_transport

NUM_ONE_BY_ONE = 12
DEADLINE_S = 600.0


def main() -> None:
    engine, num_documents, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    started = time.perf_counter()
    transport = _open(engine)
    figures: dict[str, Any] = {"load_s": time.perf_counter() - started}
    protocols = {
        params["protocol"]: make_protocol(
            ProtocolParams(**params), transport.capabilities
        )
        for params in (WORD_VOTES, REWRITE)
    }
    seeds = iter(range(HELD_OUT_SEED, HELD_OUT_SEED + 1_000))
    for protocol in protocols.values():  # an engine's first steps are slow
        measure(transport, protocol, generate(num_documents, next(seeds)))
    speed: dict[str, list[float]] = {name: [] for name in protocols}
    right: dict[str, list[float]] = {name: [] for name in protocols}
    for _ in range(rounds):
        documents = generate(num_documents, next(seeds))
        for name, protocol in protocols.items():
            found = measure(transport, protocol, documents)
            speed[name].append(_num_words(documents) / found.seconds)
            right[name].append(found.balanced_accuracy)
            figures[f"{name}: documents without a vote"] = found.votes.count(None)
    for name, values in speed.items():
        figures[f"{name}: words per engine-second"] = statistics.median(values)
        figures[f"{name}: balanced accuracy, least"] = min(right[name])
    ratios = [a / b for a, b in zip(*speed.values(), strict=True)]
    figures["word_votes over 5 rewrites: ratio, median"] = ratios
    figures["word_votes over 5 rewrites: ratio, least"] = min(ratios)
    word_votes = protocols["word_votes"]
    slow, saturated = [], []
    for _ in range(rounds):
        documents = generate(num_documents, next(seeds))
        at_once = measure(transport, word_votes, documents)
        slow.append(_ask_alone(word_votes, transport, next(seeds)))
        saturated.append(_num_words(documents) / at_once.seconds / slow[-1])
    figures["one request at a time: words per second"] = statistics.median(slow)
    figures["saturated over one at a time: ratio, median"] = saturated
    figures["saturated over one at a time: ratio, least"] = min(saturated)
    transport.close()
    print(json.dumps(figures))


def _open(engine: str) -> Transport:
    spec = ModelSpec(engine, str(FOLDER), dtype="float32", max_model_tokens=2_048)  # type: ignore[arg-type]  # a word of the command line
    settings = WorkerSettings(
        database_url="postgresql://none",
        broker_url="redis://none",
        artifacts="none",
        gpu_locks=Path(tempfile.mkdtemp()),
    )
    # No endpoint, so nothing is shared with other workers.
    return open_transport(spec, settings, None, "bench")  # type: ignore[arg-type]  # unused here


def _ask_alone(protocol: TeacherProtocol, transport: Transport, seed: int) -> float:
    """Ask a few documents one request at a time; words a second."""
    documents = generate(NUM_ONE_BY_ONE, seed)
    requests = [request for d in documents for request in protocol.requests(d.text)]
    started = time.perf_counter()
    for request in requests:
        list(transport.ask([request], tick=lambda: None, deadline_s=DEADLINE_S))
    return _num_words(documents) / (time.perf_counter() - started)


def _num_words(documents: list[Document]) -> int:
    return sum(len(document.text.split()) for document in documents)


if __name__ == "__main__":
    main()
