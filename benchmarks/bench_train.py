"""Measure training against transformers' Trainer: real tokens a second, equal loss.

    python -m benchmarks.bench_train [--threads 2] [--pairs 3] [--sizes demo,base]

Every trainer gets the same texts in the same tokens, the same labels and weights, the
same start weights, learning rate and schedule, as many tokens a step, and sees the same
real tokens. Peers: `Trainer` as it comes (padded, float32, transformers'
ModernBERT with its default attention), and tuned (bf16, batches of texts of like
length). Runs alternate, so that a busy machine slows all of them alike; a rate is the
median over the pairs, a ratio the median of the pairs' ratios. Prints one JSON object
with each trainer's rate and held-out loss, measured for all by one function in float32.
A second rate counts processor seconds, which neighbours on the machine disturb less;
ours has tokenising and writing the checkpoint in it, the peers' only their steps.

The base-like size has ModernBERT-base's widths, few layers and a small vocabulary, so
that the bench ends in minutes.
"""

import argparse
import json
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PrinterCallback, Trainer, TrainingArguments
from transformers.models.modernbert import ModernBertConfig, ModernBertModel

from kompress.config import SIZES, RecipeConfig
from kompress.corpora.readers import load_sample
from kompress.must_keep import classify_words
from kompress.students.model import StudentModel
from kompress.students.student import Student, load
from kompress.students.tokenizer import WordTokenizer, train_tokenizer
from kompress.training import TrainText, train
from kompress.training.loss import measure, weighted_loss
from kompress.training.texts import Prepared, prepare
from kompress.words import word_list

# The vocabulary is that of the tokenizer trained here.
CUT = {"num_layers": 3, "vocab_size": SIZES["demo"].vocab_size}
STUDENTS_BY_SIZE = {"demo": SIZES["demo"], "base": SIZES["base"].model_copy(update=CUT)}
# (texts trained on, held out, learning rate): the base-like size runs a few steps only.
WORK = {"demo": (200, 40, 1e-3), "base": (16, 8, 1e-4)}
BATCH_CHUNKS = 8  # Trainer's default
BARS = {"defaults": 1.5, "tuned": 1.1}


@dataclass(frozen=True)
class Task:
    """What every trainer of one size gets."""

    recipe: RecipeConfig
    texts: list[TrainText]
    data: Prepared
    held_out: Prepared
    start: Student


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--sizes", default="demo,base")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore")
    figures: dict[str, Any] = {"threads": arguments.threads}
    for size in arguments.sizes.split(","):
        task = prepare_task(size, arguments.threads)
        runs: dict[str, list[dict[str, float]]] = {}
        # Before the clock runs: kernels are planned and libraries loaded.
        for pair in range(-1, arguments.pairs):
            for name, trainer in TRAINERS.items():
                result = trainer(task, warm_up=pair < 0)
                if pair >= 0:
                    runs.setdefault(name, []).append(result)
        figures[size] = summarise(task, runs)
        print(json.dumps({size: figures[size]}, indent=1), flush=True)
    print(json.dumps(figures))


def prepare_task(size: str, threads: int) -> Task:
    num_texts, num_held_out, rate = WORK[size]
    documents = [document.text for document in load_sample()]
    held_out = documents[::6][:num_held_out]
    shown = [text for number, text in enumerate(documents) if number % 6]
    config = STUDENTS_BY_SIZE[size]
    recipe = RecipeConfig(student=config, num_threads=threads, learning_rate=rate)
    tokenizer = WordTokenizer(train_tokenizer(shown, config.vocab_size))
    texts = [label(text) for text in shown[:num_texts]]
    data = prepare(texts, recipe, tokenizer)
    # As many tokens a step as the peers' batches hold on average.
    batch_tokens = int(BATCH_CHUNKS * data.chunks.num_tokens_C.mean())
    recipe = recipe.model_copy(update={"batch_tokens": batch_tokens})
    torch.manual_seed(0)
    start = Student.from_model(StudentModel(config), tokenizer, recipe={}, lineage={})
    return Task(
        recipe=recipe,
        texts=texts,
        data=data,
        held_out=prepare([label(text) for text in held_out], recipe, tokenizer),
        start=start,
    )


def label(text: str) -> TrainText:
    """Use the farm rule set as an easy truth: the bench needs something learnable."""
    keep_N = classify_words(word_list(text), "farm") != 0
    return TrainText(text, keep_N.astype(np.float64))


def run_ours(task: Task, *, warm_up: bool) -> dict[str, float]:
    cpu_started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = train(
            task.texts,
            task.recipe,
            tokenizer_json=None,
            init=task.start,
            epochs=1,
            seed=0,
            folder=Path(folder),
            resume=None,
            progress=lambda *_: None,
            max_tokens=4_000 if warm_up else None,
        )
        cpu_seconds = time.process_time() - cpu_started
        model = load(folder).model
    if warm_up:
        return {}
    return {
        "tokens_per_s": result.num_new_tokens / result.seconds,
        "tokens_per_cpu_s": result.num_new_tokens / cpu_seconds,
        "mfu": result.num_flops / result.seconds / result.peak_flops,
        "held_out_loss": held_out_loss(task, model),
    }


class Peer(nn.Module):
    """The same architecture out of transformers' parts, as people write it."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        config = task.recipe.student
        self.encoder = ModernBertModel(
            ModernBertConfig(
                vocab_size=config.vocab_size,
                hidden_size=config.hidden_size,
                intermediate_size=config.intermediate_size,
                num_hidden_layers=config.num_layers,
                num_attention_heads=config.num_heads,
                local_attention=config.local_attention,
                global_attn_every_n_layers=config.global_every,
                max_position_embeddings=config.max_tokens,
                pad_token_id=0,
                bos_token_id=2,
                cls_token_id=2,
                eos_token_id=3,
                sep_token_id=3,
            )
        )
        self.token_dropout = nn.Dropout(0.1)
        self.token_head = nn.Linear(config.hidden_size, 2)
        self.span_conv = nn.Sequential(
            nn.Conv1d(config.hidden_size, config.span_channels, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(config.span_channels, 1, 3, padding=1),
            nn.Sigmoid(),
        )
        self.load_state_dict(task.start.model.state_dict())
        self.span_weight = task.recipe.span_weight

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        weights: Tensor,
    ) -> dict[str, Tensor]:
        """Give the loss of one padded batch."""
        hidden = self.encoder(input_ids, attention_mask=attention_mask)[0]
        logits = self.token_head(self.token_dropout(hidden)).float()
        # Padding is blanked, so that a text's end sees zeros, as it would alone.
        blanked = (hidden * attention_mask[..., None].to(hidden.dtype)).transpose(1, 2)
        span = self.span_conv[:3](blanked)[:, 0].float()
        keep = logits[..., 1] - logits[..., 0]
        loss = weighted_loss(
            keep.flatten(),
            span.flatten(),
            labels.flatten(),
            weights.flatten(),
            self.span_weight,
        )
        return {"loss": loss}


def run_peer(task: Task, *, warm_up: bool, tuned: bool) -> dict[str, float]:
    rows = peer_rows(task.data)
    if warm_up:
        rows = rows[: 2 * BATCH_CHUNKS]
    extra: dict[str, Any] = {}
    if tuned:
        extra = {"bf16": True, "train_sampling_strategy": "group_by_length"}
    recipe = task.recipe
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH_CHUNKS,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            adam_beta2=0.98,
            lr_scheduler_type="cosine",
            warmup_steps=recipe.warmup_share,
            max_grad_norm=recipe.clip_norm,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            remove_unused_columns=False,
            seed=0,
            **extra,
        )
        model = Peer(task)
        trainer = Trainer(
            model=model, args=settings, train_dataset=rows, data_collator=collate
        )
        trainer.remove_callback(PrinterCallback)
        started, cpu_started = time.perf_counter(), time.process_time()
        trainer.train()
        seconds = time.perf_counter() - started
        cpu_seconds = time.process_time() - cpu_started
    if warm_up:
        return {}
    ours = StudentModel(recipe.student)
    ours.load_state_dict(model.state_dict())
    num_tokens = sum(len(row["input_ids"]) for row in rows)
    return {
        "tokens_per_s": num_tokens / seconds,
        "tokens_per_cpu_s": num_tokens / cpu_seconds,
        "held_out_loss": held_out_loss(task, ours),
    }


def peer_rows(data: Prepared) -> list[dict[str, Any]]:
    ends = data.chunks.end_C[:-1]
    columns = (data.chunks.ids_T.astype(np.int64), data.target_T, data.weight_T)
    return [
        {"input_ids": ids, "labels": labels, "weights": weights}
        for ids, labels, weights in zip(
            *(np.split(column, ends) for column in columns), strict=True
        )
    ]


def collate(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Pad to the batch's longest, as the default collator of tokens does."""
    width = max(len(row["input_ids"]) for row in rows)
    out = {
        "input_ids": torch.zeros(len(rows), width, dtype=torch.long),
        "attention_mask": torch.zeros(len(rows), width, dtype=torch.long),
        "labels": torch.zeros(len(rows), width),
        "weights": torch.zeros(len(rows), width),
    }
    for number, row in enumerate(rows):
        length = len(row["input_ids"])
        out["attention_mask"][number, :length] = 1
        for name in ("input_ids", "labels", "weights"):
            out[name][number, :length] = torch.from_numpy(row[name])
    return out


def held_out_loss(task: Task, model: Any) -> float:
    loss = measure(model, task.held_out, None, task.recipe, torch.float32)
    assert loss is not None
    return loss


def summarise(task: Task, runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    before = held_out_loss(task, task.start.model)
    out: dict[str, Any] = {
        "real_tokens": len(task.data.chunks.ids_T),
        "held_out_loss_before": before,
    }
    for name, results in runs.items():
        out[name] = {
            key: float(np.median([result[key] for result in results]))
            for key in results[0]
        }
    for name, bar in BARS.items():
        ratios = [
            ours["tokens_per_s"] / theirs["tokens_per_s"]
            for ours, theirs in zip(runs["ours"], runs[name], strict=True)
        ]
        out[f"times_{name}"] = {"ratio": float(np.median(ratios)), "bar": bar}
        out[f"times_{name}"]["all"] = [round(ratio, 3) for ratio in ratios]
    return out


TRAINERS: dict[str, Any] = {
    "ours": run_ours,
    "defaults": lambda task, **k: run_peer(task, tuned=False, **k),
    "tuned": lambda task, **k: run_peer(task, tuned=True, **k),
}


if __name__ == "__main__":
    main()
