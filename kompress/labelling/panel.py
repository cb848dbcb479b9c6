"""The votes of a round on some texts, as the matrices that aggregation reads.

N = words of one text, W = words of all texts, M = voters, R = replicates
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kompress.aggregation.calibration import apply_temperature
from kompress.aggregation.replicates import pool_replicates
from kompress.config import PAIRWISE, RoundConfig
from kompress.decisions import Calibration
from kompress.types import (
    NEW_TEXT,
    BoolArray,
    CodeArray,
    FloatArray,
    Label,
    Posterior,
    VoteRow,
)
from kompress.voters import VOTERS


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
        boundary_W: what stands before each word; None: words are independent.
    """

    voters: tuple[str, ...]
    text_ids: tuple[int, ...]
    end_T: NDArray[np.int64]
    p_WM: FloatArray
    strength_WM: FloatArray
    stratum_W: CodeArray
    boundary_W: CodeArray | None = None

    def split(self, flat: NDArray[Any]) -> dict[int, NDArray[Any]]:
        """Cut an array over all words into one by text id."""
        # Of no texts, `np.split` would make one empty part.
        parts = np.split(flat, self.end_T[:-1]) if self.text_ids else []
        return dict(zip(self.text_ids, parts, strict=True))

    def whole_texts(self, wanted_W: BoolArray) -> BoolArray:
        """Tell which words lie in a text of which some word is wanted."""
        size_T = np.diff(self.end_T, prepend=0)
        text_W = np.repeat(np.arange(size_T.size), size_T)
        some_T = np.bincount(text_W, weights=wanted_W, minlength=size_T.size) > 0
        whole_W: BoolArray = some_T[text_W]
        return whole_W

    def group_words(self, group_of: Mapping[int, str]) -> "WordGroups":
        """Number the words by document group, in the order of the groups' names.

        Args:
            group_of: the document group by text id.
        """
        names = tuple(sorted({group_of[text_id] for text_id in self.text_ids}))
        place = {name: number for number, name in enumerate(names)}
        number_T = [place[group_of[text_id]] for text_id in self.text_ids]
        size_T = np.diff(self.end_T, prepend=0)
        return WordGroups(names, np.repeat(np.array(number_T, dtype=np.int64), size_T))


@dataclass(frozen=True, slots=True)
class WordGroups:
    """Which document group each word of a panel belongs to.

    Attributes:
        names: G names, in order.
        number_W: place of the word's group among them.
    """

    names: tuple[str, ...]
    number_W: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Panels:
    """The same votes twice, for the two kinds of rules.

    Attributes:
        raw: as they were cast: what a rule that learns reads.
        calibrated: by each voter's temperature and strength: what a plain rule reads.
    """

    raw: Panel
    calibrated: Panel


def make_panel(
    voters: Sequence[str],
    votes: Mapping[int, Sequence[VoteRow]],
    strata: Mapping[int, CodeArray],
    calibration: Mapping[str, Calibration] | None = None,
    boundaries: Mapping[int, CodeArray] | None = None,
) -> Panel:
    """Lay out votes; texts without any vote are left out (they are in `failures`).

    Args:
        voters: names, in the order of the columns.
        votes: a round's votes by text; those of others are passed over.
        strata: `farm` codes by text.
        calibration: by voter; who is not in it counts as it votes.
        boundaries: what stands before each word by text; None: words are independent.
    """
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
    boundary_W = None
    if boundaries is not None:
        own = [
            _boundary_of(boundaries.get(text_id), size)
            for text_id, size in zip(text_ids, sizes, strict=True)
        ]
        boundary_W = np.concatenate([np.zeros(0, dtype=np.uint8), *own])
    raw = Panel(
        tuple(voters), text_ids, end_T, p_WM, strength_WM, stratum_W, boundary_W
    )
    return calibrate(raw, calibration or {})


def consensus_of(panel: Panel, config: RoundConfig) -> Panel:
    """Take the columns that make the consensus.

    Under the protocol `pairwise` that is the winning reference's alone; the others are
    judged by it.
    """
    own = consensus_voters(config)
    return panel if config.protocol != "pairwise" else take_columns(panel, own)


def consensus_voters(config: RoundConfig) -> tuple[str, ...]:
    """Name the voters that make the consensus, in the order of the columns."""
    return (PAIRWISE,) if config.protocol == "pairwise" else config.panel()


def teachers(config: RoundConfig) -> tuple[str, ...]:
    """Name the round's voters that ask a model, in the config's order."""
    return tuple(
        voter.name
        for voter in config.voters
        if voter.kind in VOTERS and VOTERS[voter.kind].needs_engine is not None
    )


def take_columns(panel: Panel, voters: Sequence[str]) -> Panel:
    """Take some voters' votes; their texts stay, also those without one of them."""
    own = [column for column, voter in enumerate(panel.voters) if voter in voters]
    return replace(
        panel,
        voters=tuple(panel.voters[column] for column in own),
        p_WM=panel.p_WM[:, own],
        strength_WM=panel.strength_WM[:, own],
    )


def calibrate(panel: Panel, calibration: Mapping[str, Calibration]) -> Panel:
    """Turn votes as they were cast into what they are worth.

    Args:
        panel: raw votes.
        calibration: by voter; who is not in it counts as it votes.
    """
    known = [m for m, voter in enumerate(panel.voters) if voter in calibration]
    if not known:
        return panel
    p_WM, strength_WM = panel.p_WM.copy(), panel.strength_WM.copy()
    for column in known:
        own = calibration[panel.voters[column]]
        # Text by text: a vector's last bits may depend on how long it is.
        start = 0
        for end in panel.end_T.tolist():
            p_N = np.ascontiguousarray(panel.p_WM[start:end, column])
            p_WM[start:end, column] = apply_temperature(p_N, own.temperature)
            start = end
        strength_WM[:, column] *= own.strength
    return replace(panel, p_WM=p_WM, strength_WM=strength_WM)


def make_panels(
    voters: Sequence[str],
    votes: Mapping[int, Sequence[VoteRow]],
    strata: Mapping[int, CodeArray],
    calibration: Mapping[str, Calibration],
    boundaries: Mapping[int, CodeArray] | None = None,
) -> Panels:
    """Lay out votes for plain rules and for those that learn; see `make_panel`."""
    raw = make_panel(voters, votes, strata, boundaries=boundaries)
    return Panels(raw, calibrate(raw, calibration))


def consensus_panels(panels: Panels, config: RoundConfig) -> Panels:
    """Take the columns that make the consensus of both; see `consensus_of`."""
    return Panels(
        consensus_of(panels.raw, config), consensus_of(panels.calibrated, config)
    )


def take_both(panels: Panels, voters: Sequence[str]) -> Panels:
    """Take some voters' votes of both; see `take_columns`."""
    return Panels(
        take_columns(panels.raw, voters), take_columns(panels.calibrated, voters)
    )


def _boundary_of(boundary_N: CodeArray | None, size: int) -> CodeArray:
    """Take a text's boundaries; words that are not those of the votes stand alone.

    Votes may be of an earlier split of the text, or the text forgotten meanwhile.
    """
    if boundary_N is None or boundary_N.size != size:
        return np.full(size, NEW_TEXT, dtype=np.uint8)
    return boundary_N


def make_labels(panel: Panel, posterior: Posterior) -> dict[int, Label]:
    """Round a posterior to what is stored, by text id."""
    means = panel.split(posterior.mean_N.astype(np.float16))
    sds = panel.split(posterior.sd_N.astype(np.float16))
    return {text_id: Label(means[text_id], sds[text_id]) for text_id in panel.text_ids}
