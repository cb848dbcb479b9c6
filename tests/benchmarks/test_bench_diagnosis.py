import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bench_diagnosis
from kompress.diagnosis.folds import assign_folds
from kompress.diagnosis.gold import read_gold_logs
from kompress.diagnosis.measure import prepare_case
from kompress.diagnosis.suite import Contestant, measure_contestant, score_in_folds
from kompress.lines.selection import select_lines
from kompress.lines.voters import LINE_VOTERS

FOLDER = os.environ.get("GOLD", "")


def rows(source, num):
    for number in range(num):
        steps = [f"step {n} is done" for n in range(30)]
        steps[20] = f"error: widget {number} broke"
        span = [[21, 21, "E"]]
        yield {
            "id": f"{source}-{number}",
            "source": source,
            "repository": f"{source}/{number}",
            "text": "\n".join(steps),
            "gold": {"a": span, "b": span},
            "signals": [{"value": "broke", "importance": "critical"}],
        }


@pytest.mark.slow
def test_a_folder_of_logs_becomes_tables(tmp_path, monkeypatch, capsys):
    for source in ("one", "two"):
        with gzip.open(tmp_path / f"{source}.jsonl.gz", "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows(source, 5))
    page = tmp_path / "page.md"
    page.write_text(f"head\n\n{bench_diagnosis.BELOW}\n\nold tables\n")
    monkeypatch.setattr(bench_diagnosis, "DOC", page)
    monkeypatch.setattr("sys.argv", ["bench", str(tmp_path), "--write"])

    assert bench_diagnosis.main() == 0

    written = page.read_text()
    assert written.startswith("head\n")
    assert "old tables" not in written
    assert written.count("\n| linear | ") == 5  # two tables a source, and speed
    assert "kappa 1.000, in 5 logs" in written
    assert "| error_lines | 1.000 [1.000, 1.000] |" in written
    assert written.strip().endswith(capsys.readouterr().out.strip()[-200:])


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason="no folder of people's gold is named by GOLD")
def test_linear_finds_people_s_lines_in_logs_of_other_repositories():
    cases = [prepare_case(gold) for gold in read_gold_logs(Path(FOLDER))]
    fold_T = assign_folds([case.gold.repository for case in cases])
    scores = score_in_folds(cases, fold_T, LINE_VOTERS["linear"])

    for source, auc in (("cidiff", 0.97), ("logdx", 0.94)):
        own = [n for n, case in enumerate(cases) if case.gold.source == source]
        means = measure_contestant(
            [cases[n] for n in own],
            Contestant("linear", [scores[n] for n in own], select_lines),
            rng=np.random.default_rng(0),
        )
        assert means["line_auc"].mean >= auc
        assert means["lost@4000"].mean == 0
        if source == "logdx":
            assert means["signals@2000"].mean >= 0.92
            assert means["tokens@2000"].mean <= 2000
