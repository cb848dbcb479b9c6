"""The votes of a round on some texts, as the matrices that aggregation reads.

N = words of one text, W = words of all texts, M = voters, R = replicates
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.queries.votes import VoteRow
from kompress.aggregation import make_aggregator
from kompress.aggregation.calibration import Calibration, apply_temperature
from kompress.aggregation.replicates import pool_replicates
from kompress.aggregation.statistics import leave_one_out_keep, others_voted
from kompress.config import PAIRWISE, RoundConfig
from kompress.types import BoolArray, CodeArray, FloatArray, Label, Posterior

DECISION = "calibration"


@dataclass(frozen=True, slots=True)
class Panel:
    """Votes of several texts, one below the other.

    Attributes:
        voters: M names, in the order of the columns.
        text_ids: the texts, in the order of the rows.
        end_T: where each text's words end.
        p_WM: P(keep), calibrated where the voter is; NaN for an abstention or a voter
            that did not vote on the text.
        strength_WM: samples behind each vote times the voter's κ, 0 where there is
            none.
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
    calibration: Mapping[str, Calibration] | None = None,
) -> Panel:
    """Lay out votes; texts without any vote are left out (they are in `failures`).

    Args:
        voters: names, in the order of the columns.
        votes: a round's votes by text; those of others are passed over.
        strata: `farm` codes by text.
        calibration: by voter; who is not in it counts as it votes.
    """
    known = calibration or {}
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
                own = known.get(voter, Calibration())
                p_WM[end - size : end, column] = apply_temperature(p_N, own.temperature)
                strength_WM[end - size : end, column] = strength_N * own.strength
    flat = [strata[text_id] for text_id in text_ids]
    stratum_W = np.concatenate(flat) if flat else np.zeros(0, dtype=np.uint8)
    return Panel(tuple(voters), text_ids, end_T, p_WM, strength_WM, stratum_W)


def read_calibration(decisions: Mapping[str, Any]) -> dict[str, Calibration]:
    """Read what the stage `fit` decided for a round; nothing before it ran."""
    return {
        voter: Calibration(
            temperature=float(found["temperature"]),
            strength=float(found["strength"]),
            num_words=int(found["num_words"]),
        )
        for voter, found in decisions.get(DECISION, {}).items()
    }


def consensus_of(panel: Panel, config: RoundConfig) -> Panel:
    """Take the columns that make the consensus.

    Under the protocol `pairwise` that is the winning reference's alone; the others are
    judged by it.
    """
    return take_columns(panel, [PAIRWISE]) if config.protocol == "pairwise" else panel


def take_columns(panel: Panel, voters: Sequence[str]) -> Panel:
    """Take some voters' votes; their texts stay, also those without one of them."""
    own = [column for column, voter in enumerate(panel.voters) if voter in voters]
    return replace(
        panel,
        voters=tuple(panel.voters[column] for column in own),
        p_WM=panel.p_WM[:, own],
        strength_WM=panel.strength_WM[:, own],
    )


def without_each(panel: Panel, config: RoundConfig) -> tuple[BoolArray, BoolArray]:
    """Give the consensus that each voter can be judged by: the one without it.

    Returns:
        (W, M) whether it keeps a word, and (W, M) where that can be compared: the
        voter voted, and so did somebody else who makes the consensus.
    """
    rule = make_aggregator(config.aggregation.rule, config.aggregation.params)
    own = consensus_of(panel, config)
    keep_WM = leave_one_out_keep(rule, own.p_WM, own.strength_WM, own.stratum_W)
    known_WM = others_voted(own.p_WM)
    if own is panel:
        return keep_WM, known_WM
    # Who has no part in the consensus is judged by all of it.
    posterior = rule.aggregate(own.p_WM, own.strength_WM, own.stratum_W)
    whole_W = posterior.mean_N.astype(np.float16) >= np.float16(0.5)
    some_W = ~np.isnan(own.p_WM).all(axis=1)
    place = {voter: column for column, voter in enumerate(own.voters)}
    keep, known = [], []
    for column, voter in enumerate(panel.voters):
        if voter in place:
            keep.append(keep_WM[:, place[voter]])
            known.append(known_WM[:, place[voter]])
        else:
            keep.append(whole_W)
            known.append(some_W & ~np.isnan(panel.p_WM[:, column]))
    return np.stack(keep, axis=1), np.stack(known, axis=1)


def aggregate_panel(panel: Panel, config: RoundConfig) -> Posterior:
    """Pool all of the panel by the round's rule."""
    rule = make_aggregator(config.aggregation.rule, config.aggregation.params)
    return rule.aggregate(panel.p_WM, panel.strength_WM, panel.stratum_W)


def make_labels(panel: Panel, posterior: Posterior) -> dict[int, Label]:
    """Round a posterior to what is stored, by text id."""
    means = panel.split(posterior.mean_N.astype(np.float16))
    sds = panel.split(posterior.sd_N.astype(np.float16))
    return {text_id: Label(means[text_id], sds[text_id]) for text_id in panel.text_ids}
