"""Score with ONNX Runtime on a CPU, one chunk a run: nothing is padded.

T = tokens of all chunks, C = chunks
"""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from kompress.config import StudentConfig
from kompress.errors import InvalidCheckpoint
from kompress.students.engines.engine import Weights
from kompress.students.engines.onnx_graph import build_graph

OUTPUT = "final_scores"


class OnnxEngine:
    """An ONNX Runtime session over the deployed client's graph.

    Attributes:
        name: "onnx", or "onnx-int8" for eight-bit weights.
    """

    def __init__(self, graph: bytes | Path, *, name: str, num_threads: int = 0) -> None:
        """Open a graph.

        Args:
            graph: the file, or its bytes.
            name: the engine's name.
            num_threads: 0 takes every core.

        Raises:
            InvalidCheckpoint: no graph that ONNX Runtime can run, or not the client's
                inputs and output.
        """
        self.name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        # Several workers share a machine: who waits must not keep a core busy.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        source = str(graph) if isinstance(graph, Path) else graph
        try:
            self._session = onnxruntime.InferenceSession(
                source, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its classes share no base of their own
            raise InvalidCheckpoint(
                f"ONNX Runtime {onnxruntime.__version__} cannot open the graph "
                f"({error}); expected a student's export; export it again"
            ) from error
        names = {node.name for node in self._session.get_inputs()}
        outputs = {node.name for node in self._session.get_outputs()}
        if names != {"input_ids", "attention_mask"} or OUTPUT not in outputs:
            raise InvalidCheckpoint(
                f"the graph reads {', '.join(sorted(names))} and gives "
                f"{', '.join(sorted(outputs))}; expected input_ids and attention_mask "
                f"in, {OUTPUT} out; export the student again"
            )

    @classmethod
    def from_weights(
        cls, config: StudentConfig, weights: Weights, *, bits: int = 32
    ) -> "OnnxEngine":
        """Write the graph of these weights and open it.

        Raises:
            InvalidCheckpoint: the weights do not fit the config.
        """
        name = "onnx" if bits == 32 else "onnx-int8"
        return cls(build_graph(config, weights, bits=bits), name=name)

    def score_tokens(
        self, ids_T: NDArray[np.uint16], num_tokens_C: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Score tokens; see `Engine.score_tokens`."""
        score_T = np.empty(len(ids_T), dtype=np.float32)
        end_C = np.cumsum(num_tokens_C)
        for begin, end in zip(end_C - num_tokens_C, end_C, strict=True):
            ids_BS = ids_T[None, begin:end].astype(np.int64)
            feed = {"input_ids": ids_BS, "attention_mask": np.ones_like(ids_BS)}
            score_T[begin:end] = self._session.run([OUTPUT], feed)[0][0]
        return score_T
