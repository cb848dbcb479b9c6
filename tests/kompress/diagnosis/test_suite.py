import numpy as np
import pytest

from kompress.diagnosis.gold import read_row
from kompress.diagnosis.measure import prepare_case
from kompress.diagnosis.suite import (
    contest,
    mark_logs,
    measure_contestant,
    score_in_folds,
)
from kompress.lines.voters import LINE_VOTERS


def case(number, *, source="mini"):
    steps = [f"step {n} of {number} is done" for n in range(40)]
    steps[10 + number : 11 + number] = [f"error: widget {number} broke", "  by hand"]
    return prepare_case(
        read_row(
            {
                "id": str(number),
                "source": source,
                "repository": f"r{number}",
                "text": "\n".join(steps) + "\n",
                "gold": {"a": [[11 + number, 12 + number, "E"]]},
                "signals": [{"value": f"widget {number}", "importance": "critical"}],
            }
        )
    )


CASES = [case(number) for number in range(4)]
FOLDS = np.array([0, 0, 1, 1])


def test_no_voter_learns_from_the_fold_that_it_scores():
    seen = []

    def voter(training):
        names = {entry.log.lines.pieces for entry in training}
        seen.append(names)
        return lambda log: np.full(len(log), float(log.lines.pieces in names))

    scores = score_in_folds(CASES, FOLDS, voter)

    assert [len(names) for names in seen] == [2, 2]
    assert all(not score_L.any() for score_L in scores)


def test_less_gold_is_a_share_of_the_repositories():
    seen = []

    def voter(training):
        seen.append({entry.log.lines.pieces for entry in training})
        return lambda log: np.zeros(len(log))

    for share in (0.1, 0.5, 1):
        score_in_folds(CASES, np.array([0, 1, 1, 1]), voter, share=share)

    # The first fold learns from 1, 2 (of 3 half, to even) and 3 logs, each more.
    assert [len(names) for names in seen[::2]] == [1, 2, 3]
    assert seen[0] < seen[2] < seen[4]


def test_all_logs_of_a_source_weigh_the_same_together():
    logs = mark_logs([case(0), case(1), case(2, source="other")])

    assert [entry.weight for entry in logs] == [0.5, 0.5, 1]


@pytest.mark.slow
def test_voters_and_rules_score_every_line_of_every_log():
    found = contest(CASES, FOLDS)

    names = [each.name for each in found]
    assert names[: len(LINE_VOTERS)] == list(LINE_VOTERS)
    assert {"majority", "reliability + gold", "product of ranks"} <= set(names)
    for each in found:
        sizes = [len(score_L) for score_L in each.scores]
        assert sizes == [len(found.log) for found in CASES]
        assert all(np.isfinite(score_L).all() for score_L in each.scores)
    linear = next(each for each in found if each.name == "linear")
    means = measure_contestant(CASES, linear, rng=np.random.default_rng(0))
    assert means["line_auc"].mean > 0.9
    assert means["signals@1000"].mean == 1
