"""Print the micro-teacher's figures through vLLM; run it in vLLM's environment."""

import argparse
import tempfile
from pathlib import Path

from kompress.corpora.generators import generate
from kompress.teachers.protocol import ModelSpec, ProtocolParams
from kompress.teachers.request import Capabilities
from kompress.teachers.rewrite import Rewrite
from kompress.teachers.word_votes import WordVotes
from tests.micro_teacher.params import FOLDER, HELD_OUT_SEED, REWRITE, WORD_VOTES
from tests.micro_teacher.scoring import measure
from worker.transports.vllm_engine import VllmEngine

ALL = Capabilities(forced_tokens=True, logprobs=True, samples=True, prefix_cache=True)


def main() -> None:
    """Ask by both protocols in turn, so that both see the same machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    spec = ModelSpec("vllm", str(args.folder), dtype="float32", max_model_tokens=2_048)
    engine = VllmEngine(spec, gpu_locks=Path(tempfile.mkdtemp()))
    documents = generate(args.documents, HELD_OUT_SEED)
    for _ in range(args.repeats):
        for kind, params in ((WordVotes, WORD_VOTES), (Rewrite, REWRITE)):
            for criterion in ("agent", "qa"):
                protocol = kind(ProtocolParams(**params, criterion=criterion), ALL)
                found = measure(engine, protocol, documents)
                failed = sum(vote is None for vote in found.votes)
                line = (
                    f"{params['protocol']} {criterion}: "
                    f"balanced accuracy {found.balanced_accuracy:.3f}, "
                    f"{found.words_per_s:.0f} words/s, {failed} failed"
                )
                print(line, flush=True)  # noqa: T201
    engine.close()


if __name__ == "__main__":
    main()
