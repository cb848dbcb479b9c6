"""How much arithmetic a training is, and how much a device could do.

C = chunks
"""

import time
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from kompress.config import FineTuningConfig, StudentConfig
from kompress.students.modernbert_shape import ModernBertShape

# FLOP per second of dense products, by makers' data sheets: (bfloat16, float32).
PEAKS = {
    "H200": (989e12, 67e12),
    "H100": (989e12, 67e12),
    "GH200": (989e12, 67e12),
    "A100": (312e12, 19.5e12),
    "L40S": (362e12, 91.6e12),
    "RTX 4090": (165e12, 82.6e12),
    "RTX 3090": (71e12, 35.6e12),
}
# A backward pass takes two products where the forward took one.
TRAINED, PASSED_THROUGH = 3, 2
_TRIALS, _TRIAL_SIZE = 5, 1024


def count_flops(
    config: StudentConfig,
    num_tokens_C: NDArray[np.int64],
    *,
    num_layers: int | None = None,
    heads: bool = True,
) -> float:
    """Count a forward pass's multiplications and additions over real tokens.

    Matrix products and attention of each chunk as if it were alone, filling rows and
    everything element by element left out.

    Args:
        config: the architecture.
        num_tokens_C: (C,) tokens of each chunk.
        num_layers: only the first so many layers, counted from the embeddings; None
            for all of them.
        heads: whether to count the heads too.

    Returns:
        FLOP of one forward pass.

    Source: Kaplan et al. 2020, section 2.1; the window's share: ours. ModernBERT-base:
    2·110.30e6 + 3072·(8·L + 14·min(L, 129)) + 1.97e6 a token.
    """
    shape = ModernBertShape.of(config.model_dump())
    width = config.hidden_size
    last = config.num_layers if num_layers is None else num_layers
    tokens = float(num_tokens_C.sum())
    products = 2.0 * (4 * width**2 + 3 * width * config.intermediate_size) * tokens
    full = float((num_tokens_C**2).sum())
    seen_C = np.minimum(num_tokens_C, 2 * shape.window + 1)
    sliding = float((num_tokens_C * seen_C).sum())
    num_full = sum(layer.is_global for layer in shape.layers[:last])
    pairs = num_full * full + (last - num_full) * sliding
    flops = last * products + 4.0 * width * pairs
    return flops + (_head_flops(config) * tokens if heads else 0.0)


def count_training_flops(
    config: StudentConfig,
    method: FineTuningConfig,
    num_tokens_C: NDArray[np.int64],
    *,
    num_frozen: int,
) -> float:
    """Count one training step over these chunks, a cached trunk left out.

    Args:
        config: the architecture.
        method: which weights move.
        num_tokens_C: (C,) tokens of the step's chunks.
        num_frozen: first layers that a cache stands for.

    Returns:
        FLOP: three forward passes of what moves, two of what gradients only pass.

    Source: Kaplan et al. 2020; Hu et al. 2021 (LoRA) for frozen products.
    """
    heads = count_flops(config, num_tokens_C, num_layers=0)
    every = count_flops(config, num_tokens_C, heads=False)
    cached = count_flops(config, num_tokens_C, num_layers=num_frozen, heads=False)
    share = PASSED_THROUGH if method.method == "lora" else TRAINED
    adapters = _adapter_flops(config, method) * float(num_tokens_C.sum())
    return TRAINED * (heads + adapters) + share * (every - cached)


def find_peak_flops(
    device: torch.device, dtype: torch.dtype, num_threads: int
) -> float:
    """Say how many FLOP a second a device can do in a precision.

    Returns:
        A GPU's by its name, 0 if the table lacks it; a CPU's by the fastest of a few
        products of 1,024 x 1,024, measured once a process.

    Source: data sheets; the CPU's: ours.
    """
    if device.type == "cpu":
        return _measure(dtype, num_threads)
    if device.type != "cuda":
        return 0.0
    name = torch.cuda.get_device_name(device)
    known = max((key for key in PEAKS if key in name), key=len, default=None)
    if known is None:
        return 0.0
    half, single = PEAKS[known]
    return half if dtype == torch.bfloat16 else single


def _head_flops(config: StudentConfig) -> float:
    """Count the heads' products for one token."""
    width, channels = config.hidden_size, config.span_channels
    span = 0
    if config.variant == "dual_head":
        span = width * channels * 5 + channels * 3
    return 2.0 * (2 * width + span)


def _adapter_flops(config: StudentConfig, method: FineTuningConfig) -> float:
    """Count the low-rank products for one token, one forward pass."""
    if method.method != "lora":
        return 0.0
    width, inner = config.hidden_size, config.intermediate_size
    # Inputs and outputs of the modules; the attention and the MLP both have a Wo.
    sides = {
        "Wqkv": 4 * width,
        "Wo": 2 * width + inner + width,
        "Wi": width + 2 * inner,
    }
    total = sum(sides.get(name.split(".")[-1], 0) for name in method.lora_modules)
    return 2.0 * method.lora_rank * total * config.num_layers


@lru_cache(maxsize=8)
def _measure(dtype: torch.dtype, num_threads: int) -> float:
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        left = torch.ones(_TRIAL_SIZE, _TRIAL_SIZE, dtype=dtype)
        seconds = []
        for _ in range(_TRIALS):
            started = time.perf_counter()
            torch.mm(left, left)
            seconds.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(before)
    return 2.0 * _TRIAL_SIZE**3 / min(seconds)
