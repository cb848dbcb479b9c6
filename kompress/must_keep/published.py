"""The must-keep rules of the published line, as whole-word predicates.

Facts read from headroom-ai 0.42.0 and the first published kompress. Unlike `farm`,
both are Unicode-aware and look around, so they run in Python only.
"""

import re

# 0.42.0's words whose loss inverts a sentence; all of the client's, case-insensitive.
_DIRECTIVES = (
    "not|never|none|cannot|can't|don't|doesn't|didn't|won't|shouldn't|mustn't|isn't|"
    "aren't|avoid|refuse|prohibited|forbidden|disallow|unless|except|without|must|"
    "should|shall|required|always|only|mandatory"
)
# … and whose loss changes which conditions have to hold.
_CONNECTIVES = "and|or|nor|xor"

_CAMEL = r"\b[A-Z][a-z]+[A-Z]\w*"
_DOTTED = r"[a-z_][a-z0-9_]*\.[a-z0-9_]+"
# Found in the same words, but no start is tried twice: the original takes the square
# of the length of a word without a dot, and a word may have megabytes.
_DOTTED_PREDICATE = r"[a-z_][0-9]*\.[a-z0-9_]"
_PARTS_042 = (
    r"\b0x[0-9A-Fa-f]+\b",
    r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])",
    r"[A-Z_]{2,}",
    _DOTTED,
    r"/[a-z0-9/._-]{2,}",
    r"\.[a-z]{2,4}\b",
    r"--?[a-z][\w-]*",
    _CAMEL,
    rf"(?i:\b(?:{_DIRECTIVES}|{_CONNECTIVES})\b)",
)
# The first regex: unguarded numbers, no hex, no directives.
_PARTS_R0 = (
    r"\d+(?:\.\d+)?",
    r"[A-Z_]{2,}",
    _DOTTED,
    r"/[a-z0-9/._-]{2,}",
    r"\.[a-z]{2,4}\b",
    r"--?[a-zA-Z][\w-]*",
    _CAMEL,
)

HEADROOM_042 = re.compile("|".join(_PARTS_042))
KOMPRESS_R0 = re.compile("|".join(_PARTS_R0))
HEADROOM_042_PREDICATE = re.compile(
    "|".join(_PARTS_042).replace(_DOTTED, _DOTTED_PREDICATE)
)
KOMPRESS_R0_PREDICATE = re.compile(
    "|".join(_PARTS_R0).replace(_DOTTED, _DOTTED_PREDICATE)
)
