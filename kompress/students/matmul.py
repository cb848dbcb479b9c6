"""Choose the CPU's faster matrix product, where it is as exact as the default one."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch

# float32 products of unit normals over 256 terms err by about 3e-5; bfloat16's, 5e-2.
MAX_ERROR = 2e-4


@contextmanager
def fast_matmul() -> Iterator[None]:
    """Let oneDNN multiply float32 matrices, if it does so in float32 here.

    torch sends them to MKL, which runs at 40 % of oneDNN's speed on AMD (measured:
    86 and 215 GFLOP/s a core of Zen 5). The switch that torch offers also allows
    bfloat16 inside; only CPUs with matrix tiles use that, and they are told apart by
    trying.
    """
    if not _is_exact():
        yield
        return
    matmul = _switch()
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before


@lru_cache(maxsize=1)
def _is_exact() -> bool:
    matmul = _switch()
    if matmul is None:
        return False
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(512, 256, generator=generator)
    right = torch.randn(256, 512, generator=generator)
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        product = left @ right
    finally:
        matmul.fp32_precision = before
    error = (product.double() - left.double() @ right.double()).abs().max()
    return bool(error < MAX_ERROR)


def _switch() -> Any:
    """Give torch's switch (2.9 and later, untyped), None where there is no oneDNN."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    return getattr(torch.backends.mkldnn, "matmul", None)
