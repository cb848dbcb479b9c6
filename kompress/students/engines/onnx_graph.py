"""Write a student as one ONNX file, by hand: no tracing, no torch.

The file is the deployed client's: int64 `input_ids` and `attention_mask` of any batch
and length in, float `final_scores` = p·(0.5 + 0.5·s) out, opset 17. Each row gets what
it would get alone and unpadded; scores of padding mean nothing.

With 8 bits the large matrices are `com.microsoft.MatMulNBits`: weight-only, symmetric,
a scale for 32 weights of a row. Everything else stays float32.

B = batch, S = sequence, E = hidden size, H = heads, D = head size, O x I = a matrix
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from kompress.config import StudentConfig
from kompress.errors import InvalidCheckpoint, InvalidConfig
from kompress.students.engines.engine import Weights, take_weight
from kompress.students.modernbert_shape import (
    EMBEDDINGS,
    EMBEDDINGS_NORM,
    FINAL_NORM,
    GLOBAL_THETA,
    LOCAL_THETA,
    NORM_EPS,
    LayerPlan,
    ModernBertShape,
)

OPSET = 17
IR_VERSION = 8  # what opset 17 came with: old runtimes read the file
MICROSOFT = "com.microsoft"
BLOCK = 32
MAX_BYTES = 2**31 - 1  # protobuf's limit on one file
# Finite, so that rows which see nothing (padding) stay numbers; exp() of it is 0.
HIDDEN = -1e9


def build_graph(config: StudentConfig, weights: Weights, *, bits: int = 32) -> bytes:
    """Write the ONNX file of a student.

    Args:
        config: the architecture.
        weights: float32 arrays under the deployed client's state-dict keys; keys that
            the scores do not need, such as a quality head's, are left out.
        bits: 32, or 8 for weight-only quantisation of every matrix whose inputs are
            a multiple of 32.

    Returns:
        The file's bytes; equal weights give equal bytes.

    Raises:
        InvalidConfig: bits is neither 32 nor 8.
        InvalidCheckpoint: a weight is missing, has another shape or is not finite, or
            the file would pass protobuf's 2 GB.

    Source: ModernBERT, Warner et al. 2024; headroom 0.42.0's heads and files.
    """
    if bits not in {8, 32}:
        raise InvalidConfig(
            f"bits is {bits}; expected 32 (float32) or 8 (weight-only int8)"
        )
    graph = _Graph(config, weights, bits)
    _write_heads(graph, _write_encoder(graph))
    return graph.to_bytes()


def quantize_blocks(
    weight_OI: NDArray[np.float32],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Round a matrix to 8 bits, symmetric, with one scale for 32 weights of a row.

    Args:
        weight_OI: (O, I) weights, I a multiple of 32.

    Returns:
        (O, I/32, 32) bytes, 128 stands for 0, and (O, I/32) scales.

    Source: MatMulNBits of ONNX Runtime's contrib operators, zero point 2^(bits-1).
    """
    blocks = weight_OI.reshape(weight_OI.shape[0], -1, BLOCK)
    # The byte 0 is left free: -128 has no positive twin.
    scale = np.abs(blocks).max(axis=2) / np.float32(127)
    divisor = np.where(scale == 0, np.float32(1), scale)[:, :, None]
    levels = np.rint(blocks / divisor) + 128
    return levels.astype(np.uint8), scale.astype(np.float32)


class _Graph:
    """A graph that grows by one operator a call."""

    def __init__(self, config: StudentConfig, weights: Weights, bits: int) -> None:
        self.config = config
        self.shape = ModernBertShape.of(config.model_dump())
        self.bits = bits
        self._weights = weights
        self._shapes = self.shape.weights
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: dict[str, onnx.TensorProto] = {}

    def op(
        self, kind: str, *inputs: str, outputs: int = 1, name: str = "", **more: Any
    ) -> str:
        """Add an operator; outputs are called `<kind>_<number>`, then `….1`, `….2`."""
        name = name or f"{kind}_{len(self._nodes)}"
        names = [name, *(f"{name}.{place}" for place in range(1, outputs))]
        node = helper.make_node(kind, inputs, names, name=name, **more)
        self._nodes.append(node)
        return name

    def tensor(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant once."""
        if name not in self._tensors:
            array = np.ascontiguousarray(value)
            self._tensors[name] = numpy_helper.from_array(array, name)
        return name

    def ints(self, *values: int) -> str:
        """Add a list of integers, as shapes and axes are given."""
        name = "ints_" + "_".join(map(str, values))
        return self.tensor(name, np.array(values, dtype=np.int64))

    def scalar(self, value: float) -> str:
        """Add a float without dimensions."""
        return self.tensor(f"scalar_{value!r}", np.array(value, dtype=np.float32))

    def weight(self, key: str, *head_shape: int) -> NDArray[np.float32]:
        """Give a checked weight; only a head's shape has to be said."""
        return take_weight(self._weights, key, *(head_shape or self._shapes[key]))

    def matmul(self, x: str, key: str) -> str:
        """Multiply by a Linear's (O, I) weight, quantised where that was asked."""
        weight_OI = self.weight(key)
        num_out, num_in = weight_OI.shape
        if self.bits == 32 or num_in % BLOCK:
            return self.op("MatMul", x, self.tensor(key, weight_OI.T))
        levels, scale = quantize_blocks(weight_OI)
        return self.op(
            "MatMulNBits",
            x,
            self.tensor(f"{key}.q8", levels),
            self.tensor(f"{key}.scale", scale.reshape(-1)),
            domain=MICROSOFT,
            K=num_in,
            N=num_out,
            bits=8,
            block_size=BLOCK,
        )

    def norm(self, x: str, key: str) -> str:
        """Add a LayerNorm without a bias."""
        scale = self.tensor(key, self.weight(key))
        return self.op("LayerNormalization", x, scale, axis=-1, epsilon=NORM_EPS)

    def gelu(self, x: str) -> str:
        """Add the exact GELU, in the form that runtimes fuse."""
        erf = self.op("Erf", self.op("Div", x, self.scalar(2**0.5)))
        grown = self.op("Mul", x, self.op("Add", erf, self.scalar(1.0)))
        return self.op("Mul", grown, self.scalar(0.5))

    def to_bytes(self) -> bytes:
        """Serialise, with the client's inputs and output.

        Raises:
            InvalidCheckpoint: too large for one file.
        """
        axes = ["batch", "seq"]
        kind = helper.make_tensor_value_info
        graph = helper.make_graph(
            self._nodes,
            "kompress",
            [
                kind("input_ids", TensorProto.INT64, axes),
                kind("attention_mask", TensorProto.INT64, axes),
            ],
            [kind("final_scores", TensorProto.FLOAT, axes)],
            list(self._tensors.values()),
        )
        opsets = [helper.make_opsetid("", OPSET)]
        if self.bits == 8:
            opsets.append(helper.make_opsetid(MICROSOFT, 1))
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=IR_VERSION,
            producer_name="kompress",
        )
        size_bytes = model.ByteSize()
        if size_bytes > MAX_BYTES:
            raise InvalidCheckpoint(
                f"the ONNX file would take {size_bytes:,} bytes; one file holds at "
                "most 2 GB; export with bits=8 or a smaller student"
            )
        data: bytes = model.SerializeToString(deterministic=True)
        return data


@dataclass(frozen=True, slots=True)
class _Reach:
    """What one kind of attention may look at: a mask to add, and its rotation."""

    mask: str
    cos: str
    sin: str


def _write_encoder(graph: _Graph) -> str:
    """Add the encoder; gives (B, S, E) hidden states."""
    inner = graph.shape.intermediate_size
    tokens = graph.tensor(EMBEDDINGS, graph.weight(EMBEDDINGS))
    x = graph.op("Gather", tokens, "input_ids", axis=0)
    x = graph.norm(x, EMBEDDINGS_NORM)
    full, near = _write_reaches(graph)
    for layer in graph.shape.layers:
        normed = x if layer.attn_norm is None else graph.norm(x, layer.attn_norm)
        reach = full if layer.is_global else near
        x = graph.op("Add", x, _write_attention(graph, normed, layer, reach))
        both = graph.matmul(graph.norm(x, layer.mlp_norm), layer.mlp_in)
        value = graph.op("Split", both, graph.ints(inner, inner), outputs=2, axis=-1)
        gated = graph.op("Mul", graph.gelu(value), f"{value}.1")
        x = graph.op("Add", x, graph.matmul(gated, layer.mlp_out))
    return graph.norm(x, FINAL_NORM)


def _write_reaches(graph: _Graph) -> tuple[_Reach, _Reach]:
    """Add what global and local attention see, once for all layers."""
    length = graph.op("Gather", graph.op("Shape", "attention_mask"), graph.ints(1))
    length = graph.op("Squeeze", length, graph.ints(0))
    zero = graph.tensor("zero", np.array(0, dtype=np.int64))
    one = graph.tensor("one", np.array(1, dtype=np.int64))
    place_S = graph.op("Range", zero, length, one)
    place_S1 = graph.op("Unsqueeze", place_S, graph.ints(1))
    real = graph.op("Cast", "attention_mask", to=TensorProto.BOOL)
    real = graph.op("Unsqueeze", real, graph.ints(1, 2))
    distance = graph.op("Abs", graph.op("Sub", place_S1, place_S))
    reach = graph.tensor("window", np.array(graph.shape.window, dtype=np.int64))
    near = graph.op("And", graph.op("LessOrEqual", distance, reach), real)
    masks = [
        graph.op("Where", seen, graph.scalar(0.0), graph.scalar(HIDDEN))
        for seen in (real, near)
    ]
    places = graph.op("Cast", place_S1, to=TensorProto.FLOAT)
    size = graph.shape.head_size
    reaches = []
    for mask, theta in zip(masks, (GLOBAL_THETA, LOCAL_THETA), strict=True):
        power = np.arange(0, size, 2, dtype=np.float32) / np.float32(size)
        inverse = 1 / np.float32(theta) ** power
        angle = graph.op("Mul", places, graph.tensor(f"inverse_{theta:g}", inverse))
        # Queries and keys both carry it: their products come scaled by 1/sqrt(D).
        scale = graph.scalar(size**-0.25)
        cos = graph.op("Mul", graph.op("Cos", angle), scale)
        sin = graph.op("Mul", graph.op("Sin", angle), scale)
        reaches.append(_Reach(mask, cos, sin))
    return reaches[0], reaches[1]


def _write_attention(graph: _Graph, x: str, layer: LayerPlan, reach: _Reach) -> str:
    """Add one layer's attention: (B, S, E) of what each token took from the others."""
    heads, size = graph.shape.num_heads, graph.shape.head_size
    qkv = graph.matmul(x, layer.wqkv)
    qkv = graph.op("Reshape", qkv, graph.ints(0, 0, 3 * heads, size))
    qkv = graph.op("Transpose", qkv, perm=[0, 2, 1, 3])
    parts = graph.op("Split", qkv, graph.ints(2 * heads, heads), outputs=2, axis=1)
    halves = graph.ints(size // 2, size // 2)
    left = graph.op("Split", parts, halves, outputs=2, axis=-1)
    right = f"{left}.1"
    turned = graph.op(
        "Concat",
        graph.op(
            "Sub",
            graph.op("Mul", left, reach.cos),
            graph.op("Mul", right, reach.sin),
        ),
        graph.op(
            "Add",
            graph.op("Mul", right, reach.cos),
            graph.op("Mul", left, reach.sin),
        ),
        axis=-1,
    )
    q = graph.op("Split", turned, graph.ints(heads, heads), outputs=2, axis=1)
    k = graph.op("Transpose", f"{q}.1", perm=[0, 1, 3, 2])
    logits = graph.op("Add", graph.op("MatMul", q, k), reach.mask)
    chance = graph.op("Softmax", logits, axis=-1)
    mixed = graph.op("MatMul", chance, f"{parts}.1")
    mixed = graph.op("Transpose", mixed, perm=[0, 2, 1, 3])
    mixed = graph.op("Reshape", mixed, graph.ints(0, 0, graph.shape.hidden_size))
    return graph.matmul(mixed, layer.attn_out)


def _write_heads(graph: _Graph, hidden: str) -> None:
    """Add the heads and `final_scores`."""
    config = graph.config
    width, channels = config.hidden_size, config.span_channels
    # Two logits decide one probability: their difference is its log-odds.
    weight = graph.weight("token_head.weight", 2, width)
    bias = graph.weight("token_head.bias", 2)
    direction = graph.tensor("token_head.keep", (weight[1] - weight[0])[:, None])
    odds = graph.op("MatMul", hidden, direction)
    odds = graph.op("Add", odds, graph.tensor("token_head.odds", bias[1:] - bias[:1]))
    keep = graph.op("Squeeze", graph.op("Sigmoid", odds), graph.ints(2))
    if config.variant == "token_head":
        graph.op("Identity", keep, name="final_scores")
        return
    # Convolutions reach over a text's end: there they must find zeros.
    real = graph.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    real = graph.op("Unsqueeze", real, graph.ints(1))
    x = graph.op("Transpose", hidden, perm=[0, 2, 1])
    x = _write_conv(graph, graph.op("Mul", x, real), "span_conv.0", channels, width, 5)
    x = graph.op("Mul", graph.gelu(x), real)
    x = _write_conv(graph, x, "span_conv.2", 1, channels, 3)
    span = graph.op("Squeeze", graph.op("Sigmoid", x), graph.ints(1))
    half = graph.scalar(0.5)
    trust = graph.op("Add", graph.op("Mul", span, half), half)
    graph.op("Mul", keep, trust, name="final_scores")


def _write_conv(
    graph: _Graph, x: str, key: str, num_out: int, num_in: int, taps: int
) -> str:
    weight = graph.tensor(
        f"{key}.weight", graph.weight(f"{key}.weight", num_out, num_in, taps)
    )
    bias = graph.tensor(f"{key}.bias", graph.weight(f"{key}.bias", num_out))
    pads = [taps // 2, taps // 2]
    return graph.op("Conv", x, weight, bias, kernel_shape=[taps], pads=pads)
