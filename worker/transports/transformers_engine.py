"""A local causal model without vLLM: requests of similar length, batch by batch.

Slower than vLLM, and right wherever `transformers` runs. Answers do not depend on the
batch a request was in, but for the last digits.

B = rows of a batch (a request's samples follow each other), P = longest prompt,
V = vocabulary
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from kompress.errors import InvalidConfig
from kompress.teachers.protocol import LOCAL, ModelSpec
from kompress.teachers.request import Answer, AskFailed, Request, Sample
from worker.errors import EngineDied
from worker.transports.chat import ChatTokenizer, context_length
from worker.transports.devices import VISIBLE, hold
from worker.transports.ticker import Ticker

# A batch's keys and values: at 128 KB a token of an 8B model, 4 GB.
MAX_BATCH_TOKENS = {"cuda": 32_768, "cpu": 16_384}
MAX_ROWS = {"cuda": 256, "cpu": 64}


class TransformersEngine:
    """A model in transformers; see `worker.transports.transport.Transport`.

    Args:
        spec: model, revision, dtype and context length; it runs on one GPU at most.
        gpu_locks: folder of the devices' locks.

    Raises:
        NotHere: the GPU is held by another process.
        InvalidConfig: there is no such model, or it wants several GPUs.
        EngineDied: the device broke while the model loaded.
    """

    capabilities = LOCAL["transformers"]

    def __init__(self, spec: ModelSpec, *, gpu_locks: Path) -> None:
        if spec.gpus > 1:
            raise InvalidConfig(
                f"found gpus = {spec.gpus} for the engine transformers; expected 0 or "
                "1: it does not spread a model; take the engine vllm"
            )
        self._devices = hold(gpu_locks, 1, os.environ)
        self._death: str | None = None
        try:
            if self._devices.ids:
                os.environ[VISIBLE] = self._devices.ids[0]
            self._device = torch.device("cuda" if self._devices.ids else "cpu")
            self._model: Any = _load(spec, self._device)
            max_tokens = context_length(self._model.config, spec.max_model_tokens)
            tokenizer = AutoTokenizer.from_pretrained(
                spec.model, revision=spec.revision or None
            )
        except BaseException:
            self._devices.release()
            raise
        self._chat = ChatTokenizer(tokenizer, max_tokens)
        self._ends = _end_tokens(self._model, tokenizer)

    def ask(
        self,
        requests: Sequence[Request],
        *,
        tick: Callable[[], None],
        deadline_s: float,
    ) -> Iterator[tuple[int, Answer | AskFailed]]:
        """Answer requests, a batch at a time; see `Transport.ask`.

        Raises:
            EngineDied: the device can compute nothing any more.
            InvalidConfig: a choice is not one token of the model's.
        """
        if self._death is not None:
            raise EngineDied(_explain_death(self._death))
        ticker = Ticker(tick, deadline_s)
        asked: list[_Asked] = []
        for place, request in enumerate(requests):
            refusal = self._chat.refusal(request)
            if refusal is not None:
                yield place, AskFailed(refusal, is_transient=False)
                continue
            asked.append(_Asked(place, request, self._chat))
            ticker.beat()
        batches = _batches(asked, self._device.type)[::-1]
        while batches:
            batch = batches.pop()
            yield from self._answer(batch, batches, ticker)

    def max_tokens(self, request: Request) -> tuple[int, int]:
        """Give the exact input and the most output tokens of a request."""
        return self._chat.max_tokens(request)

    def close(self) -> None:
        """Drop the model and free the device."""
        self._death = self._death or "it was closed"
        self._model = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        self._devices.release()

    def _answer(
        self,
        batch: "list[_Asked]",
        batches: "list[list[_Asked]]",
        ticker: Ticker,
    ) -> Iterator[tuple[int, Answer | AskFailed]]:
        """Answer one batch; one too large for the device's memory is halved."""
        rows = [row for asked in batch for row in asked.rows]
        failed = ticker.late()
        try:
            is_done = not ticker.is_late() and self._generate(batch, rows, ticker)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            for row in rows:
                row.clear()
            if len(batch) > 1:
                half = len(batch) // 2
                batches += [batch[half:], batch[:half]]
                return
            is_done = False
            failed = AskFailed(
                f"the request does not fit into the device's memory ({error}); ask in "
                "smaller chunks, or for fewer samples",
                is_transient=False,
            )
        except RuntimeError as error:
            self._death = f"{type(error).__name__}: {error}"
            raise EngineDied(_explain_death(self._death)) from error
        for asked in batch:
            answer = asked.answer(self._chat, self._ends) if is_done else failed
            yield asked.place, answer

    @torch.inference_mode()
    def _generate(
        self, batch: "list[_Asked]", rows: "list[_Row]", ticker: Ticker
    ) -> bool:
        """Extend each row until all are done; False if it got too late."""
        pad = max(len(asked.prompt) for asked in batch)
        ids_BP = [[0] * (pad - len(a.prompt)) + a.prompt for a in batch]
        seen_BP = [[0] * (pad - len(a.prompt)) + [1] * len(a.prompt) for a in batch]
        input_BP = torch.tensor(ids_BP, device=self._device)
        mask_BP = torch.tensor(seen_BP, device=self._device)
        out = self._forward(input_BP, mask_BP, None)
        repeats = torch.tensor([len(a.rows) for a in batch], device=self._device)
        logits_BV, cache = out.logits[:, -1], out.past_key_values
        if len(rows) > len(batch):
            # Samples share the prompt's computation.
            of_request = torch.arange(len(batch), device=self._device)
            rows_B = of_request.repeat_interleave(repeats)
            cache.batch_select_indices(rows_B)
            logits_BV, mask_BP = logits_BV[rows_B], mask_BP[rows_B]
        while True:
            # On the CPU in full precision: a row's few tokens, and equal everywhere.
            token_B = _choose(logits_BV.float(), rows, self._ends)
            if all(row.is_done for row in rows):
                return True
            ticker.beat()
            if ticker.is_late():
                return False
            mask_BP = torch.cat([mask_BP, mask_BP.new_ones(len(rows), 1)], dim=1)
            out = self._forward(token_B[:, None], mask_BP, cache)
            logits_BV, cache = out.logits[:, -1], out.past_key_values

    def _forward(self, input_BT: Tensor, mask_BP: Tensor, cache: Any) -> Any:
        position_BP = (mask_BP.cumsum(1) - 1).clamp(min=0)
        return self._model(
            input_ids=input_BT,
            attention_mask=mask_BP,
            position_ids=position_BP[:, -input_BT.shape[1] :],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )


@dataclass(slots=True)
class _Row:
    """One sample as it grows."""

    request: Request
    choice_ids: list[int]
    number: int
    tokens: list[int] = field(default_factory=list)
    probs: list[tuple[float, ...]] = field(default_factory=list)
    is_done: bool = False

    def clear(self) -> None:
        self.tokens, self.probs, self.is_done = [], [], False

    def uniform(self) -> float:
        """Draw the next number in 0..1: of the seed, the sample and the place alone."""
        entropy = (self.request.seed % 2**64, self.number, len(self.tokens))
        return float(np.random.default_rng(entropy).random())


class _Asked:
    """One request on its way."""

    def __init__(self, place: int, request: Request, chat: ChatTokenizer) -> None:
        self.place = place
        self.request = request
        self.prompt = chat.prompt(request)
        ids = chat.choice_ids(request.choices) if request.choices else []
        self.rows = [_Row(request, ids, n) for n in range(request.num_drawn)]

    def answer(self, chat: ChatTokenizer, ends: frozenset[int]) -> Answer:
        samples = tuple(_sample(row, chat, ends) for row in self.rows)
        if len(samples) < self.request.num_samples:
            samples *= self.request.num_samples
        return Answer(
            samples,
            input_tokens=len(self.prompt),
            output_tokens=sum(len(row.tokens) for row in self.rows),
        )


def _batches(asked: Sequence[_Asked], device: str) -> list[list[_Asked]]:
    """Group by length, so that little is padded, within the device's budget."""
    ordered = sorted(asked, key=lambda a: (len(a.prompt), a.request.max_tokens))
    batches: list[list[_Asked]] = []
    num_rows = longest = 0
    for one in ordered:
        num_rows += len(one.rows)
        longest = max(longest, len(one.prompt) + one.request.max_tokens)
        if not batches or (
            num_rows > MAX_ROWS[device] or num_rows * longest > MAX_BATCH_TOKENS[device]
        ):
            batches.append([])
            num_rows = len(one.rows)
            longest = len(one.prompt) + one.request.max_tokens
        batches[-1].append(one)
    return batches


def _choose(logits_BV: Tensor, rows: Sequence[_Row], ends: frozenset[int]) -> Tensor:
    """Give each row its next token, and write it down unless the row is done."""
    likeliest_B = logits_BV.argmax(1).tolist()
    tokens = []
    for number, row in enumerate(rows):
        if row.is_done:
            tokens.append(row.tokens[-1])
            continue
        logits_V = logits_BV[number]
        if row.choice_ids:
            logits_V = logits_V[row.choice_ids]
            if row.request.logprobs:
                row.probs.append(tuple(logits_V.double().softmax(0).tolist()))
        if row.request.temperature:
            token = _draw(logits_V / row.request.temperature, row.uniform())
        elif row.choice_ids:
            token = int(logits_V.argmax())
        else:
            token = likeliest_B[number]
        if row.choice_ids:
            token = row.choice_ids[token]
        row.tokens.append(token)
        is_end = not row.choice_ids and token in ends
        row.is_done = is_end or len(row.tokens) == row.request.max_tokens
        tokens.append(token)
    return torch.tensor(tokens, device=logits_BV.device)


def _draw(logits_V: Tensor, uniform: float) -> int:
    """Draw a token by the inverse of its distribution function."""
    upto_V = logits_V.double().softmax(0).cumsum(0)
    place = int(torch.searchsorted(upto_V, uniform * float(upto_V[-1]), right=True))
    return min(place, len(upto_V) - 1)


def _sample(row: _Row, chat: ChatTokenizer, ends: frozenset[int]) -> Sample:
    if row.choice_ids:
        choices = row.request.choices
        text = "".join(choices[row.choice_ids.index(token)] for token in row.tokens)
        return Sample(text, "length", tuple(row.probs) or None)
    is_stopped = row.tokens[-1] in ends
    text = chat.decode(row.tokens[:-1] if is_stopped else row.tokens)
    return Sample(text, "stop" if is_stopped else "length")


def _load(spec: ModelSpec, device: torch.device) -> Any:
    """Load the weights; on a CPU `auto` is full precision."""
    on_cpu = "float32" if device.type == "cpu" else "bfloat16"
    dtype = getattr(torch, on_cpu if spec.dtype == "auto" else spec.dtype)
    revision = spec.revision or None
    try:
        config = AutoConfig.from_pretrained(spec.model, revision=revision)
        model: Any = AutoModelForCausalLM.from_pretrained(
            spec.model, revision=revision, config=config, dtype=dtype
        )
    except (OSError, ValueError) as error:
        raise InvalidConfig(
            f"the model {spec.model!r} (revision {spec.revision or 'newest'!r}) cannot "
            f"be loaded by transformers: {error}; correct the voter's settings, or put "
            "the model where this worker finds it"
        ) from error
    try:
        return model.to(device).eval()
    except RuntimeError as error:
        raise EngineDied(
            f"{device} broke while {spec.model!r} was loaded ({error}); the process "
            "restarts; is the device's memory free?"
        ) from error


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Give the tokens that end an answer."""
    ends = model.generation_config.eos_token_id
    listed = ends if isinstance(ends, list) else [ends]
    return frozenset(
        token for token in [*listed, tokenizer.eos_token_id] if token is not None
    )


def _explain_death(death: str) -> str:
    return (
        f"the model's device failed ({death}); it answers nothing any more: the "
        "process must restart"
    )
