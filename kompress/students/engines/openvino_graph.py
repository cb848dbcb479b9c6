"""Write a student as an OpenVINO model for packed chunks.

Unlike the exported ONNX file, one run takes several chunks laid end to end, told apart
by a number for each row, and local attention works on blocks of rows with their two
neighbours, so that it costs what it sees and not what there is.

R = rows (tokens and gaps), K = blocks of rows, W = rows of one block, H = heads,
D = head size, E = hidden size
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino
import openvino.opset13 as ops
from numpy.typing import NDArray

from kompress.config import StudentConfig
from kompress.students.engines.engine import Weights, take_weight
from kompress.students.modernbert_shape import (
    EMBEDDINGS,
    EMBEDDINGS_NORM,
    FINAL_NORM,
    GLOBAL_THETA,
    LOCAL_THETA,
    NORM_EPS,
    ModernBertShape,
)

# Finite, so that rows which see nothing (gaps) stay numbers; exp() of it is 0.
HIDDEN = -1e9
# Rows without a token between two chunks, so that no convolution crosses.
GAP = 2
LAST = np.iinfo(np.int64).max


def build_model(config: StudentConfig, weights: Weights, *, bits: int) -> Any:
    """Write the model of a student.

    Inputs, all int64 (R,): `ids`; `chunk`, the same positive number on the rows of one
    chunk and 0 on gaps, which are at least `GAP` rows; `place`, the row's number within
    its chunk. R is a multiple of the window. Output: (R,) float32 p·(0.5 + 0.5·s).

    Args:
        config: the architecture.
        weights: float32 arrays under the deployed client's state-dict keys.
        bits: 32, or 8 for matrices rounded to int8 with one scale a row.

    Returns:
        An `openvino.Model` (untyped library).

    Raises:
        InvalidCheckpoint: a weight is missing, has another shape or is not finite.

    Source: ModernBERT, Warner et al. 2024; headroom 0.42.0's heads; blocks: ours.
    """
    writer = _Writer(config, weights, bits)
    ids = ops.parameter([-1], np.int64, "ids")
    chunk = ops.parameter([-1], np.int64, "chunk")
    place = ops.parameter([-1], np.int64, "place")
    hidden = writer.encode(ids, chunk, place)
    score = ops.result(writer.score(hidden, chunk))
    return openvino.Model([score], [ids, chunk, place], "kompress")


@dataclass(frozen=True, slots=True)
class _Reach:
    """What one kind of attention sees: a mask to add, and its rotation."""

    mask: Any
    cos: Any
    sin: Any


class _Writer:
    def __init__(self, config: StudentConfig, weights: Weights, bits: int) -> None:
        self.config = config
        self.shape = ModernBertShape.of(config.model_dump())
        self.bits = bits
        self._weights = weights
        self._shapes = self.shape.weights

    def encode(self, ids: Any, chunk: Any, place: Any) -> Any:
        """Write the encoder: (R, E) hidden states."""
        width, inner = self.shape.hidden_size, self.shape.intermediate_size
        x = ops.gather(ops.constant(self.weight(EMBEDDINGS)), ids, _ints(0))
        x = self.norm(x, EMBEDDINGS_NORM)
        full = self._reach(_full_mask(chunk), place, GLOBAL_THETA)
        near = self._reach(_near_mask(chunk, self.shape.window), place, LOCAL_THETA)
        for layer in self.shape.layers:
            normed = x if layer.attn_norm is None else self.norm(x, layer.attn_norm)
            reach = full if layer.is_global else near
            q, k, v = self._heads(self.matmul(normed, layer.wqkv), reach)
            if layer.is_global:
                mixed = _attend(q, k, v, reach.mask)
                mixed = ops.transpose(mixed, _ints(0, 2, 1, 3))
            else:
                mixed = self._attend_blocks(q, k, v, reach.mask)
            mixed = ops.reshape(mixed, _ints(-1, width), special_zero=False)
            x = ops.add(x, self.matmul(mixed, layer.attn_out))
            both = self.matmul(self.norm(x, layer.mlp_norm), layer.mlp_in)
            value, gate = _split(both, -1, inner, inner)
            gated = ops.multiply(ops.gelu(value, "erf"), gate)
            x = ops.add(x, self.matmul(gated, layer.mlp_out))
        return self.norm(x, FINAL_NORM)

    def score(self, hidden: Any, chunk: Any) -> Any:
        """Write the heads: (R,) scores."""
        config = self.config
        width, channels = config.hidden_size, config.span_channels
        # Two logits decide one probability: their difference is its log-odds.
        weight = self.weight("token_head.weight", 2, width)
        bias = self.weight("token_head.bias", 2)
        direction = ops.constant(np.ascontiguousarray((weight[1] - weight[0])[:, None]))
        odds = ops.add(_matmul(hidden, direction), _float(bias[1] - bias[0]))
        keep = ops.reshape(ops.sigmoid(odds), _ints(-1), special_zero=False)
        if config.variant == "token_head":
            return keep
        # Convolutions reach over a chunk's end: there they must find zeros.
        real = ops.convert(ops.not_equal(chunk, _ints(0)), "f32")
        real = ops.unsqueeze(real, _ints(0, 1))
        x = ops.unsqueeze(ops.transpose(hidden, _ints(1, 0)), _ints(0))
        x = self._conv(ops.multiply(x, real), "span_conv.0", channels, width, 5)
        x = ops.multiply(ops.gelu(x, "erf"), real)
        x = ops.sigmoid(self._conv(x, "span_conv.2", 1, channels, 3))
        span = ops.reshape(x, _ints(-1), special_zero=False)
        trust = ops.add(ops.multiply(span, _float(0.5)), _float(0.5))
        return ops.multiply(keep, trust)

    def weight(self, key: str, *head_shape: int) -> NDArray[np.float32]:
        """Give a checked weight; only a head's shape has to be said."""
        shape = head_shape or self._shapes[key]
        return np.ascontiguousarray(take_weight(self._weights, key, *shape))

    def matmul(self, x: Any, key: str) -> Any:
        """Multiply by a Linear's (outputs, inputs) weight."""
        weight_OI = self.weight(key)
        if self.bits == 32:
            return _matmul(x, ops.constant(weight_OI), turn=True)
        scale_O1 = np.abs(weight_OI).max(axis=1, keepdims=True) / np.float32(127)
        scale_O1[scale_O1 == 0] = 1
        levels = ops.constant(np.rint(weight_OI / scale_O1).astype(np.int8))
        grown = ops.multiply(ops.convert(levels, "f32"), ops.constant(scale_O1))
        return _matmul(x, grown, turn=True)

    def norm(self, x: Any, key: str) -> Any:
        """Write a LayerNorm without a bias."""
        scale = ops.constant(self.weight(key))
        even = ops.mvn(
            x, _ints(-1), normalize_variance=True, eps=NORM_EPS, eps_mode="inside_sqrt"
        )
        return ops.multiply(even, scale)

    def _reach(self, mask: Any, place: Any, theta: float) -> _Reach:
        size = self.shape.head_size
        power = np.arange(0, size, 2, dtype=np.float32) / np.float32(size)
        inverse = ops.constant((1 / np.float32(theta) ** power)[None])
        places = ops.unsqueeze(ops.convert(place, "f32"), _ints(1))
        angle = ops.multiply(places, inverse)
        # Queries and keys both carry it: their products come scaled by 1/sqrt(D).
        scale = _float(size**-0.25)
        cos = ops.unsqueeze(ops.multiply(ops.cos(angle), scale), _ints(0, 1))
        sin = ops.unsqueeze(ops.multiply(ops.sin(angle), scale), _ints(0, 1))
        return _Reach(mask, cos, sin)

    def _heads(self, qkv: Any, reach: _Reach) -> tuple[Any, Any, Any]:
        """Write rotated queries and keys, and values: (1, H, R, D) each."""
        heads, size = self.shape.num_heads, self.shape.head_size
        qkv = ops.reshape(qkv, _ints(1, -1, 3 * heads, size), special_zero=False)
        qkv = ops.transpose(qkv, _ints(0, 2, 1, 3))
        both, v = _split(qkv, 1, 2 * heads, heads)
        left, right = _split(both, -1, size // 2, size // 2)
        # In this form OpenVINO sees a rotary embedding and runs it as one kernel.
        turned = ops.concat(
            [
                ops.subtract(
                    ops.multiply(left, reach.cos), ops.multiply(right, reach.sin)
                ),
                ops.add(ops.multiply(right, reach.cos), ops.multiply(left, reach.sin)),
            ],
            -1,
        )
        q, k = _split(turned, 1, heads, heads)
        return q, k, v

    def _attend_blocks(self, q: Any, k: Any, v: Any, mask: Any) -> Any:
        """Let every row look at its block and the two beside it: (K, W, H, D)."""
        heads, size = self.shape.num_heads, self.shape.head_size
        shape = _ints(heads, -1, self.shape.window, size)
        blocks = [ops.reshape(x, shape, special_zero=False) for x in (q, k, v)]
        edge = np.zeros((heads, 1, self.shape.window, size), np.float32)
        near_k, near_v = (_neighbours(x, edge, axis=1) for x in blocks[1:])
        mixed = _attend(blocks[0], near_k, near_v, mask)
        return ops.transpose(mixed, _ints(1, 2, 0, 3))

    def _conv(self, x: Any, key: str, num_out: int, num_in: int, taps: int) -> Any:
        weight = ops.constant(self.weight(f"{key}.weight", num_out, num_in, taps))
        bias = ops.constant(self.weight(f"{key}.bias", num_out)[None, :, None])
        side = [taps // 2]
        return ops.add(ops.convolution(x, weight, [1], side, side, [1]), bias)


def _full_mask(chunk: Any) -> Any:
    """Write (1, 1, R, R): 0 where two rows are of one chunk."""
    same = ops.equal(ops.unsqueeze(chunk, _ints(1)), ops.unsqueeze(chunk, _ints(0)))
    real = ops.unsqueeze(ops.not_equal(chunk, _ints(0)), _ints(0))
    mask = ops.select(ops.logical_and(same, real), _float(0.0), _float(HIDDEN))
    return ops.unsqueeze(mask, _ints(0, 1))


def _near_mask(chunk: Any, width: int) -> Any:
    """Write (1, K, W, 3W): 0 where a row of three blocks is near and of the chunk."""
    own_KW = ops.reshape(chunk, _ints(-1, width), special_zero=False)
    near_K3W = _neighbours(own_KW, np.zeros((1, width), np.int64), axis=0, side=1)
    same = ops.equal(ops.unsqueeze(own_KW, _ints(2)), ops.unsqueeze(near_K3W, _ints(1)))
    real = ops.unsqueeze(ops.not_equal(near_K3W, _ints(0)), _ints(1))
    own_W = np.arange(width, 2 * width)
    near = np.abs(own_W[:, None] - np.arange(3 * width)) <= width
    seen = ops.logical_and(ops.logical_and(same, real), ops.constant(near[None]))
    return ops.unsqueeze(ops.select(seen, _float(0.0), _float(HIDDEN)), _ints(0))


def _neighbours(x: Any, edge: NDArray[Any], *, axis: int, side: int = 2) -> Any:
    """Join each block with the one before and the one after, along `side`."""
    around = ops.concat([ops.constant(edge), x, ops.constant(edge)], axis)
    before = ops.slice(around, _ints(0), _ints(-2), _ints(1), _ints(axis))
    after = ops.slice(around, _ints(2), _ints(LAST), _ints(1), _ints(axis))
    return ops.concat([before, x, after], side)


def _attend(q: Any, k: Any, v: Any, mask: Any) -> Any:
    chance = ops.softmax(ops.add(_matmul(q, k, turn=True), mask), -1)
    return _matmul(chance, v)


def _matmul(x: Any, y: Any, *, turn: bool = False) -> Any:
    return ops.matmul(x, y, transpose_a=False, transpose_b=turn)


def _split(x: Any, axis: int, *sizes: int) -> list[Any]:
    return list(ops.variadic_split(x, _ints(axis), _ints(*sizes)).outputs())


def _ints(*values: int) -> Any:
    return ops.constant(np.array(values, dtype=np.int64))


def _float(value: float) -> Any:
    return ops.constant(np.array(value, dtype=np.float32))
