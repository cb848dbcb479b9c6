"""Count each voter's votes against a truth, by stratum: rows of `voter_stats`.

W = words of all texts, M = voters, S = strata, C = byte codes
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kompress.aggregation.statistics import (
    code_histogram,
    confusion,
    expected_calibration_error,
)
from kompress.labelling.consensus import FittedConsensus, without_each
from kompress.labelling.counting import ALL
from kompress.labelling.panel import Panel, Panels
from kompress.types import ABSTAIN, STRATA, FloatArray, VoterStatRow, encode_votes

# Keep and drop code histograms by (voter, stratum, truth).
Histograms = Mapping[tuple[str, str, str], tuple[list[int], list[int]]]


def judge_without_gold(panels: Panels, fitted: FittedConsensus) -> list[VoterStatRow]:
    """Compare each voter with the consensus of the others, and with must-keep.

    Args:
        panels: all columns of the round.
        fitted: the round's.
    """
    panel = panels.calibrated
    others_WM, comparable_WM = without_each(panels, fitted)
    must_W = panel.stratum_W > 0
    rows: list[VoterStatRow] = []
    for column, voter in enumerate(panel.voters):
        p_W = panel.p_WM[:, column]
        codes_W = encode_votes(p_W)
        keep_W = np.nan_to_num(p_W) >= 0.5
        for truth, truth_W, known_W in (
            ("leave_one_out", others_WM[:, column], comparable_WM[:, column]),
            ("must_keep", must_W, must_W & (codes_W != ABSTAIN)),
        ):
            if not known_W.any():
                continue
            cells_S4 = confusion(keep_W, truth_W, panel.stratum_W, known_W)
            codes_S2C = code_histogram(codes_W, truth_W, panel.stratum_W, known_W)
            rows += stat_rows(voter, truth, cells_S4, codes_S2C)
    return rows


def stat_rows(
    voter: str,
    truth: str,
    cells_S4: NDArray[np.int64],
    codes_S2C: NDArray[np.int64],
) -> list[VoterStatRow]:
    """Lay out one voter's counts by stratum and for `all`.

    Args:
        voter: its name.
        truth: what it was compared with.
        cells_S4: (S, 4) TP, FN, FP, TN.
        codes_S2C: (S, 2, C) vote codes by truth, drop then keep.
    """
    rows = []
    strata = [(ALL, cells_S4.sum(axis=0), codes_S2C.sum(axis=0))]
    strata += [(name, cells_S4[s], codes_S2C[s]) for s, name in enumerate(STRATA)]
    for stratum, cells_4, codes_2C in strata:
        if not cells_4.sum():
            continue
        kk, kd, dk, dd = (int(cell) for cell in cells_4)
        compared = truth == "leave_one_out"
        rows.append(
            VoterStatRow(
                voter=voter,
                stratum=stratum,
                truth=truth,
                num_keep_kept=kk,
                num_keep_dropped=kd,
                num_drop_kept=dk,
                num_drop_dropped=dd,
                num_agreed=kk + dd if compared else 0,
                num_compared=kk + kd + dk + dd if compared else 0,
                keep_codes=codes_2C[1].tolist(),
                drop_codes=codes_2C[0].tolist(),
            )
        )
    return rows


def weights_by_stratum(
    panel: Panel, weight_SM: FloatArray
) -> dict[tuple[str, str], float]:
    """Give each voter's weight by stratum, and over all words.

    Args:
        panel: whose words are weighed by.
        weight_SM: (S, M) of a posterior.
    """
    words_S = np.bincount(panel.stratum_W, minlength=len(STRATA))
    found: dict[tuple[str, str], float] = {}
    for m, voter in enumerate(panel.voters):
        for s, stratum in enumerate(STRATA):
            if words_S[s]:
                found[voter, stratum] = float(weight_SM[s, m])
        if words_S.sum():
            mean = float((weight_SM[:, m] * words_S).sum() / words_S.sum())
            found[voter, ALL] = mean
    return found


def calibration_errors(histograms: Histograms) -> dict[tuple[str, str, str], float]:
    """Give each voter's expected calibration error against each truth."""
    found = {}
    for (voter, stratum, truth), (keep, drop) in sorted(histograms.items()):
        error = expected_calibration_error(np.array([drop, keep]))
        # Every must-keep word counts as kept: calibration against that says nothing.
        if error is not None and truth != "must_keep":
            found[voter, stratum, truth] = error
    return found
