"""The farm's own must-keep rules, in the order of their categories.

A word falls into the first category, in the order of `kompress.types.CATEGORIES`, of
which one rule is found in it. `db/functions/must_keep_v01.sql` holds the same patterns;
a test compares them.
"""

from kompress.must_keep.figures import FIGURES
from kompress.must_keep.names import NAMES
from kompress.must_keep.rule import Rule

# Changes whenever any word would be classified differently.
FARM_VERSION = "1"

# `farm` judges a word by its first characters: a minified file or an encoded image is
# one word of megabytes, on which searching costs the square of its length.
MAX_CHARS = 256

FARM: tuple[Rule, ...] = (*FIGURES, *NAMES)
