"""What brevity loses: references of one teacher at growing budgets, by kind.

    python -m benchmarks brevity

The micro-teacher says P(keep) of every word of held-out generated documents; a
reference of budget b keeps the likeliest b of each document's words. Gold recall is the
share of words that the planted facts need, mk_in_ref that of the `farm` rules' words:
most of these are filler here, and a good teacher drops them. No engine but
`transformers` is needed. (The micro-teacher was not taught `rewrite` with a budget.)
"""

import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from kompress.corpora.generators import generate
from kompress.metrics.keep_rate import keep_top
from kompress.must_keep import classify_words
from kompress.teachers import make_protocol
from kompress.teachers.protocol import ModelSpec, ProtocolParams
from kompress.types import ABSTAIN, decode_votes
from tests.micro_teacher.params import FOLDER, HELD_OUT_SEED, WORD_VOTES
from tests.micro_teacher.scoring import measure
from worker.transports.transformers_engine import TransformersEngine

NUM_DOCUMENTS = 200
BUDGETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)


def main() -> dict[str, float]:
    documents = generate(NUM_DOCUMENTS, HELD_OUT_SEED)
    spec = ModelSpec("transformers", str(FOLDER), dtype="float32")
    engine = TransformersEngine(spec, gpu_locks=Path(tempfile.mkdtemp()))
    protocol = make_protocol(ProtocolParams(**WORD_VOTES), engine.capabilities)
    votes = measure(engine, protocol, documents).votes
    engine.close()
    # kept and all, of gold's words and of must-keep words
    counts: dict[tuple[str, float], np.ndarray[tuple[int, ...], np.dtype[np.int64]]]
    counts = defaultdict(lambda: np.zeros(4, dtype=np.int64))
    for document, vote in zip(documents, votes, strict=True):
        assert document.gold is not None
        assert vote is not None
        codes_N = document.gold.codes_N
        needed_N = (codes_N != ABSTAIN) & (codes_N >= 127)
        must_N = classify_words(document.text.split()) > 0
        p_N = decode_votes(vote.codes_N)
        for budget in BUDGETS:
            keep_N = keep_top(p_N, budget)
            row = [
                (keep_N & needed_N).sum(), needed_N.sum(),
                (keep_N & must_N).sum(), must_N.sum(),
            ]  # fmt: skip
            for kind in (document.kind, "all"):
                counts[kind, budget] += np.array(row)
    figures = {}
    for kind in sorted({kind for kind, _ in counts}):
        for budget in BUDGETS:
            gold_kept, gold_all, must_kept, must_all = counts[kind, budget]
            name = f"brevity {kind} at {budget}"
            figures[f"{name}: gold recall"] = float(gold_kept / gold_all)
            figures[f"{name}: mk_in_ref"] = float(must_kept / must_all)
    for name, value in figures.items():
        print(f"{name:50} {value:6.3f}")
    return figures


if __name__ == "__main__":
    main()
