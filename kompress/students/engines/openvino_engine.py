"""Score with OpenVINO on a CPU: short chunks share a run, long ones have their own.

T = tokens of all chunks, C = chunks, R = rows of one run
"""

from collections.abc import Sequence

import numpy as np
import openvino
from numpy.typing import NDArray

from kompress.config import StudentConfig
from kompress.students.engines.engine import Weights
from kompress.students.engines.openvino_graph import GAP, build_model
from kompress.students.modernbert_shape import ModernBertShape

# Full attention costs rows squared: a run holds the longest chunk, or this many rows.
RUN_ROWS = 512
# Activations share a scale by so many: 32 and 768 were slower, agreement was equal.
GROUP_SIZE = 128


class OpenVinoEngine:
    """A compiled OpenVINO model; bfloat16 inside where the CPU multiplies it.

    One thread at a time may score.

    Attributes:
        name: "openvino", or "openvino-int8": int8 weights, and activations rounded to
            int8 as they come where the CPU has the instructions.
    """

    def __init__(
        self,
        config: StudentConfig,
        weights: Weights,
        *,
        bits: int = 32,
        num_threads: int = 0,
    ) -> None:
        """Write the model of these weights and compile it.

        Args:
            config: the architecture.
            weights: float32 arrays under the deployed client's state-dict keys.
            bits: 32 or 8.
            num_threads: 0 takes every core.

        Raises:
            InvalidCheckpoint: the weights do not fit the config.
        """
        self.name = "openvino" if bits == 32 else "openvino-int8"
        self._block = ModernBertShape.of(config.model_dump()).window
        core = openvino.Core()
        abilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if "BF16" in abilities else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": num_threads,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP_SIZE if bits == 8 else 0,
        }
        model = build_model(config, weights, bits=bits)
        self._request = core.compile_model(
            model, "CPU", settings
        ).create_infer_request()

    def score_tokens(
        self, ids_T: NDArray[np.uint16], num_tokens_C: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Score tokens; see `Engine.score_tokens`."""
        score_T = np.empty(len(ids_T), dtype=np.float32)
        first_C = np.cumsum(num_tokens_C) - num_tokens_C
        for chunks in _share_runs(num_tokens_C.tolist(), RUN_ROWS):
            num = num_tokens_C[chunks]
            num_rows = -(-int((num + GAP).sum() - GAP) // self._block) * self._block
            start = np.cumsum(num + GAP) - (num + GAP)
            # Row r of chunk c shows token first[c] + r.
            place = np.arange(num.sum()) - np.repeat(np.cumsum(num) - num, num)
            row = np.repeat(start, num) + place
            token = np.repeat(first_C[chunks], num) + place
            ids_R, chunk_R, place_R = np.zeros((3, num_rows), dtype=np.int64)
            ids_R[row] = ids_T[token]
            chunk_R[row] = np.repeat(np.arange(1, len(num) + 1), num)
            place_R[row] = place
            score_R = self._request.infer([ids_R, chunk_R, place_R])[0]
            score_T[token] = score_R[row]
        return score_T


def _share_runs(lengths: Sequence[int], max_rows: int) -> list[list[int]]:
    """Put chunks, the longest first, each into the first run that has room for it.

    Source: first-fit decreasing, Johnson 1973.
    """
    runs: list[list[int]] = []
    rooms: list[int] = []
    for chunk in sorted(range(len(lengths)), key=lambda chunk: -lengths[chunk]):
        length = lengths[chunk]
        fits = (run for run, room in enumerate(rooms) if room >= length)
        run = next(fits, len(runs))
        if run == len(runs):
            runs.append([])
            rooms.append(max(max_rows, length))
        runs[run].append(chunk)
        rooms[run] -= length + GAP
    return runs
