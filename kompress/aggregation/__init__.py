"""The rules that turn votes into a posterior, by name."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from kompress.aggregation.dawid_skene.rule import DawidSkene
from kompress.aggregation.reliability.along_texts import AlongTexts
from kompress.aggregation.rules.bagging import Bagging
from kompress.aggregation.rules.boosting import Boosting
from kompress.aggregation.rules.plain import (
    Beta,
    InverseVariance,
    KOfN,
    Majority,
    RandomEffects,
    Uniform,
)
from kompress.aggregation.rules.stacking import Stacking
from kompress.aggregation.votes import Aggregator
from kompress.config import AggregationConfig
from kompress.errors import InvalidConfig

# In the order in which a round measures them beside its own.
AGGREGATORS: dict[str, type[Aggregator]] = {
    "majority": Majority,
    "uniform": Uniform,
    "k_of_n": KOfN,
    "inverse_variance": InverseVariance,
    "random_effects": RandomEffects,
    "beta": Beta,
    "stacking": Stacking,
    "bagging": Bagging,
    "boosting": Boosting,
    "dawid_skene": DawidSkene,
    "reliability": AlongTexts,
}

# The rule of which loops may have begun with another version.
VERSIONED = "reliability"


def make_aggregator(name: str, params: Mapping[str, Any]) -> Aggregator:
    """Make a rule from a loop's config.

    Args:
        name: a key of `AGGREGATORS`.
        params: the rule's own parameters; missing ones have defaults.

    Raises:
        InvalidConfig: the rule or a parameter is unknown, or a value is out of range.

    Source: ours.
    """
    if name not in AGGREGATORS:
        raise InvalidConfig(
            f"aggregation rule {name!r} is unknown; expected one of "
            f"{', '.join(sorted(AGGREGATORS))}"
        )
    rule: Any = AGGREGATORS[name]
    known = [field.name for field in fields(rule)]
    unknown = sorted(set(params) - set(known))
    if unknown:
        raise InvalidConfig(
            f"aggregation rule {name!r} has no parameter {', '.join(unknown)}; "
            f"expected {', '.join(known) or 'none'}"
        )
    aggregator: Aggregator = rule(**params)
    return aggregator


def make_own_rule(config: AggregationConfig) -> Aggregator:
    """Make the rule of a round's consensus, of the version that its loop began with.

    Args:
        config: the round's.

    Raises:
        InvalidConfig: the rule or a parameter is unknown, or a value is out of range.

    Source: ours.
    """
    return make_aggregator(config.rule, _params_of(config, config.rule))


def rules_of(config: AggregationConfig, num_voters: int) -> dict[str, tuple[str, Any]]:
    """Name the rules of a round: its own, and those measured beside it.

    Args:
        config: the round's; `k_of_n` stands for one rule for every k. Where it names
            none to compare with, all of `AGGREGATORS` are.
        num_voters: M.

    Returns:
        (rule, params) by label, such as `beta` and `k_of_n(2)`; the labels are those
        of the view `ensemble_paradox`.
    """
    rules: dict[str, tuple[str, Any]] = {}
    beside = AGGREGATORS if config.compare is None else config.compare
    for name in dict.fromkeys((config.rule, *beside)):
        if name == "k_of_n":
            for k in range(1, num_voters + 1):
                rules[f"k_of_n({k})"] = ("k_of_n", {"k": k})
        if name != "k_of_n" or name == config.rule:
            rules[name] = (name, _params_of(config, name))
    return rules


def _params_of(config: AggregationConfig, name: str) -> dict[str, Any]:
    """Give a rule's parameters: the config's own rule has some, one has a version."""
    params = dict(config.params) if name == config.rule else {}
    if name == VERSIONED:
        params.setdefault("version", config.reliability_version)
    return params
