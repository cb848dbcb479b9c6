"""Compare a round's rule with its best voter on the few documents of its pilot.

Against calibration gold, or without any by must-keep recall at equal keep_rate: does
the rule do worse than its best voter, on all words or in a stratum?

W = words of all texts, G = document groups, M = voters, S = strata
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from kompress.aggregation import make_own_rule
from kompress.aggregation.learned import Learner
from kompress.aggregation.statistics import IntArray, balanced_accuracies, recalls
from kompress.config import RoundConfig
from kompress.decisions import Pilot, PilotFinding
from kompress.ensemble.best_voter import compare_with_best
from kompress.labelling.counting import ALL
from kompress.labelling.fit_data import FitData, count_joint_votes, dependent_voters
from kompress.labelling.fitting import keep_out_of_fold
from kompress.labelling.panel import Panel, Panels
from kompress.labelling.verdicts import (
    GOLD,
    Truth,
    count_beside,
    count_groups,
    each_stratum,
    find_truth,
    keep_equally,
    of_rule,
    of_voter,
)
from kompress.types import UNKNOWN, CodeArray, FloatArray

# Of fewer words of a stratum nothing is said; see also `compare_with_best`.
MIN_WORDS = 10


@dataclass(frozen=True, slots=True)
class _PilotCounts:
    """What the rule and its voters decided, by document group.

    Attributes:
        rule_GS4: the rule's counts.
        voter_MGS4: each voter's in the rule's place, see `verdicts.in_place_of`.
        heard_MS: words that each voter says something about, of those compared.
    """

    rule_GS4: IntArray
    voter_MGS4: IntArray
    heard_MS: IntArray


def run_pilot(
    config: RoundConfig,
    panel: Panel,
    group_of: Mapping[int, str],
    gold_codes: Mapping[int, CodeArray],
    seed: int,
) -> Pilot:
    """Compare the rule with its best voter, overall and by stratum.

    Args:
        config: the round's.
        panel: the pilot documents' votes as they were cast.
        group_of: the document group by text id.
        gold_codes: calibration gold by text: `KEEP`, `DROP` or `UNKNOWN`.
        seed: of the loop.
    """
    truth = find_truth(panel, gold_codes)
    counts = _count(config, panel, group_of, truth)
    overall, *strata = _compare(panel.voters, counts, truth.name, seed)
    return Pilot(
        documents=len(panel.text_ids),
        truth=truth.name,
        rule=config.aggregation.rule,
        overall=overall,
        strata=tuple(strata),
    )


def _count(
    config: RoundConfig, panel: Panel, group_of: Mapping[int, str], truth: Truth
) -> _PilotCounts:
    """Count the rule's decisions, and each voter's in its place."""
    chosen = of_rule(panel, _pool(config, panel, group_of, truth))
    if truth.name != GOLD:
        chosen = keep_equally(panel, chosen, chosen)
    voters = [of_voter(panel, m) for m in range(len(panel.voters))]
    groups = panel.group_words(group_of)
    own = [count_groups(panel, groups, voter, truth) for voter in voters]
    return _PilotCounts(
        rule_GS4=count_groups(panel, groups, chosen, truth),
        voter_MGS4=count_beside(panel, groups, chosen, voters, truth),
        heard_MS=np.stack([cells.sum(axis=(0, 2)) for cells in own]),
    )


def _pool(
    config: RoundConfig, panel: Panel, group_of: Mapping[int, str], truth: Truth
) -> FloatArray:
    """Pool the votes by the round's rule, which must not see what it is measured by.

    Against gold, a rule that learns is fitted to other groups than those that it then
    pools, and (W,) is 1 where it keeps a word of gold.
    """
    unknown_W = np.full(len(panel.p_WM), UNKNOWN, dtype=np.uint8)
    truth_W = truth.codes_W if truth.name == GOLD else unknown_W
    data = FitData(panel, truth_W, np.ones(truth_W.size, dtype=np.bool_), group_of)
    dependent = dependent_voters(config)
    if truth.name == GOLD:
        panels = Panels(panel, panel)
        keep_W = keep_out_of_fold(config, panels, data, dependent, lambda: None)
        return keep_W.astype(np.float64)
    rule = make_own_rule(config.aggregation)
    patterns = count_joint_votes(data, dependent)
    learned = rule.fit(patterns) if isinstance(rule, Learner) else rule
    posterior = learned.aggregate(
        panel.p_WM, panel.strength_WM, panel.stratum_W, panel.boundary_W
    )
    return posterior.mean_N


def _compare(
    names: tuple[str, ...], counts: _PilotCounts, truth: str, seed: int
) -> Iterator[PilotFinding]:
    """Put the rule beside its best voter: on all words, then by stratum."""
    rate = balanced_accuracies if truth == GOLD else recalls
    for number, (stratum, cut) in enumerate(each_stratum()):
        rule_G4 = counts.rule_GS4[:, cut].sum(axis=1)
        words = int(rule_G4.sum())
        heard_M = counts.heard_MS[:, cut].sum(axis=1)
        # Who says nothing would stand for the rule itself.
        asked = np.flatnonzero(heard_M)
        compared = None
        if words >= MIN_WORDS:
            rng = np.random.default_rng([seed, number])
            voter_MG4 = counts.voter_MGS4[asked][:, :, cut].sum(axis=2)
            compared = compare_with_best(rule_G4, voter_MG4, rng, rate=rate)
        if compared is not None:
            best = int(asked[compared.best])
            yield PilotFinding(
                stratum=stratum,
                words=words,
                value=compared.value,
                best_voter=names[best],
                best_value=compared.best_value,
                low=compared.low,
                high=compared.high,
                collapses=compared.is_below,
                silent=words - int(heard_M[best]),
            )
        elif stratum == ALL:
            yield PilotFinding(stratum, words)
