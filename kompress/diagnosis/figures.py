"""Figures of scored or kept lines against what people marked.

L = lines of one log; codes are `KEEP`, `DROP` and `UNKNOWN`, which counts nowhere
"""

import re
from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from kompress.diagnosis.gold import Signal
from kompress.lines.log_lines import LogLines
from kompress.lines.templates import ESCAPE
from kompress.types import KEEP, UNKNOWN, BoolArray, CodeArray, FloatArray

_ESCAPE = re.compile(ESCAPE)


def line_auc(score_L: FloatArray, code_L: CodeArray) -> float:
    """Give P(a kept line scores above a dropped one), ties ½; NaN without either.

    Source: Mann & Whitney 1947.
    """
    score_L, keep_L = score_L[code_L != UNKNOWN], code_L[code_L != UNKNOWN] == KEEP
    kept, dropped = int(keep_L.sum()), int((~keep_L).sum())
    if not kept or not dropped:
        return float("nan")
    above = rankdata(score_L)[keep_L].sum() - kept * (kept + 1) / 2
    return float(above / (kept * dropped))


def average_precision(score_L: FloatArray, code_L: CodeArray) -> float:
    """Give the mean precision over kept lines, lines of one score taken together.

    Source: Manning et al. 2008, section 8.4; with ties as steps of recall.
    """
    score_L, keep_L = score_L[code_L != UNKNOWN], code_L[code_L != UNKNOWN] == KEEP
    if not keep_L.any():
        return float("nan")
    order_L = np.argsort(-score_L, kind="stable")
    last_L = np.append(np.diff(score_L[order_L]) != 0, True)
    hits = np.cumsum(keep_L[order_L])[last_L]
    taken = np.flatnonzero(last_L) + 1
    return float((np.diff(hits, prepend=0) * hits / taken).sum() / keep_L.sum())


def evidence_recall(kept_L: BoolArray, code_L: CodeArray) -> float:
    """Give the share of the lines that explain the failure which are kept."""
    evidence_L = code_L == KEEP
    return float(kept_L[evidence_L].mean()) if evidence_L.any() else float("nan")


def signal_recall(kept_text: str, signals: Sequence[Signal]) -> float:
    """Give the share of critical signals of which a form stands in what is kept.

    Source: the text rule of LogDx-CI: escapes go, line ends become LF, case and inner
        white space count; a signal's value, one of its aliases or its file is looked
        for as a substring.
    """
    critical = [signal for signal in signals if signal.is_critical]
    if not critical:
        return float("nan")
    text = _ESCAPE.sub("", kept_text).replace("\r\n", "\n").replace("\r", "\n")
    found = [any(form in text for form in signal.forms) for signal in critical]
    return float(np.mean(found))


def error_lines_lost(
    kept_L: BoolArray, code_L: CodeArray, log: LogLines
) -> tuple[int, int]:
    """Count evidence that says failure, and what of it is lost.

    Returns:
        Lines lost, and lines of evidence that match the frozen lexicon. A line is lost
        if no line of its template is kept.
    """
    error_L = (code_L == KEEP) & log.failures.says_L
    shown_U = np.zeros(len(log.templates), bool)
    shown_U[log.template_L[kept_L]] = True
    return int((error_L & ~shown_U[log.template_L]).sum()), int(error_L.sum())
