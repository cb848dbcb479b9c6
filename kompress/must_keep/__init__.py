"""Words that an agent cannot do without, by named and versioned rule sets.

`farm` is ours and the default for measuring; `headroom-0.42` is what the deployed
client's override keeps; `kompress-r0` is the first published rule.
"""

from kompress.must_keep.bulk import classify_texts
from kompress.must_keep.classify import (
    FARM_PATTERNS,
    PUBLISHED,
    RULE_VERSIONS,
    MustKeep,
    check_rule_set,
    classify_words,
    find_must_keep,
)

__all__ = [
    "FARM_PATTERNS",
    "PUBLISHED",
    "RULE_VERSIONS",
    "MustKeep",
    "check_rule_set",
    "classify_texts",
    "classify_words",
    "find_must_keep",
]
