from math import isnan

import numpy as np
import pytest

from kompress.diagnosis.gold import read_row
from kompress.diagnosis.measure import measure_case, prepare_case, summarise
from kompress.lines.selection import select_by_score


def case():
    # 8 characters a line, 2 tokens: 10 lines are 20 tokens.
    lines = [f"line  {n}\n"[-8:] for n in range(10)]
    return prepare_case(
        read_row(
            {
                "id": "a",
                "source": "mini",
                "repository": "r",
                "text": "".join(lines),
                "gold": {
                    "ann": [[1, 2, "E"], [5, 5, "C"]],
                    "bob": [[1, 1, "E"], [5, 5, "C"]],
                },
                "signals": [{"value": "line  0"[-7:], "importance": "critical"}],
            }
        )
    )


def test_the_figures_of_one_log():
    found = measure_case(case(), np.arange(10, 0, -1) / 10, select_by_score)

    assert found["line_auc"] == 1
    # 10 % are 2 tokens, the first line: half of ann's evidence, all of bob's.
    assert found["recall@10%"] == 0.75
    assert found["recall@20%"] == 1
    assert found["recall@5%"] == 0
    assert found["tokens@10%"] == 2
    assert found["tokens@1000"] == 20
    assert found["signals@10%"] == 1
    assert found["signals@5%"] == 0
    assert found["errors"] == 0


def test_training_takes_the_share_of_annotators():
    keep_L = case().keep_L

    assert keep_L[:3].tolist() == [1, 0.5, 0]
    assert isnan(keep_L[4])


def test_means_are_over_logs_and_leave_out_what_is_not_defined():
    rows = [{"x": 0.2, "y": np.nan}, {"x": 0.4, "y": 1.0}, {"x": 0.9, "y": np.nan}]

    found = summarise(rows, ["r", "r", "s"], rng=np.random.default_rng(0))

    assert found["x"].mean == pytest.approx(0.5)
    assert found["x"].num_logs == 3
    # Two groups: resamples are {r, r}, {r, s} and {s, s}.
    assert found["x"].interval.low == pytest.approx(0.3)
    assert found["x"].interval.high == pytest.approx(0.9)
    assert (found["y"].mean, found["y"].num_logs) == (1, 1)
