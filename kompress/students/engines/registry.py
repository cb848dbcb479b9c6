"""The engines by name; each library is imported when its engine is made."""

from collections.abc import Callable
from pathlib import Path

from kompress.config import StudentConfig
from kompress.errors import InvalidConfig
from kompress.students.engines.engine import Engine, Weights


def make_engine(name: str, config: StudentConfig, weights: Weights) -> Engine:
    """Make an engine from a student's weights.

    Args:
        name: a key of `ENGINES`.
        config: the architecture.
        weights: float32 arrays under the deployed client's state-dict keys.

    Raises:
        InvalidConfig: no engine is called that.
        InvalidCheckpoint: the weights do not fit the config.
    """
    if name not in ENGINES:
        raise InvalidConfig(
            f"no engine is called {name!r}; expected one of {', '.join(ENGINES)}"
        )
    return ENGINES[name](config, weights)


def open_graph(name: str, path: Path) -> Engine:
    """Open an ONNX file that an export wrote.

    Args:
        name: a key of `EXPORTED_GRAPHS`.
        path: the file.

    Raises:
        InvalidCheckpoint: it is no student's graph.
    """
    from kompress.students.engines.onnx_engine import OnnxEngine

    return OnnxEngine(path, name=name)


# ruff: noqa: PLC0415 -- a process pays for the one library that it scores with


def _torch(config: StudentConfig, weights: Weights) -> Engine:
    from kompress.students.engines.torch_engine import TorchEngine

    return TorchEngine.from_weights(config, weights)


def _onnx(config: StudentConfig, weights: Weights) -> Engine:
    from kompress.students.engines.onnx_engine import OnnxEngine

    return OnnxEngine.from_weights(config, weights)


def _onnx_int8(config: StudentConfig, weights: Weights) -> Engine:
    from kompress.students.engines.onnx_engine import OnnxEngine

    return OnnxEngine.from_weights(config, weights, bits=8)


def _openvino(config: StudentConfig, weights: Weights) -> Engine:
    from kompress.students.engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(config, weights)


def _openvino_int8(config: StudentConfig, weights: Weights) -> Engine:
    from kompress.students.engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(config, weights, bits=8)


ENGINES: dict[str, Callable[[StudentConfig, Weights], Engine]] = {
    "torch": _torch,
    "onnx": _onnx,
    "onnx-int8": _onnx_int8,
    "openvino": _openvino,
    "openvino-int8": _openvino_int8,
}

# Where an export puts the graphs that these engines run.
EXPORTED_GRAPHS = {
    "onnx": "onnx/kompress-fp32.onnx",
    "onnx-int8": "onnx/kompress-int8-wo.onnx",
}

# The fastest on a CPU at ModernBERT-base's size, and the widest margin over ONNX
# Runtime's fp32 at equal decisions: python -m benchmarks score.
CPU_ENGINE = "openvino-int8"
