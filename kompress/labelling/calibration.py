"""Count each teacher's votes against calibration gold, shard by shard.

C = byte codes
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kompress.aggregation.calibration import fit_calibration
from kompress.aggregation.statistics import NUM_CELLS, code_histogram
from kompress.decisions import Calibration
from kompress.labelling.fit_data import EligibleVotes
from kompress.labelling.panel import Panel, make_panel
from kompress.types import ABSTAIN, KEEP, UNKNOWN, encode_votes


class CalibrationCounts:
    """Integers that merge in any order; a temperature and a strength are made of them.

    A voter of whose votes one pools several samples is left out: its votes say how many
    they are.
    """

    def __init__(self, voters: Sequence[str]) -> None:
        """Start empty.

        Args:
            voters: those that need a temperature: the teachers.
        """
        self._counts_2C = {
            voter: np.zeros((2, NUM_CELLS), dtype=np.int64) for voter in voters
        }

    def add(self, found: EligibleVotes) -> None:
        """Add a shard's votes on texts with gold."""
        votes = {t: rows for t, rows in found.votes.items() if t in found.gold_codes}
        for rows in votes.values():
            for row in rows:
                if row.num_samples > 1:
                    self._counts_2C.pop(row.voter, None)
        panel = make_panel(tuple(self._counts_2C), votes, found.strata)
        for voter, more_2C in count_codes(panel, found).items():
            self._counts_2C[voter] += more_2C

    def fit(self) -> dict[str, Calibration]:
        """Fit each voter that is left, by name; without gold, no change."""
        return {
            voter: fit_calibration(counts_2C)
            for voter, counts_2C in self._counts_2C.items()
        }


def count_codes(panel: Panel, found: EligibleVotes) -> dict[str, NDArray[np.int64]]:
    """Count each voter's codes by truth.

    Args:
        panel: votes on texts with gold, as they were cast, replicates pooled.
        found: whose gold is read.

    Returns:
        (2, C) counts by voter, drop then keep.
    """
    parts = [found.gold_codes[text_id] for text_id in panel.text_ids]
    truth_W = np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint8)
    counts = {}
    for column, voter in enumerate(panel.voters):
        codes_W = encode_votes(panel.p_WM[:, column])
        known_W = (truth_W != UNKNOWN) & (codes_W != ABSTAIN)
        counts_S2C = code_histogram(codes_W, truth_W == KEEP, panel.stratum_W, known_W)
        counts[voter] = counts_S2C.sum(axis=0)
    return counts
