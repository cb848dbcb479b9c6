"""Score with torch: chunks laid end to end, on a GPU where there is one.

T = tokens of all chunks, C = chunks, R = rows of one pass
"""

import numpy as np
import torch
from numpy.typing import NDArray

from kompress.config import StudentConfig
from kompress.errors import InvalidCheckpoint
from kompress.students.engines.engine import Weights
from kompress.students.matmul import fast_matmul
from kompress.students.model import HeadLogits, StudentModel

# Tokens a forward pass takes. On a CPU 1,024 to 4,096 scored equally fast and 8,192
# slower; a GPU wants many, and plans its attention anew for each row count.
PACK_TOKENS = {"cpu": 2_048, "cuda": 32_768}


class TorchEngine:
    """A torch module that scores packed chunks.

    Attributes:
        name: "torch".
        model: the module, in eval mode.
    """

    name = "torch"

    def __init__(
        self, model: StudentModel, *, dtype: torch.dtype | None = None
    ) -> None:
        """Score with a module where it lies.

        Args:
            model: put in eval mode.
            dtype: float32, or bfloat16 for matrix products; None takes bfloat16 on a
                GPU and float32 elsewhere.
        """
        self.model = model.eval()
        self._dtype = dtype

    @classmethod
    def from_weights(cls, config: StudentConfig, weights: Weights) -> "TorchEngine":
        """Build the module and give it these weights, on a GPU where there is one.

        No random state is touched.

        Raises:
            InvalidCheckpoint: a weight is missing, foreign, or of another shape.
        """
        with torch.random.fork_rng(devices=[]):
            model = StudentModel(config)
        # A copy: arrays that were read from a file cannot be written to.
        tensors = {name: torch.from_numpy(np.array(w)) for name, w in weights.items()}
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            raise InvalidCheckpoint(
                f"the weights do not fit: {error}; expected the state dict of a "
                f"{config.variant} student of {config!r}"
            ) from error
        return cls(model.to("cuda" if torch.cuda.is_available() else "cpu"))

    def score_tokens(
        self, ids_T: NDArray[np.uint16], num_tokens_C: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Score tokens; see `Engine.score_tokens`."""
        p_T, s_T = self.heads(ids_T, num_tokens_C)
        return p_T * (np.float32(0.5) + np.float32(0.5) * s_T)

    def heads(
        self, ids_T: NDArray[np.uint16], num_tokens_C: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Give what each head says of every token.

        Args:
            ids_T: (T,) token ids, chunk after chunk.
            num_tokens_C: (C,) tokens of each chunk.

        Returns:
            (T,) p of the token head and (T,) s of the span head, all 1 for a student
            without one.
        """
        device = self.model.device
        dtype = self._dtype
        if dtype is None:
            dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        in_bfloat16 = dtype == torch.bfloat16
        room = PACK_TOKENS.get(device.type, PACK_TOKENS["cpu"])
        passes: list[tuple[torch.Tensor, NDArray[np.int64]]] = []
        begin = 0
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=in_bfloat16),
            fast_matmul(),
        ):
            for lengths in _group(num_tokens_C.tolist(), room):
                end = begin + sum(lengths)
                packing = self.model.pack(lengths)
                logits = self.model(packing.spread(ids_T[begin:end]), packing)
                passes.append((_chances(logits), packing.row_T))
                begin = end
        # Only now: reading a result earlier would make a GPU wait for us.
        heads = [np.empty((2, 0), dtype=np.float32)]
        heads += [chance_2R.cpu().numpy()[:, row_T] for chance_2R, row_T in passes]
        p_T, s_T = np.concatenate(heads, axis=1)
        return p_T, s_T


def _chances(logits: HeadLogits) -> torch.Tensor:
    """Give (2, R) p and s; s is 1 without a span head."""
    p_R = logits.keep_R.float().sigmoid()
    if logits.span_R is None:
        return torch.stack([p_R, torch.ones_like(p_R)])
    return torch.stack([p_R, logits.span_R.float().sigmoid()])


def _group(lengths: list[int], max_tokens: int) -> list[list[int]]:
    """Pack chunks in their order into passes of at most so many tokens."""
    groups: list[list[int]] = []
    room = 0
    for length in lengths:
        if not groups or length > room:
            groups.append([])
            room = max_tokens
        groups[-1].append(length)
        room -= length
    return groups
