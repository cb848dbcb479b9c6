"""The votes of a round on some texts, as the matrices that aggregation reads.

N = words of one text, W = words of all texts, M = voters, R = replicates
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.queries.votes import VoteRow
from kompress.aggregation import make_aggregator
from kompress.aggregation.replicates import pool_replicates
from kompress.config import RoundConfig
from kompress.types import CodeArray, FloatArray, Label, Posterior


@dataclass(frozen=True, slots=True)
class Panel:
    """Votes of several texts, one below the other.

    Attributes:
        voters: M names, in the order of the columns.
        text_ids: the texts, in the order of the rows.
        end_T: where each text's words end.
        p_WM: P(keep), NaN for an abstention or a voter that did not vote on the text.
        strength_WM: samples behind each vote, 0 where there is none.
        stratum_W: `farm` strata.
    """

    voters: tuple[str, ...]
    text_ids: tuple[int, ...]
    end_T: NDArray[np.int64]
    p_WM: FloatArray
    strength_WM: FloatArray
    stratum_W: CodeArray

    def split(self, flat: NDArray[Any]) -> dict[int, NDArray[Any]]:
        """Cut an array over all words into one by text id."""
        # Of no texts, `np.split` would make one empty part.
        parts = np.split(flat, self.end_T[:-1]) if self.text_ids else []
        return dict(zip(self.text_ids, parts, strict=True))


def make_panel(
    voters: Sequence[str],
    votes: Mapping[int, Sequence[VoteRow]],
    strata: Mapping[int, CodeArray],
) -> Panel:
    """Lay out votes; texts without any vote are left out (they are in `failures`)."""
    text_ids = tuple(sorted(text_id for text_id in votes if votes[text_id]))
    sizes = [strata[text_id].size for text_id in text_ids]
    end_T = np.cumsum(np.array(sizes, dtype=np.int64))
    num_words = int(end_T[-1]) if text_ids else 0
    p_WM = np.full((num_words, len(voters)), np.nan)
    strength_WM = np.zeros((num_words, len(voters)))
    for text_id, size, end in zip(text_ids, sizes, end_T.tolist(), strict=True):
        for column, voter in enumerate(voters):
            rows = [row for row in votes[text_id] if row.voter == voter]
            if rows:
                p_N, strength_N = pool_replicates(
                    np.stack([row.codes_N for row in rows]),
                    np.array([row.num_samples for row in rows]),
                )
                p_WM[end - size : end, column] = p_N
                strength_WM[end - size : end, column] = strength_N
    flat = [strata[text_id] for text_id in text_ids]
    stratum_W = np.concatenate(flat) if flat else np.zeros(0, dtype=np.uint8)
    return Panel(tuple(voters), text_ids, end_T, p_WM, strength_WM, stratum_W)


def aggregate_panel(panel: Panel, config: RoundConfig) -> Posterior:
    """Pool the panel by the round's rule."""
    rule = make_aggregator(config.aggregation.rule, config.aggregation.params)
    return rule.aggregate(panel.p_WM, panel.strength_WM, panel.stratum_W)


def make_labels(panel: Panel, posterior: Posterior) -> dict[int, Label]:
    """Round a posterior to what is stored, by text id."""
    means = panel.split(posterior.mean_N.astype(np.float16))
    sds = panel.split(posterior.sd_N.astype(np.float16))
    return {text_id: Label(means[text_id], sds[text_id]) for text_id in panel.text_ids}
