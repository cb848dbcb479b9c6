"""Train the micro-teacher; what came of it stands in README.md. Outside CI.

B = examples of a batch, T = tokens of the longest, V = tokens of the vocabulary
"""

import argparse
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import Qwen2Config, Qwen2ForCausalLM

from kompress.corpora.generators import generate
from tests.micro_teacher.examples import (
    ASSISTANT,
    CHAT_TEMPLATE,
    END,
    PAD,
    USER,
    Example,
    make_examples,
    make_tokenizer,
)
from tests.micro_teacher.params import FOLDER, NUM_TRAIN_DOCUMENTS, TRAIN_SEED

VOCAB_SIZE = 560
HIDDEN_SIZE, NUM_LAYERS, HEAD_SIZE = 160, 4, 32
MAX_TOKENS = 2_048
TOKENIZER_DOCUMENTS = 1_500
BATCH_TOKENS = 6_000
POOL_EXAMPLES = 2_048  # sorted by length, then cut into batches
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
WARMUP_STEPS = 50
DECAY_SHARE = 0.5  # of the steps, at the end
# Reading the text helps to copy it; writing the answer is what counts.
PROMPT_WEIGHT = 0.1
SAVE_EVERY = 500


def main() -> None:
    """Train from nothing and save as a folder that any engine loads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    documents = generate(NUM_TRAIN_DOCUMENTS, TRAIN_SEED)
    tokenizer = make_tokenizer(documents[:TOKENIZER_DOCUMENTS], VOCAB_SIZE)
    examples = list(make_examples(documents, tokenizer, Random(0)))
    model = make_model(tokenizer)
    num_weights = sum(weight.numel() for weight in model.parameters())
    print(f"{num_weights:,} parameters")  # noqa: T201
    train(model, examples, tokenizer, steps=args.steps, folder=args.folder)
    save(model, tokenizer, args.folder)


def make_model(tokenizer: Tokenizer) -> Qwen2ForCausalLM:
    """Build a small Qwen2 with random weights."""
    num_heads = HIDDEN_SIZE // HEAD_SIZE
    config = Qwen2Config(
        vocab_size=VOCAB_SIZE,
        hidden_size=HIDDEN_SIZE,
        intermediate_size=448,
        num_hidden_layers=NUM_LAYERS,
        num_attention_heads=num_heads,
        num_key_value_heads=num_heads,
        max_position_embeddings=MAX_TOKENS,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.token_to_id(END),
        bos_token_id=None,
        pad_token_id=tokenizer.token_to_id(PAD),
    )
    return Qwen2ForCausalLM(config)


def train(
    model: Qwen2ForCausalLM,
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    *,
    steps: int,
    folder: Path,
) -> None:
    """Fit answers, and a little the prompts, by Muon and AdamW."""
    optimizers = _optimizers(model)
    stream = _batches(examples, Random(1))
    user = tokenizer.token_to_id(USER)
    started_s = time.monotonic()
    for step in range(1, steps + 1):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * _pace(step, steps)
        loss = _loss(model, *_collate(next(stream), user))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if step % 100 == 0:
            passed_s = time.monotonic() - started_s
            line = f"step {step}: {passed_s:.0f} s, loss {loss.item():.3f}"
            print(line, flush=True)  # noqa: T201
        if step % SAVE_EVERY == 0:
            save(model, tokenizer, folder)


def save(model: Qwen2ForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write config, bf16 weights and tokenizer, each file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / "fresh"
    fresh.mkdir(exist_ok=True)
    config = {**model.config.to_dict(), "dtype": "bfloat16"}
    config["architectures"] = ["Qwen2ForCausalLM"]
    (fresh / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True))
    # The output layer is the embedding: stored once.
    weights = {
        name: tensor.detach().to(torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"
    }
    save_file(weights, fresh / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(fresh / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "additional_special_tokens": [USER, ASSISTANT],
        "clean_up_tokenization_spaces": False,
        "model_max_length": MAX_TOKENS,
        "chat_template": CHAT_TEMPLATE,
    }
    text = json.dumps(settings, indent=2, sort_keys=True)
    (fresh / "tokenizer_config.json").write_text(text + "\n")
    for path in fresh.iterdir():
        path.replace(folder / path.name)
    shutil.rmtree(fresh)


def _optimizers(model: Qwen2ForCausalLM) -> list[torch.optim.Optimizer]:
    matrices, others = [], []
    for name, weight in model.named_parameters():
        is_matrix = weight.ndim == 2 and "embed" not in name
        (matrices if is_matrix else others).append(weight)
    return [
        torch.optim.Muon(
            matrices,
            lr=LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(
            others, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0
        ),
    ]


def _pace(step: int, steps: int) -> float:
    """Warm up, hold, then go down in a line."""
    rest = (steps - step) / max(1, DECAY_SHARE * steps)
    return min(1.0, step / WARMUP_STEPS, max(0.01, rest))


def _batches(examples: Sequence[Example], rng: Random) -> Iterator[list[Example]]:
    """Give batches of examples of similar length, without end."""
    order = list(examples)
    while True:
        rng.shuffle(order)
        for start in range(0, len(order), POOL_EXAMPLES):
            pool = sorted(order[start : start + POOL_EXAMPLES], key=len)
            batches: list[list[Example]] = [[]]
            for example in pool:
                if (len(batches[-1]) + 1) * len(example) > BATCH_TOKENS:
                    batches.append([])
                batches[-1].append(example)
            rng.shuffle(batches)
            yield from batches


def _collate(batch: Sequence[Example], user: int) -> tuple[Tensor, Tensor, Tensor]:
    """Lay out tokens, targets and weights, each (B, T); padding comes last."""
    shape = (len(batch), max(map(len, batch)))
    tokens_BT = torch.zeros(shape, dtype=torch.long)
    target_BT = torch.zeros(shape, dtype=torch.long)
    weight_BT = torch.zeros(shape)
    for row, example in enumerate(batch):
        start, end = len(example.prompt), len(example)
        tokens_BT[row, :end] = torch.tensor(example.prompt + example.shown)
        target_BT[row, : end - 1] = tokens_BT[row, 1:end]
        target_BT[row, start - 1 : end - 1] = torch.tensor(example.answer)
        # The instruction is always the same: nothing to learn.
        weight_BT[row, example.prompt.index(user) : start - 1] = PROMPT_WEIGHT
        weight_BT[row, start - 1 : end - 1] = torch.tensor(example.is_known).float()
    return tokens_BT, target_BT, weight_BT


def _loss(
    model: Qwen2ForCausalLM, tokens_BT: Tensor, target_BT: Tensor, weight_BT: Tensor
) -> Tensor:
    # Padding comes last, and no token sees a later one: no mask is needed.
    with torch.autocast("cpu", torch.bfloat16):
        hidden_BTD = model.model(input_ids=tokens_BT, use_cache=False).last_hidden_state
        wanted_BT = weight_BT > 0
        logits_V = model.lm_head(hidden_BTD[wanted_BT])
    loss = cross_entropy(logits_V.float(), target_BT[wanted_BT], reduction="none")
    weight = weight_BT[wanted_BT]
    return (loss * weight).sum() / weight.sum()


if __name__ == "__main__":
    main()
