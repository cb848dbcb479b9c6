"""The rules that turn votes into a posterior, by name."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from kompress.aggregation.beta import Beta
from kompress.aggregation.inverse_variance import InverseVariance
from kompress.aggregation.k_of_n import KOfN
from kompress.aggregation.majority import Majority
from kompress.aggregation.votes import Aggregator
from kompress.errors import InvalidConfig

AGGREGATORS: dict[str, type[Aggregator]] = {
    "majority": Majority,
    "k_of_n": KOfN,
    "inverse_variance": InverseVariance,
    "beta": Beta,
}


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
