"""ModernBERT's shape: its numbers, what each layer sees, and the names of its weights.

All that a graph of it is written from, whichever library computes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from kompress.errors import InvalidConfig

GLOBAL_THETA = 160_000.0  # bases of rotary positions
LOCAL_THETA = 10_000.0
NORM_EPS = 1e-5  # of every norm; none has a bias
PREFIX = "encoder."  # before transformers' own names in a student's state dict
EMBEDDINGS = PREFIX + "embeddings.tok_embeddings.weight"
EMBEDDINGS_NORM = PREFIX + "embeddings.norm.weight"
FINAL_NORM = PREFIX + "final_norm.weight"


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One layer: what it sees, and its weights' names in a student's state dict.

    Attributes:
        is_global: every token sees its whole chunk, not only a window around it.
        attn_norm: None in the first layer: the embeddings are normed already.
        wqkv: queries, keys and values in one matrix.
        attn_out: what follows attention.
        mlp_norm: the norm before the gated unit.
        mlp_in: value and gate in one matrix.
        mlp_out: what follows the gated unit.
    """

    is_global: bool
    attn_norm: str | None
    wqkv: str
    attn_out: str
    mlp_norm: str
    mlp_in: str
    mlp_out: str

    @property
    def theta(self) -> float:
        """Base of the rotary positions."""
        return GLOBAL_THETA if self.is_global else LOCAL_THETA


@dataclass(frozen=True, slots=True)
class ModernBertShape:
    """The sizes of one encoder.

    Attributes:
        num_layers: how many.
        hidden_size: width of the residual stream, a multiple of 2 * num_heads.
        num_heads: of attention.
        intermediate_size: width of the gated unit.
        vocab_size: rows of the token embeddings.
        local_attention: tokens that a local layer sees, itself included, about.
        global_every: every so many layers, from the first on, one is global.

    Source: Warner et al. 2024 (ModernBERT), section 2.1 and table 4.
    """

    num_layers: int
    hidden_size: int
    num_heads: int
    intermediate_size: int
    vocab_size: int
    local_attention: int
    global_every: int

    def __post_init__(self) -> None:
        """Refuse a width that rotary attention heads cannot share.

        Raises:
            InvalidConfig: hidden_size is no multiple of 2 * num_heads.
        """
        if self.hidden_size % (2 * self.num_heads):
            raise InvalidConfig(
                f"hidden_size {self.hidden_size} with {self.num_heads} heads; "
                "expected a multiple of twice the number of heads"
            )

    @classmethod
    def of(cls, sizes: Mapping[str, Any]) -> "ModernBertShape":
        """Pick the encoder's sizes out of a student's (`config.model_dump()`)."""
        return cls(**{field.name: sizes[field.name] for field in fields(cls)})

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_heads

    @property
    def window(self) -> int:
        """Tokens that a local layer sees to either side."""
        return max(1, self.local_attention // 2)

    @property
    def layers(self) -> tuple[LayerPlan, ...]:
        """The layers from the first to the last."""
        return tuple(self._layer(number) for number in range(self.num_layers))

    @property
    def weights(self) -> dict[str, tuple[int, ...]]:
        """The shape of each weight by its name; (outputs, inputs) of a matrix."""
        width, inner = self.hidden_size, self.intermediate_size
        shapes: dict[str, tuple[int, ...]] = {
            EMBEDDINGS: (self.vocab_size, width),
            EMBEDDINGS_NORM: (width,),
        }
        for layer in self.layers:
            if layer.attn_norm is not None:
                shapes[layer.attn_norm] = (width,)
            shapes[layer.wqkv] = (3 * width, width)
            shapes[layer.attn_out] = (width, width)
            shapes[layer.mlp_norm] = (width,)
            shapes[layer.mlp_in] = (2 * inner, width)
            shapes[layer.mlp_out] = (width, inner)
        return shapes | {FINAL_NORM: (width,)}

    def _layer(self, number: int) -> LayerPlan:
        place = f"{PREFIX}layers.{number}"
        return LayerPlan(
            is_global=number % self.global_every == 0,
            attn_norm=f"{place}.attn_norm.weight" if number else None,
            wqkv=f"{place}.attn.Wqkv.weight",
            attn_out=f"{place}.attn.Wo.weight",
            mlp_norm=f"{place}.mlp_norm.weight",
            mlp_in=f"{place}.mlp.Wi.weight",
            mlp_out=f"{place}.mlp.Wo.weight",
        )
