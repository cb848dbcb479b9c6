"""How `rule_stats.rule` names what is no plain rule: a voter alone, fallbacks."""

import re

# For SQL: labels that `voter_of` knows.
LIKE_ALONE = "voter(%)"
_ALONE = re.compile(r"voter\((.*)\)", re.DOTALL)


def label_voter(voter: str) -> str:
    """Name the rule that takes one voter at its word, beside the others."""
    return f"voter({voter})"


def voter_of(label: str) -> str | None:
    """Give the voter that a label takes at its word, None for a rule's label."""
    alone = _ALONE.fullmatch(label)
    return alone[1] if alone else None


def label_fallback(rule: str) -> str:
    """Name a rule with the strata that one voter decides alone."""
    return f"{rule}+fallback"


def chosen_label(rule: str, labels: set[str]) -> str:
    """Name what made the labels: the rule, with its fallbacks if it has any.

    Args:
        rule: the label of the round's rule.
        labels: all those of its round.
    """
    with_fallback = label_fallback(rule)
    return with_fallback if with_fallback in labels else rule
