"""A rule beside its best voter."""

import numpy as np
import pytest

from worker.verdicts import rule_rows


def cells(*groups):
    """(G, S, 4) TP FN FP TN of the stratum plain, a group each."""
    count_GS4 = np.zeros((len(groups), 15, 4), dtype=np.int64)
    count_GS4[:, 0] = groups
    return count_GS4


@pytest.mark.parametrize(("num_drop", "has_interval"), [(2, False), (3, True)])
def test_too_few_words_to_drop_leave_no_interval(num_drop, has_interval):
    # The voter is always right; the rule keeps everything, in six groups.
    quiet = [[5, 0, 0, 0]] * (6 - num_drop)
    voter = cells(*quiet, *[[5, 0, 0, 1]] * num_drop)
    rule = cells(*quiet, *[[5, 0, 1, 0]] * num_drop)

    rows = rule_rows("gold", {"all_keep": rule}, {"v": voter}, seed=0)

    (plain,) = [r for r in rows if r.rule == "all_keep" and r.stratum == "plain"]
    # Recall 1 and specificity 0 beside 1 and 1: -1/2 in every draw.
    expected = (-0.5, -0.5) if has_interval else (None, None)
    assert (plain.difference_low, plain.difference_high) == expected
    assert plain.best_value == 1.0


@pytest.mark.parametrize(("num_groups", "high"), [(3, None), (4, -1 / 3)])
def test_must_keep_truth_needs_no_words_to_drop_but_four_groups(num_groups, high):
    rule, voter = (
        cells(*[[4, 2, 0, 0]] * num_groups),
        cells(*[[6, 0, 0, 0]] * num_groups),
    )

    rows = rule_rows("must_keep", {"rule": rule}, {"v": voter}, seed=0)

    (plain,) = [r for r in rows if r.rule == "rule" and r.stratum == "plain"]
    assert plain.difference_high == (None if high is None else pytest.approx(high))


def test_the_interval_forgives_a_rule_what_only_luck_did_better():
    # Each voter is as good as the rule, but in one group of its own.
    lucky = {
        f"v{own}": cells(
            *[[4, 0, 0, 0] if g == own else [2, 2, 0, 0] for g in range(4)]
        )
        for own in range(4)
    }

    rows = rule_rows("must_keep", {"rule": cells(*[[2, 2, 0, 0]] * 4)}, lucky, seed=0)

    (plain,) = [r for r in rows if r.rule == "rule" and r.stratum == "plain"]
    assert (plain.best_voter, plain.best_value) == ("v0", 10 / 16)
    # Outside a group the best are those that had no luck in it: 2 of 4, as the rule.
    assert (plain.difference_low, plain.difference_high) == (0, 0)
