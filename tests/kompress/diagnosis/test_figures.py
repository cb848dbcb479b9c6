from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.diagnosis.figures import (
    average_precision,
    error_lines_lost,
    evidence_recall,
    line_auc,
    signal_recall,
)
from kompress.diagnosis.gold import Signal
from kompress.lines.cut import cut_lines
from kompress.lines.log_lines import prepare_log
from kompress.types import DROP, KEEP, UNKNOWN


def codes(letters):
    return np.array(
        [{"K": KEEP, "D": DROP, "?": UNKNOWN}[c] for c in letters], np.uint8
    )


def test_auc_counts_pairs_and_halves_ties():
    # Kept .8 and .5 against dropped .5 and .1: above, above, tie, above = 3.5 of 4.
    assert line_auc(np.array([0.8, 0.5, 0.5, 0.1]), codes("KKDD")) == 3.5 / 4


def test_what_nobody_knows_counts_nowhere():
    score_L = np.array([0.8, 0.9, 0.5])

    assert line_auc(score_L, codes("K?D")) == 1
    assert average_precision(score_L, codes("K?D")) == 1
    assert evidence_recall(np.array([True, False, False]), codes("K?D")) == 1


def test_average_precision_steps_through_kept_lines():
    # Kept at places 1 and 3: (1/1 + 2/3) / 2.
    assert average_precision(np.array([0.9, 0.5, 0.3]), codes("KDK")) == pytest.approx(
        5 / 6
    )
    # All tied: both are found at once, at precision 2/3.
    assert average_precision(np.array([0.5, 0.5, 0.5]), codes("KDK")) == pytest.approx(
        2 / 3
    )


@pytest.mark.parametrize("letters", ["", "DD", "??"])
def test_without_evidence_there_is_no_figure(letters):
    score_L = np.zeros(len(letters))

    assert isnan(line_auc(score_L, codes(letters)))
    assert isnan(average_precision(score_L, codes(letters)))
    assert isnan(evidence_recall(score_L > 1, codes(letters)))


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=2, max_size=9))
def test_turning_all_scores_around_turns_the_auc_around(pairs):
    score_L = np.array([float(score) for score, _ in pairs])
    code_L = codes(["K" if keep else "D" for _, keep in pairs])

    auc = line_auc(score_L, code_L)

    assert isnan(auc) or line_auc(-score_L, code_L) == pytest.approx(1 - auc)


def test_a_signal_survives_in_any_of_its_forms():
    signals = [
        Signal(forms=("exit code 2", "code: 2"), is_critical=True),
        Signal(forms=("tests/a.py",), is_critical=True),
        Signal(forms=("line one\nline two",), is_critical=True),
        Signal(forms=("optional",), is_critical=False),
    ]

    kept = "\x1b[31mco\x1b[0mde: 2\r\nline one\r\nline two\r\nTESTS/A.PY"

    # Escapes go, CRLF is LF, case counts: two of three.
    assert signal_recall(kept, signals) == pytest.approx(2 / 3)
    assert isnan(signal_recall(kept, signals[3:]))


def test_an_error_line_is_lost_if_none_of_its_template_is_kept():
    text = "error: disk 1\nerror: disk 2\nerror: net\nplain\n"
    log = prepare_log(cut_lines(text))
    code_L = codes("KKKK")

    kept_L = np.array([True, False, False, False])

    # The second disk is told by the first; the plain line is no error line.
    assert error_lines_lost(kept_L, code_L, log) == (1, 3)
    assert error_lines_lost(kept_L, codes("DDDK"), log) == (0, 0)
