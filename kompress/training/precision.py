"""On what and in which precision a training computes, and that it repeats itself."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

import torch

from kompress.students.matmul import fast_matmul


def find_device() -> torch.device:
    """Give the GPU if there is one, the CPU else."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_precision(
    asked: Literal["auto", "float32", "bfloat16"], device: torch.device
) -> torch.dtype:
    """Choose what products and attention are computed in.

    Weights, their moments, norms, softmax and losses are float32 in either. `auto`
    takes bfloat16 where the device multiplies it by itself: a GPU, or a CPU
    with AVX512-BF16 or AMX. There (Zen 5, one thread) a step of the demo's student is
    1.3 times and one of ModernBERT-base's widths 1.8 times as fast as in float32, with
    held-out losses after 105,000 tokens of .2700 for .2699 and .2715 for .2714.
    """
    if asked != "auto":
        return torch.bfloat16 if asked == "bfloat16" else torch.float32
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and _cpu_multiplies_bfloat16()
    return torch.bfloat16 if native else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Compute products in the precision that was chosen."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


@contextmanager
def repeatable(device: torch.device, num_threads: int) -> Iterator[None]:
    """Fix threads and algorithms, and give the process its own back afterwards.

    On a CPU equal inputs then give equal bytes. A GPU gets no such promise: its
    deterministic kernels are slower and some are missing.
    """
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    gpus = [torch.cuda.current_device()] if device.type == "cuda" else []
    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(mode=not gpus)
    # Every buffer here is written before it is read; filling them first costs time.
    memory.fill_uninitialized_memory = False
    try:
        with torch.random.fork_rng(devices=gpus), fast_matmul():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(mode=deterministic)
        memory.fill_uninitialized_memory = fill


def _cpu_multiplies_bfloat16() -> bool:
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)
