"""vLLM in this process: one model, loaded once, whole shards in flight.

The engine is stepped here, not by `LLM.generate`, so that answers come as they are
done, flags are looked at between steps, and open requests can be aborted.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import vllm
from transformers import AutoConfig
from vllm.exceptions import VLLMClientError
from vllm.sampling_params import RequestOutputKind

from kompress.errors import InvalidConfig
from kompress.teachers.protocol import LOCAL, ModelSpec
from kompress.teachers.request import Answer, AskFailed, Request, Sample
from worker.errors import EngineDied
from worker.transports.chat import ChatTokenizer, context_length
from worker.transports.devices import VISIBLE, HeldDevices, hold
from worker.transports.ticker import Ticker

MAX_SEQUENCES = 512
# Twice what runs at once waits in the engine, so that it never runs dry.
MAX_OPEN = 1_024
# Tokens of one step on a CPU: vLLM's own default there.
CPU_BATCH = 4_096
# What vLLM reads while it loads. In this process, so that a CUDA error is ours to see;
# on a CPU it would bind every thread of the worker to cores.
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
# torch's seeds are signed, and a sample adds its number.
_SEED_MASK = 2**62 - 1


class VllmEngine:
    """A model in vLLM; see `worker.transports.transport.Transport`.

    Args:
        spec: model, revision, dtype, GPUs and context length.
        gpu_locks: folder of the devices' locks.

    Raises:
        NotHere: a GPU is held by another process.
        InvalidConfig: there is no such model, or vLLM cannot run it.
        EngineDied: the engine broke while it loaded.
    """

    capabilities = LOCAL["vllm"]

    def __init__(self, spec: ModelSpec, *, gpu_locks: Path) -> None:
        self._devices = hold(gpu_locks, spec.gpus, os.environ)
        self._num_asked = 0
        self._death: str | None = None
        try:
            max_tokens = _context(spec)
            self._llm = _load(spec, self._devices, max_tokens)
        except BaseException:
            self._devices.release()
            raise
        self._engine = self._llm.llm_engine
        self._chat = ChatTokenizer(self._llm.get_tokenizer(), max_tokens)

    def ask(
        self,
        requests: Sequence[Request],
        *,
        tick: Callable[[], None],
        deadline_s: float,
    ) -> Iterator[tuple[int, Answer | AskFailed]]:
        """Answer requests as they are done; see `Transport.ask`.

        Raises:
            EngineDied: the engine can answer nothing any more.
            InvalidConfig: a choice is not one token of the model's.
        """
        ticker = Ticker(tick, deadline_s)
        waiting = list(enumerate(requests))[::-1]
        open_ids: dict[str, int] = {}
        try:
            while waiting or open_ids:
                while waiting and len(open_ids) < MAX_OPEN:
                    place, request = waiting.pop()
                    failed = self._add(place, request, open_ids)
                    if failed is not None:
                        yield place, failed
                    ticker.beat()
                for output in self._step() if open_ids else ():
                    place = open_ids.pop(output.request_id)
                    yield place, self._answer(requests[place], output)
                ticker.beat()
                if ticker.is_late():
                    break
            for place in [*open_ids.values(), *(place for place, _ in waiting)]:
                yield place, ticker.late()
        finally:
            # Also when `tick` raises, and when the caller wants no more.
            if open_ids and self._death is None:
                self._engine.abort_request(list(open_ids))

    def max_tokens(self, request: Request) -> tuple[int, int]:
        """Give the exact input and the most output tokens of a request."""
        return self._chat.max_tokens(request)

    def close(self) -> None:
        """Drop the model; what vLLM itself keeps ends with the process."""
        core = getattr(self._engine, "engine_core", None)
        if core is not None and self._death is None:
            self._death = "it was closed"
            core.shutdown()
        self._devices.release()

    def _add(
        self, place: int, request: Request, open_ids: dict[str, int]
    ) -> AskFailed | None:
        """Hand a request to the engine; why not, if it cannot be asked."""
        refusal = self._chat.refusal(request)
        if refusal is not None:
            return AskFailed(refusal, is_transient=False)
        sampling = _sampling(request, self._chat)
        self._num_asked += 1
        key = f"farm-{self._num_asked}"
        prompt = {"prompt_token_ids": self._chat.prompt(request)}
        try:
            self._engine.add_request(key, prompt, sampling)
        except (VLLMClientError, ValueError, TypeError) as error:
            return AskFailed(f"vLLM refuses the request: {error}", is_transient=False)
        except Exception as error:
            raise self._dead(error) from error
        open_ids[key] = place
        return None

    def _step(self) -> list[Any]:
        """Compute one token of each running request; give the finished ones."""
        if self._death is not None:
            raise EngineDied(_explain_death(self._death))
        try:
            return [output for output in self._engine.step() if output.finished]
        except Exception as error:
            # Its queues and caches are in an unknown state, whatever it was.
            raise self._dead(error) from error

    def _dead(self, error: Exception) -> EngineDied:
        self._death = f"{type(error).__name__}: {error}"
        return EngineDied(_explain_death(self._death))

    def _answer(self, request: Request, output: Any) -> Answer:
        """Read a finished output."""
        samples = tuple(self._sample(request, drawn) for drawn in output.outputs)
        num_output = sum(len(drawn.token_ids) for drawn in output.outputs)
        if len(samples) < request.num_samples:
            samples *= request.num_samples
        return Answer(
            samples,
            input_tokens=len(output.prompt_token_ids),
            output_tokens=num_output,
        )

    def _sample(self, request: Request, drawn: Any) -> Sample:
        reason = "length" if drawn.finish_reason == "length" else "stop"
        if not request.choices:
            return Sample(drawn.text, reason)
        ids = self._chat.choice_ids(request.choices)
        text = "".join(request.choices[ids.index(token)] for token in drawn.token_ids)
        if not request.logprobs:
            return Sample(text, reason)
        return Sample(text, reason, _choice_probs(drawn.logprobs, ids, request))


def _context(spec: ModelSpec) -> int:
    """Bound the wanted context by the model's own."""
    try:
        config = AutoConfig.from_pretrained(spec.model, revision=spec.revision or None)
    except (OSError, ValueError) as error:
        raise _unusable(spec, error) from error
    return context_length(config, spec.max_model_tokens)


def _load(spec: ModelSpec, devices: HeldDevices, max_tokens: int) -> Any:
    """Load the model on the held devices alone."""
    on_gpu = bool(devices.ids)
    if on_gpu:
        # For good: the engine's own processes read it later too.
        os.environ[VISIBLE] = ",".join(devices.ids)
    dtype = "float32" if spec.dtype == "auto" and not on_gpu else spec.dtype
    try:
        with _defaults(ENVIRONMENT):
            return vllm.LLM(
                spec.model,
                revision=spec.revision or None,
                tokenizer_revision=spec.revision or None,
                tokenizer_mode="hf",
                dtype=dtype,
                max_model_len=max_tokens,
                tensor_parallel_size=len(devices.ids) or 1,
                enforce_eager=not on_gpu,
                # On a CPU half a prompt and a seed end the engine (0.32: "CPU Generator
                # does not use offset"), so prompts are computed whole there.
                enable_chunked_prefill=on_gpu,
                max_num_batched_tokens=None if on_gpu else max(max_tokens, CPU_BATCH),
                enable_prefix_caching=True,
                max_num_seqs=MAX_SEQUENCES,
                # After the mask of `choices`: of those tokens, and summing to 1.
                logprobs_mode="processed_logprobs",
                disable_log_stats=True,
            )
    except (OSError, ValueError, VLLMClientError) as error:
        raise _unusable(spec, error) from error
    except Exception as error:
        raise EngineDied(
            f"vLLM broke while it loaded {spec.model!r} ({type(error).__name__}: "
            f"{error}); the process restarts; is the device's memory free?"
        ) from error


@contextmanager
def _defaults(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a while, where the operator did not."""
    missing = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)


def _sampling(request: Request, chat: ChatTokenizer) -> Any:
    """Say how the engine is to continue."""
    forced: dict[str, Any] = {}
    if request.choices:
        ids = chat.choice_ids(request.choices)
        forced = {
            "allowed_token_ids": ids,
            "min_tokens": request.max_tokens,
            "ignore_eos": True,
            # Read from the ids, which is exact and spares the engine's time.
            "detokenize": False,
            "flat_logprobs": True,
            "logprobs": len(ids) if request.logprobs else None,
        }
    return vllm.SamplingParams(
        n=request.num_drawn,
        temperature=request.temperature,
        seed=request.seed & _SEED_MASK if request.temperature else None,
        max_tokens=request.max_tokens,
        output_kind=RequestOutputKind.FINAL_ONLY,
        **forced,
    )


def _choice_probs(
    logprobs: Any, ids: Sequence[int], request: Request
) -> tuple[tuple[float, ...], ...]:
    """Read P of each choice at temperature 1, of all choices together.

    The engine's are softmax(x / T): p^T, made to sum to 1, is softmax(x).
    """
    power = request.temperature or 1.0
    rows = []
    for start, end in zip(logprobs.start_indices, logprobs.end_indices, strict=True):
        found = dict(
            zip(
                logprobs.token_ids[start:end], logprobs.logprobs[start:end], strict=True
            )
        )
        weights = [math.exp(power * found.get(token, -math.inf)) for token in ids]
        total = sum(weights)
        rows.append(tuple(weight / total for weight in weights))
    return tuple(rows)


def _unusable(spec: ModelSpec, error: Exception) -> InvalidConfig:
    return InvalidConfig(
        f"the model {spec.model!r} (revision {spec.revision or 'newest'!r}) cannot be "
        f"loaded by vLLM: {error}; correct the voter's settings, or put the model where"
        " this worker finds it"
    )


def _explain_death(death: str) -> str:
    return (
        f"vLLM's engine died ({death}); it answers nothing any more: the process must "
        "restart"
    )
