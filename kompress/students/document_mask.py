"""Attention by one kernel with an exact document mask, for GPUs.

torch's FlexAttention skips the blocks that the mask leaves empty, so packed chunks and
sliding windows cost what they would cost alone. On a CPU the same mask runs unfused:
slow, but it is how tests hold it to the CPU's own path.

R = rows, H = heads, D = head size
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


def make_mask(chunk_R: Tensor, real_R: Tensor, window: int | None) -> Any:
    """Say which rows may look at which.

    Args:
        chunk_R: (R,) the chunk of each row.
        real_R: (R,) whether a row holds a token: filling may look, not be seen.
        window: rows that a row sees to either side; None for its whole chunk.

    Returns:
        torch's BlockMask over all rows.

    Source: Dong et al. 2024 (FlexAttention); the mask: ours.
    """
    rows = len(chunk_R)

    def allowed(_batch: Tensor, _head: Tensor, own: Tensor, other: Tensor) -> Tensor:
        same = (chunk_R[own] == chunk_R[other]) & real_R[other]
        return same if window is None else same & ((own - other).abs() <= window)

    create, _ = _kernels(chunk_R.device.type)
    return create(allowed, None, None, rows, rows, device=chunk_R.device)


def attend_masked(q_RHD: Tensor, k_RHD: Tensor, v_RHD: Tensor, *, mask: Any) -> Tensor:
    """Let every row look at the rows its mask allows: (R, E).

    Queries and keys come scaled, so their products are not scaled again.
    """
    _, attend = _kernels(q_RHD.device.type)
    # The values are a view into queries, keys and values; the kernel wants them alone.
    q, k, v = (x.transpose(0, 1)[None] for x in (q_RHD, k_RHD, v_RHD.contiguous()))
    mixed: Tensor = attend(q, k, v, block_mask=mask, scale=1.0)
    return mixed[0].transpose(0, 1).flatten(1)


@lru_cache(maxsize=2)
def _kernels(device_type: str) -> tuple[Any, Any]:
    """Give (make a mask, attend), compiled for anything but a CPU."""
    from torch.nn.attention.flex_attention import (  # noqa: PLC0415  # a GPU's business
        create_block_mask,
        flex_attention,
    )

    if device_type == "cpu":
        return create_block_mask, flex_attention
    # Row counts differ from batch to batch; one kernel shall serve them all.
    return (
        torch.compile(create_block_mask, dynamic=True),
        torch.compile(flex_attention, dynamic=True),
    )
