"""A ModernBERT's sizes in transformers' words: read from elsewhere, and written.

They are read from a config, or from the shapes of the weights. An option that our
encoder does not compute is refused by its name. Dropouts are let pass: they change no
score, and our training has its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kompress.config import StudentConfig, parse_config
from kompress.errors import InvalidCheckpoint, InvalidConfig
from kompress.students.modernbert_shape import (
    EMBEDDINGS,
    GLOBAL_THETA,
    LOCAL_THETA,
    NORM_EPS,
    PREFIX,
    ModernBertShape,
)

CLIENT_MAX_TOKENS = 512  # the client's window, whatever the encoder could read
HEAD_SIZE = 64  # of every published ModernBERT
LOCAL_ATTENTION = 128
GLOBAL_EVERY = 3
MAX_POSITIONS = 8_192

# What our encoder computes; transformers' defaults where a config is silent.
_FIXED: dict[str, Any] = {
    "model_type": "modernbert",
    "hidden_activation": "gelu",
    "norm_bias": False,
    "attention_bias": False,
    "mlp_bias": False,
    "norm_eps": NORM_EPS,
    "global_rope_theta": GLOBAL_THETA,
    "local_rope_theta": LOCAL_THETA,
    "rope_scaling": None,
}
_REQUIRED = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
)
_OPTIONAL = {
    "max_position_embeddings": CLIENT_MAX_TOKENS,
    "local_attention": LOCAL_ATTENTION,
    "global_attn_every_n_layers": GLOBAL_EVERY,
}
_THETAS = {"full_attention": GLOBAL_THETA, "sliding_attention": LOCAL_THETA}
_THEIR_EMBEDDINGS = EMBEDDINGS.removeprefix(PREFIX)

Shapes = Mapping[str, tuple[int, ...]]


def is_modernbert(config: Mapping[str, Any]) -> bool:
    """Say whether a config describes an encoder in transformers' words."""
    return "hidden_size" in config and "num_hidden_layers" in config


def sizes_from_config(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Turn a ModernBERT's config into a student's sizes.

    Args:
        config: `config.json` as plain data, of any transformers from 4.48 on.
        where: named in errors.

    Returns:
        Fields of `StudentConfig`, those of the heads left out.

    Raises:
        InvalidCheckpoint: names every option that our encoder does not compute.
    """
    numbers: dict[str, Any] = {name: config.get(name) for name in _REQUIRED}
    numbers |= {name: config.get(name, usual) for name, usual in _OPTIONAL.items()}
    wrong = [
        f"{name} is {number!r}, expected a whole number above 0"
        for name, number in numbers.items()
        if type(number) is not int or number < 1
    ]
    wrong += [
        f"{name} is {config[name]!r}, expected {expected!r}"
        for name, expected in _FIXED.items()
        if name in config and config[name] != expected
    ]
    wrong += _wrong_ropes(config.get("rope_parameters") or {})
    every = None if wrong else _global_every(config, numbers)
    if every is None and not wrong:
        wrong.append(
            f"layer_types is {config['layer_types']!r}, expected full_attention in "
            "every n-th layer from the first on, sliding_attention in the others"
        )
    if numbers["local_attention"] == 1:
        wrong.append("local_attention is 1, expected at least 2")
    if wrong:
        raise InvalidCheckpoint(
            f"{where}: {'; '.join(wrong)}; our encoder computes nothing else; use a "
            "ModernBERT with its published options"
        )
    return {
        "num_layers": numbers["num_hidden_layers"],
        "hidden_size": numbers["hidden_size"],
        "num_heads": numbers["num_attention_heads"],
        "intermediate_size": numbers["intermediate_size"],
        "vocab_size": numbers["vocab_size"],
        "max_tokens": min(CLIENT_MAX_TOKENS, numbers["max_position_embeddings"]),
        "local_attention": numbers["local_attention"],
        "global_every": every,
    }


def sizes_from_shapes(shapes: Shapes, where: str) -> dict[str, Any]:
    """Infer an encoder's sizes; attention's, which no weight shows, as published.

    Args:
        shapes: of the encoder's weights, keys as transformers' `ModernBertModel`.
        where: named in errors.

    Returns:
        Fields of `StudentConfig`, those of the heads left out.

    Raises:
        InvalidCheckpoint: weights that show the sizes are missing or of odd shapes.
    """
    layers = [int(key.split(".")[1]) for key in shapes if key.startswith("layers.")]
    table = shapes.get(_THEIR_EMBEDDINGS, ())
    inner = shapes.get("layers.0.mlp.Wi.weight", ())
    if not layers or len(table) != 2 or len(inner) != 2:
        raise InvalidCheckpoint(
            f"{where}: {_THEIR_EMBEDDINGS} has shape {table}, layers.0.mlp.Wi.weight "
            f"{inner}; expected matrices that show the encoder's sizes; add its "
            "config.json"
        )
    vocab_size, hidden_size = table
    if hidden_size % HEAD_SIZE:
        raise InvalidCheckpoint(
            f"{where}: no config, and hidden size {hidden_size} is no multiple of "
            f"{HEAD_SIZE}, so the number of attention heads is unknown; add a "
            "config.json with num_attention_heads"
        )
    return {
        "num_layers": max(layers) + 1,
        "hidden_size": hidden_size,
        "num_heads": hidden_size // HEAD_SIZE,
        "intermediate_size": inner[0] // 2,
        "vocab_size": vocab_size,
        "max_tokens": CLIENT_MAX_TOKENS,
        "local_attention": LOCAL_ATTENTION,
        "global_every": GLOBAL_EVERY,
    }


def describe_encoder(shape: ModernBertShape) -> dict[str, Any]:
    """Write an encoder's config as transformers' `ModernBertModel` reads it.

    Returns:
        The content of a `config.json`, those of the special tokens' ids left out.

    Source: Warner et al. 2024; transformers' `ModernBertConfig`.
    """
    kinds = ("sliding_attention", "full_attention")
    return {
        **{name: value for name, value in _FIXED.items() if value is not None},
        "architectures": ["ModernBertModel"],
        "dtype": "float32",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.num_layers,
        "num_attention_heads": shape.num_heads,
        "max_position_embeddings": MAX_POSITIONS,
        "attention_dropout": 0.0,
        "embedding_dropout": 0.0,
        "mlp_dropout": 0.0,
        "local_attention": shape.local_attention,
        "global_attn_every_n_layers": shape.global_every,
        "layer_types": [kinds[layer.is_global] for layer in shape.layers],
        # The newer spelling of the bases, beside the older one above.
        "rope_parameters": {
            kind: {"rope_type": "default", "rope_theta": theta}
            for kind, theta in _THETAS.items()
        },
    }


def student_config(sizes: Mapping[str, Any], where: str) -> StudentConfig:
    """Validate sizes that came from elsewhere.

    Raises:
        InvalidCheckpoint: names each size out of range.
    """
    try:
        return parse_config(StudentConfig, dict(sizes))
    except InvalidConfig as error:
        raise InvalidCheckpoint(
            f"{where}: {error}; expected the sizes of a ModernBERT"
        ) from error


def _wrong_ropes(ropes: Mapping[str, Any]) -> list[str]:
    """Name what differs from plain rotary positions with the published bases."""
    wrong = []
    for kind, theta in _THETAS.items():
        rope = ropes.get(kind) or {}
        expected = {"rope_type": "default", "rope_theta": theta}
        differing = {
            name: value
            for name, value in rope.items()
            if value != expected.get(name, 1.0 if name.startswith("partial") else None)
        }
        wrong += [
            f"rope_parameters.{kind}.{name} is {value!r}, expected "
            f"{expected.get(name, 'none')!r}"
            for name, value in differing.items()
        ]
    return wrong


def _global_every(config: Mapping[str, Any], numbers: Mapping[str, int]) -> int | None:
    """Find n so that every n-th layer attends fully, None if there is no such n."""
    stated: int = numbers["global_attn_every_n_layers"]
    types: Sequence[str] | None = config.get("layer_types")
    if types is None:
        return stated
    num_layers: int = numbers["num_hidden_layers"]
    every: int
    for every in (stated, *range(1, num_layers + 1)):
        pattern = ["sliding_attention"] * num_layers
        pattern[::every] = ["full_attention"] * len(range(0, num_layers, every))
        if list(types) == pattern:
            return every
    return None
