"""Means over seeds, and what is required of the default.

Z = seeds, M = voters, S = strata, 4 = TP, FN, FP, TN
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.worlds.draws import World
from benchmarks.worlds.scores import Score, f1_of, mean_of
from benchmarks.worlds.trials import BAYES, NO_GOLD, Trial
from kompress.aggregation.statistics import balanced_accuracies
from kompress.types import STRATA, FloatArray

MAJORITY, UNIFORM = "majority", "uniform"
F1_SHARE = 0.99
# Without gold a rule cannot know whether all voters share an error (ADR 0027).
F1_SHARE_NO_GOLD = 0.97
LOSS_SHARE = 1.05
MOST_ECE = 0.03
MARGIN = 0.005
# 50 words of gold tell ten rates and a prevalence; 1/sqrt(50) each.
WRONG_MARGIN = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """One rule in one world, over seeds.

    Attributes:
        f1_Z: (Z,) F1 of the words to keep.
        loss_Z: (Z,) log-loss, nats.
        ece_Z: (Z,) expected calibration error.
        balanced_Z: (Z,) balanced accuracy over all strata.
        balanced_S: (S,) mean balanced accuracy by stratum, NaN without words.
        margin_S: (S,) `balanced_S` less that of the voter that is best there in the
            mean over seeds.
        coverage: mean share of words whose Bayes-optimal probability lies in the
            central 90 % interval.
        sd: mean standard deviation of the posteriors.
        seconds: mean, fit and pooling.
        undetectable: strata that the rule warned of in every seed; None if it is not
            one that warns.
    """

    f1_Z: FloatArray
    loss_Z: FloatArray
    ece_Z: FloatArray
    balanced_Z: FloatArray
    balanced_S: FloatArray
    margin_S: FloatArray
    coverage: float
    sd: float
    seconds: float
    undetectable: tuple[str, ...] | None

    @property
    def least_margin(self) -> tuple[float, str]:
        """The least margin and its stratum."""
        s = int(np.nanargmin(self.margin_S))
        return float(self.margin_S[s]), STRATA[s]


@dataclass(frozen=True, slots=True)
class Finding:
    """One requirement in one world.

    Attributes:
        name: what is required.
        value: what was found.
        limit: what it may be at worst.
        passed: whether it is met.
    """

    name: str
    value: float
    limit: float
    passed: bool


def summarise(trials: Sequence[Trial]) -> dict[str, Summary]:
    """Average one world's trials.

    Args:
        trials: of one world, at least one.

    Returns:
        A summary by label; of `k_of_n` only the best and the worst k by mean F1.

    Source: ours.
    """
    # Chosen by the mean over seeds: the luckiest voter of each draw is nobody's rival.
    voter_MS = _mean_over_seeds(
        np.stack([balanced_accuracies(trial.voter_MS4) for trial in trials])
    )
    best_S = _most(voter_MS)
    labels = list(trials[0].scores)
    found = {
        label: _summarise([trial.scores[label] for trial in trials], best_S)
        for label in labels
    }
    return _keep_extremes(found)


def check(
    world: World, summaries: Mapping[str, Summary], default: str, *, gold: bool
) -> list[Finding]:
    """Hold the default against its requirements in one world.

    Args:
        world: where; it says whether its truth can be found.
        summaries: of the world, with `default`, `majority` and the Bayes-optimal.
        default: the rule's name.
        gold: with the world's gold, or told none.

    Returns:
        The findings; where the truth cannot be found only
        whether the rule says so of a stratum on which all voters are wrong. Without
        gold no log-loss above `uniform`'s.

    Source: ours.
    """
    own, bayes = summaries[default + ("" if gold else NO_GOLD)], summaries[BAYES]
    wrong = _check_wrong_stratum(world, own, bayes, gold=gold)
    if not gold and UNIFORM in summaries:
        wrong = [*wrong, _never_above(own, summaries[UNIFORM])]
    if not world.is_identifiable(gold=gold):
        return wrong
    f1 = bayes.f1_Z.mean() * (F1_SHARE if gold else F1_SHARE_NO_GOLD)
    findings = [
        Finding("F1", own.f1_Z.mean(), f1, own.f1_Z.mean() >= f1),
        _check_strata(own, bayes),
        *wrong,
    ]
    if gold:
        loss = bayes.loss_Z.mean() * LOSS_SHARE
        findings += [
            Finding("log-loss", own.loss_Z.mean(), loss, own.loss_Z.mean() <= loss),
            Finding("ECE", own.ece_Z.mean(), MOST_ECE, own.ece_Z.mean() <= MOST_ECE),
        ]
    if MAJORITY in summaries:
        majority = summaries[MAJORITY]
        findings += [
            _never_below("F1 of majority", own.f1_Z, majority.f1_Z, bayes.f1_Z),
            _never_below(
                "balanced accuracy of majority",
                own.balanced_Z,
                majority.balanced_Z,
                bayes.balanced_Z,
            ),
        ]
    return findings


def _check_strata(own: Summary, bayes: Summary) -> Finding:
    """The least margin over strata where the Bayes-optimal itself does not fall short.

    Half as the threshold serves accuracy: where most words are to be dropped, the best
    posterior may have less balanced accuracy than a voter that keeps more.
    """
    required_S = bayes.margin_S >= -MARGIN
    margin = float(np.min(own.margin_S, where=required_S, initial=np.inf))
    return Finding("margin over the best voter", margin, -MARGIN, margin >= -MARGIN)


def _check_wrong_stratum(
    world: World, own: Summary, bayes: Summary, *, gold: bool
) -> list[Finding]:
    """With gold where all are wrong they are turned round, without it that is said."""
    s = world.wrong_stratum
    if s < 0:
        return []
    warns = STRATA[s] in (own.undetectable or ())
    if not (gold and world.wrong_gold):
        return [Finding("the warning of a wrong stratum", warns, 1.0, warns)]
    limit = bayes.balanced_S[s] - WRONG_MARGIN
    found = own.balanced_S[s]
    right = bool(found >= limit) and not warns
    return [Finding("the stratum where all are wrong", found, limit, right)]


def _never_below(
    name: str, own_Z: FloatArray, rival_Z: FloatArray, bayes_Z: FloatArray
) -> Finding:
    """Own less rival; short by more than two standard errors is below."""
    gap, error = mean_of(own_Z - rival_Z)
    short = min(0.0, float((bayes_Z - rival_Z).mean()))  # nobody can do better
    return Finding(name, gap, short, gap >= short - 2 * error)


def _never_above(own: Summary, rival: Summary) -> Finding:
    """Own log-loss less the rival's; more than two standard errors over 0 is above."""
    gap, error = mean_of(own.loss_Z - rival.loss_Z)
    return Finding("log-loss of uniform", gap, 0.0, gap <= 2 * error)


def _summarise(scores: Sequence[Score], best_S: FloatArray) -> Summary:
    confusion_ZS4 = np.stack([score.confusion_S4 for score in scores])
    all_Z4 = confusion_ZS4.sum(axis=1)
    balanced_S = _mean_over_seeds(balanced_accuracies(confusion_ZS4))
    said = [score.undetectable for score in scores]
    return Summary(
        f1_of(all_Z4),
        np.array([score.log_loss for score in scores]),
        np.array([score.ece for score in scores]),
        balanced_accuracies(all_Z4),
        balanced_S,
        balanced_S - best_S,
        float(np.mean([score.coverage for score in scores])),
        float(np.mean([score.sd for score in scores])),
        float(np.mean([score.seconds for score in scores])),
        _said_always([each for each in said if each is not None], len(said)),
    )


def _said_always(
    said: Sequence[tuple[str, ...]], num_seeds: int
) -> tuple[str, ...] | None:
    if len(said) < num_seeds:
        return None
    return tuple(name for name in STRATA if all(name in each for each in said))


def _keep_extremes(found: Mapping[str, Summary]) -> dict[str, Summary]:
    """Replace the k_of_n by the best and the worst of them."""
    counts = [label for label in found if label.startswith("k_of_n")]
    if not counts:
        return dict(found)
    counts.sort(key=lambda label: float(found[label].f1_Z.mean()))
    kept = {label: summary for label, summary in found.items() if label not in counts}
    kept[f"best {counts[-1]}"] = found[counts[-1]]
    if len(counts) > 1:
        kept[f"worst {counts[0]}"] = found[counts[0]]
    return kept


def _mean_over_seeds(values: FloatArray) -> FloatArray:
    """Mean over the first axis, without NaN; NaN where there is nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # strata that a world lacks
        mean: FloatArray = np.nanmean(values, axis=0)
    return mean


def _most(values_MS: FloatArray) -> FloatArray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        most_S: FloatArray = np.nanmax(values_MS, axis=0)
    return most_S
