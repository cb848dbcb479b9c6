"""Score with torch: chunks laid end to end, on a GPU where there is one.

T = tokens of all chunks, C = chunks, R = rows of one pass
"""

import numpy as np
import torch
from numpy.typing import NDArray

from kompress.config import StudentConfig
from kompress.errors import InvalidCheckpoint
from kompress.students.dual_head import STUDENTS, DualHead
from kompress.students.engines.engine import Weights
from kompress.students.matmul import fast_matmul
from kompress.students.packed import Packing
from kompress.students.token_head import TokenHead

# Tokens a forward pass takes: 1,024 to 4,096 scored equally fast, 8,192 slower.
PACK_TOKENS = 2048


class TorchEngine:
    """A torch module that scores packed chunks.

    Attributes:
        name: "torch".
        model: the module, in eval mode.
    """

    name = "torch"

    def __init__(self, model: DualHead | TokenHead) -> None:
        """Score with a module where it lies."""
        self.model = model.eval()

    @classmethod
    def from_weights(cls, config: StudentConfig, weights: Weights) -> "TorchEngine":
        """Build the module and give it these weights; no random state is touched.

        Raises:
            InvalidCheckpoint: a weight is missing, foreign, or of another shape.
        """
        with torch.random.fork_rng(devices=[]):
            model = STUDENTS[config.variant](config)
        # A copy: arrays that were read from a file cannot be written to.
        tensors = {name: torch.from_numpy(np.array(w)) for name, w in weights.items()}
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            raise InvalidCheckpoint(
                f"the weights do not fit: {error}; expected the state dict of a "
                f"{config.variant} student of {config!r}"
            ) from error
        return cls(model)

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
        p_T = np.empty(len(ids_T), dtype=np.float32)
        s_T = np.ones(len(ids_T), dtype=np.float32)
        begin = 0
        with torch.inference_mode(), fast_matmul():
            for lengths in _group(num_tokens_C.tolist()):
                end = begin + sum(lengths)
                packing = Packing(lengths, self.model.config)
                ids_R = packing.spread(ids_T[begin:end].astype(np.int64))
                logits = self.model(ids_R, packing)
                p_T[begin:end] = _chance(logits.keep_R, packing)
                if logits.span_R is not None:
                    s_T[begin:end] = _chance(logits.span_R, packing)
                begin = end
        return p_T, s_T


def _chance(logits_R: torch.Tensor, packing: Packing) -> NDArray[np.float32]:
    chance: NDArray[np.float32] = logits_R.float().sigmoid().cpu().numpy()
    return chance[packing.row_T]


def _group(lengths: list[int]) -> list[list[int]]:
    """Pack chunks in their order into passes of about `PACK_TOKENS`."""
    groups: list[list[int]] = []
    room = 0
    for length in lengths:
        if not groups or length > room:
            groups.append([])
            room = PACK_TOKENS
        groups[-1].append(length)
        room -= length
    return groups
