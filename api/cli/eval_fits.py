"""What the rules that learn have learned in a student's round."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.cli.output import warn

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from api.cli.eval_inputs import Study
    from kompress.aggregation.learned import Learned


@dataclass(frozen=True, slots=True)
class Fits:
    """The fits by which a round's rules pool its voters.

    Attributes:
        learned: by label.
        missing: labels of rules that learn, but not of these voters.
    """

    learned: "dict[str, Learned]" = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def load_fits(session: "Session", study: "Study") -> Fits:
    """Bring back what a round's rules have learned of its voters.

    Not what they learned of a winning reference's votes, too: no text outside the round
    has one.
    """
    from db.queries import fits
    from kompress.aggregation import make_aggregator, rules_of
    from kompress.aggregation.learned import Learner

    if study.round_id is None or study.config is None:
        return Fits()
    rules, protocol = study.config.aggregation, study.config.protocol
    # Under `pairwise` only the rule of the labels is the winner's.
    stored = {} if protocol == "both" else fits.load_fits(session, study.round_id)
    if protocol == "pairwise":
        stored.pop(rules.rule, None)
    learned, missing = {}, []
    for label, (name, params) in rules_of(rules, len(study.config.voters)).items():
        rule = make_aggregator(name, params)
        if isinstance(rule, Learner):
            if label in stored:
                learned[label] = rule.load(stored[label])
            else:
                missing.append(label)
    return Fits(learned, tuple(missing))


def tell_fits(fits: Fits) -> None:
    """Say which rules pool by what the round taught them, and which by the texts."""
    if fits.learned:
        warn(f"{', '.join(sorted(fits.learned))}: pooled as the round has fitted it")
    if fits.missing:
        warn(
            f"{', '.join(sorted(fits.missing))}: the round holds no fit of these "
            "voters; each is fitted once to all texts that it is measured on, without "
            "gold, and may look better or worse than in a round"
        )
