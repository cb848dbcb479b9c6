"""Ask the micro-teacher in an engine's own environment; bench_teach drives it.

    python -m benchmarks.teach_engine ENGINE NUM_DOCUMENTS ROUNDS

Prints one JSON object. An engine-second is a second in which the engine is asked:
loading it, making prompts and reading answers are outside. Words are those asked about,
whether or not a vote came of them.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kompress.corpora.generators import generate
from kompress.teachers import PROTOCOLS
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
    documents = generate(num_documents, HELD_OUT_SEED)
    started = time.perf_counter()
    transport = _open(engine)
    figures: dict[str, Any] = {"load_s": time.perf_counter() - started}
    protocols = {
        params["protocol"]: PROTOCOLS[params["protocol"]](
            ProtocolParams(**params), transport.capabilities
        )
        for params in (WORD_VOTES, REWRITE)
    }
    for protocol in protocols.values():
        measure(transport, protocol, documents)  # an engine's first steps are slow
    speed: dict[str, list[float]] = {name: [] for name in protocols}
    for _ in range(rounds):
        for name, protocol in protocols.items():
            found = measure(transport, protocol, documents)
            speed[name].append(_num_words(documents) / found.seconds)
            figures[f"{name}: balanced accuracy"] = found.balanced_accuracy
            figures[f"{name}: documents without a vote"] = found.votes.count(None)
    for name, values in speed.items():
        figures[f"{name}: words per engine-second"] = statistics.median(values)
    ratios = [a / b for a, b in zip(*speed.values(), strict=True)]
    figures["word_votes over 5 rewrites: ratio, median"] = ratios
    figures["word_votes over 5 rewrites: ratio, least"] = min(ratios)
    figures |= _saturation(protocols["word_votes"], transport, documents, rounds)
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


def _saturation(
    protocol: TeacherProtocol,
    transport: Transport,
    documents: list[Document],
    rounds: int,
) -> dict[str, Any]:
    """Ask a few documents one request at a time, and all of them at once, in turn."""
    few = documents[:NUM_ONE_BY_ONE]
    alone = [request for d in few for request in protocol.requests(d.text)]
    slow, ratios = [], []
    for _ in range(rounds):
        at_once = (
            _num_words(documents) / measure(transport, protocol, documents).seconds
        )
        started = time.perf_counter()
        for request in alone:
            list(transport.ask([request], tick=lambda: None, deadline_s=DEADLINE_S))
        slow.append(_num_words(few) / (time.perf_counter() - started))
        ratios.append(at_once / slow[-1])
    return {
        "one request at a time: words per second": statistics.median(slow),
        "saturated over one at a time: ratio, median": ratios,
        "saturated over one at a time: ratio, least": min(ratios),
    }


def _num_words(documents: list[Document]) -> int:
    return sum(len(document.text.split()) for document in documents)


if __name__ == "__main__":
    main()
