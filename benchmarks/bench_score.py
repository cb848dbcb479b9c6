"""Measure scoring on a CPU against headroom-ai 0.42.0's own compressor.

    python benchmarks/bench_score.py [--words 2000] [--rounds 3] [--keep FOLDER]

One checkpoint of ModernBERT-base's size, the same texts of the packaged sample, every
contender a process of its own, one pass each in turn. Prints one JSON object: words/s,
ratios to headroom's backends (median over the rounds) by the clock and by processor
time, and the share of equal keep decisions, also on words that no rule forces alone.
headroom's pytorch backend has another keep rule (docs/references.md).

The trunk is random and the heads are trained on it: the arithmetic and its depth are
those of a real student, in seconds. Agreement on students that were trained whole is a
test's business (tests/kompress/students/engines/test_registry.py).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from kompress.config import SIZES
from kompress.corpora.readers import load_sample
from kompress.export.client_rules import table_words
from kompress.export.headroom import export
from kompress.export.hub_cache import write_hub_cache
from kompress.must_keep.classify import classify_words
from kompress.students import Student
from kompress.students.chunks import cut_chunks
from kompress.students.matmul import fast_matmul
from kompress.students.model import StudentModel, keep_logits
from kompress.students.packing import Packing, convolve_rows
from kompress.students.tokenizer import WordTokenizer, train_tokenizer
from kompress.words import word_list

ROOT = Path(__file__).parents[1]
CLIENT = Path(".farm") / "client-venv"
REPO_ID = "kompress-farm/bench"
MIN_WORDS = 64  # shorter texts pass through headroom
TRAIN_WORDS = 2_000
ENGINES = ("torch", "onnx", "onnx-int8", "openvino", "openvino-int8")
FASTEST = "openvino-int8"
PEERS = {
    # headroom's default: the int8 file first.
    "headroom onnx": {"HEADROOM_KOMPRESS_BACKEND": "onnx"},
    "headroom onnx fp32": {
        "HEADROOM_KOMPRESS_BACKEND": "onnx",
        "HEADROOM_KOMPRESS_ONNX_FILENAME": "onnx/kompress-fp32.onnx",
    },
    "headroom pytorch": {"HEADROOM_KOMPRESS_BACKEND": "pytorch"},
}
# It gives up on time, silently; here it shall finish.
PATIENCE = {
    "HF_HUB_OFFLINE": "1",
    "HEADROOM_KOMPRESS_CANARY_SECONDS": "0",
    "HEADROOM_KOMPRESS_TIME_BUDGET_SECONDS": "0",
    "HEADROOM_KOMPRESS_ACQUIRE_TIMEOUT_SECONDS": "0",
    "HEADROOM_COMPRESSION_DEADLINE_MS": "0",
    "HEADROOM_KOMPRESS_EXECUTION_TIMEOUT_MS": "600000",
}


class Contender:
    """A process that compresses the texts whenever it is told to."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # our own argv
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=os.environ | environment,
        )
        self.backend = self._answer()["backend"]

    def ask(self, what: str) -> dict[str, Any]:
        """Send one line and read one answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        """Close its input and wait."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise SystemExit(f"{self._process.args} ended with {self._process.wait()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="a checkpoint to make or use again")
    arguments = parser.parse_args()
    prepare_client()
    with tempfile.TemporaryDirectory(prefix="farm-bench-") as scratch:
        folder = arguments.keep or Path(scratch) / "base"
        texts, others = choose_texts(arguments.words)
        if not folder.exists():
            print("a checkpoint …", file=sys.stderr)
            student = make_student(others)
            exported = export(student, folder / "export", REPO_ID)
            write_hub_cache(exported, folder / "hf")
            del student
        listing = Path(scratch) / "texts.json"
        listing.write_text(json.dumps(texts), encoding="utf-8")
        contenders = start(folder.absolute(), listing)
        passes, kept = race(contenders, arguments.rounds)
    print(json.dumps(report(texts, contenders, passes, kept), indent=1))


def prepare_client() -> None:
    """Make headroom's environment as `make test-client` does, if it is not there."""
    if not (ROOT / CLIENT / ".ready").exists():
        subprocess.run(["make", str(CLIENT / ".ready")], cwd=ROOT, check=True)  # noqa: S603, S607


def choose_texts(num_words: int) -> tuple[list[str], list[str]]:
    """Take every fourth text that headroom compresses, and others to train heads on."""
    texts = [document.text for document in load_sample()]
    long = [text for text in texts if len(text.split()) >= MIN_WORDS]
    return _up_to(long[::4], num_words), _up_to(long[1::4], TRAIN_WORDS)


def make_student(texts: list[str]) -> Student:
    """Make a base-size student: a random trunk and heads trained on it."""
    config = SIZES["base"]
    sample = [document.text for document in load_sample()]
    tokenizer = WordTokenizer(train_tokenizer(sample, config.vocab_size))
    torch.manual_seed(0)
    model = StudentModel(config).eval()
    words = [word_list(text) for text in texts]
    chunks = cut_chunks(words, tokenizer, config.max_tokens)
    must_N = classify_words([word for one in words for word in one], "farm") != 0
    target_T = np.where(chunks.word_T >= 0, must_N[chunks.word_T], 0)
    passes = []
    begin = 0
    with fast_matmul():
        for length in chunks.num_tokens_C.tolist():
            part = slice(begin, begin + length)
            packing = model.pack([length])
            ids_R = packing.spread(chunks.ids_T[part].astype(np.int64))
            with torch.no_grad():
                hidden_RE = model.encoder(ids_R, packing)
            target_R = packing.spread(target_T[part].astype(np.float32))
            weight_R = packing.spread((chunks.word_T[part] >= 0).astype(np.float32))
            passes.append((hidden_RE, packing, target_R, weight_R))
            begin += length
        train_heads(model, passes)
    return Student.from_model(
        model, tokenizer, recipe={"name": "bench"}, lineage={"parent": None}
    )


def train_heads(model: StudentModel, passes: list[Any]) -> None:
    """Fit both heads to the farm rule set's words on a frozen trunk."""
    first, second = model.span_conv[0], model.span_conv[2]

    def token_logits(hidden_RE: torch.Tensor, _: Packing) -> torch.Tensor:
        return keep_logits(hidden_RE, model.token_head)

    def span_logits(hidden_RE: torch.Tensor, packing: Packing) -> torch.Tensor:
        inner_RE = functional.gelu(convolve_rows(hidden_RE, first, packing))
        return convolve_rows(inner_RE, second, packing).squeeze(1)

    # The span head costs 600 times the token head's arithmetic, and learns as fast.
    for head, logits, num_epochs in (
        (model.token_head, token_logits, 30),
        (model.span_conv, span_logits, 2),
    ):
        optimizer = torch.optim.AdamW(head.parameters(), lr=2e-3)
        for hidden_RE, packing, target_R, weight_R in passes * num_epochs:
            optimizer.zero_grad()
            functional.binary_cross_entropy_with_logits(
                logits(hidden_RE, packing), target_R, weight_R
            ).backward()
            optimizer.step()


def start(folder: Path, listing: Path) -> dict[str, Contender]:
    """Start every contender, loaded and warm."""
    client = str(ROOT / CLIENT / "bin" / "python")
    script = str(Path(__file__).with_name("score_headroom.py"))
    home = PATIENCE | {"HF_HOME": str(folder / "hf")}
    contenders = {
        name: Contender([client, script, str(listing), REPO_ID], home | environment)
        for name, environment in PEERS.items()
    }
    ours = [sys.executable, "-m", "benchmarks.score_ours", str(listing)]
    student = str(folder / "export")
    for engine in ENGINES:
        contenders[engine] = Contender([*ours, student, engine], {})
    contenders[f"{FASTEST} one by one"] = Contender(
        [*ours, student, FASTEST, "one-by-one"], {}
    )
    return contenders


def race(
    contenders: dict[str, Contender], num_rounds: int
) -> tuple[dict[str, list[dict[str, float]]], dict[str, list[list[int]]]]:
    """Let each compress all texts in turn, `num_rounds` times."""
    passes: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    for _ in range(num_rounds):
        for name, contender in contenders.items():
            passes[name].append(contender.ask("go"))
    kept = {name: one.ask("masks")["kept"] for name, one in contenders.items()}
    for contender in contenders.values():
        contender.end()
    return passes, kept


def report(
    texts: list[str],
    contenders: dict[str, Contender],
    passes: dict[str, list[dict[str, float]]],
    kept: dict[str, list[list[int]]],
) -> dict[str, Any]:
    """Turn times and kept words into figures."""
    num_words = sum(len(text.split()) for text in texts)
    masks = {name: _mask(texts, lists) for name, lists in kept.items()}
    free = np.concatenate([_is_free(text) for text in texts])
    exact = masks["headroom onnx fp32"]

    def ratio(name: str, peer: str, what: str) -> float:
        pairs = zip(passes[peer], passes[name], strict=True)
        return round(statistics.median(one[what] / own[what] for one, own in pairs), 2)

    figures = {
        name: {
            "backend": contenders[name].backend,
            "words_per_s": round(num_words / min(one["seconds"] for one in times)),
            "words_per_cpu_s": round(num_words / min(one["cpu_s"] for one in times)),
            "times_peer": {peer: ratio(name, peer, "seconds") for peer in PEERS},
            # On a busy machine the clock says little, and the processor's time more.
            "times_peer_cpu": {peer: ratio(name, peer, "cpu_s") for peer in PEERS},
            "equal_to_default": float((masks[name] == masks["headroom onnx"]).mean()),
            "equal_to_fp32": float((masks[name] == exact).mean()),
            "equal_to_fp32_unforced": float((masks[name] == exact)[free].mean()),
        }
        for name, times in passes.items()
    }
    return {
        "texts": len(texts),
        "words": num_words,
        "cores": os.cpu_count(),
        "keep_rate": float(exact.mean()),
        "keep_rate_unforced": float(exact[free].mean()),
        "contenders": figures,
    }


def _up_to(texts: list[str], num_words: int) -> list[str]:
    ends = np.cumsum([len(text.split()) for text in texts])
    return texts[: int(np.searchsorted(ends, num_words)) + 1]


def _mask(texts: list[str], kept: list[list[int]]) -> Any:
    """(N,) which words of all texts were kept; none named means passed through."""
    masks = []
    for text, numbers in zip(texts, kept, strict=True):
        mask_N = np.full(len(text.split()), not numbers)
        mask_N[numbers] = True
        masks.append(mask_N)
    return np.concatenate(masks)


def _is_free(text: str) -> Any:
    """(N,) whether the score decides about a word, and no rule of the client."""
    return (classify_words(word_list(text), "headroom-0.42") == 0) & ~table_words(text)


if __name__ == "__main__":
    main()
