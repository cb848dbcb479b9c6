"""The default rule in every world of docs/worlds.md, with fewer seeds.

`make worlds` takes the mean over 20 seeds of all rules, and no gate has the minutes.
"""

from itertools import groupby

import pytest

from benchmarks.worlds import WORLDS
from benchmarks.worlds.summary import MAJORITY, UNIFORM, summarise
from benchmarks.worlds.tables import failures
from benchmarks.worlds.trials import run_trials
from kompress.config import AggregationConfig

# The bars are means over 20 seeds; already one, two, three or four of them meet all.
NUM_SEEDS = 3


@pytest.mark.slow  # 6 s of fits
def test_the_default_rule_meets_every_bar_in_every_world_and_majority_does_not():
    default = AggregationConfig().rule

    trials = run_trials(list(WORLDS), [default, MAJORITY, UNIFORM], NUM_SEEDS, 1)
    found = {
        name: summarise(list(own)) for name, own in groupby(trials, lambda t: t.world)
    }

    assert list(found) == list(WORLDS)
    assert failures(found, default) == []
    # The bars do tell rules apart.
    missed = {where.split(",")[0] for where, _ in failures(found, MAJORITY)}
    assert len(missed) > len(WORLDS) / 2
