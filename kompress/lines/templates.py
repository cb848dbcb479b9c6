"""Mask what varies from line to line, so that lines of one print statement are equal.

Rust's regular expressions by way of Polars, one pass a kind. L = lines
"""

import re
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

# Colours, titles and cursor moves of a terminal.
ESCAPE = r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))"
TIME = (
    r"[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:[.,][0-9]+)?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
    r"|\b[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?"
)
_PATH = (
    r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>)\]]+"
    r"|(?:[A-Za-z]:)?\\?(?:[A-Za-z0-9_.@+~-]+\\)+[A-Za-z0-9_.@+-]*"
    r"|[A-Za-z0-9_.@+~-]*/(?:[A-Za-z0-9_.@+~-]+/)*[A-Za-z0-9_.@+-]+/?"
)
_HEX = (
    r"\b(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|0[xX][0-9a-fA-F]+|[0-9a-fA-F]{7,})\b"
)
# In this order: what a later rule would cut to pieces is masked first.
MASKS: tuple[tuple[str, str], ...] = (
    (TIME, "<time>"),
    # An apostrophe inside a word opens nothing.
    (r"\"[^\"]*\"|(^|[\s(\[{=,:])'[^']*'", "${1}<text>"),
    (_PATH, "<path>"),
    (rf"{_HEX}|[0-9]+(?:[.,][0-9]+)*", "<n>"),
    (r"\s{2,}|[\t\r\x0b\x0c]", " "),
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def mask_lines(contents: Sequence[str]) -> pl.Series:
    """Give the template of each line.

    Args:
        contents: L lines; a line end is white space like any other.

    Returns:
        L strings, in which escapes are gone and times, quoted strings, paths and
        numbers (hexadecimal ones too) are names in angle brackets, runs of white space
        a blank.

    Source: the variables that Drain's users mask before parsing (He et al. 2017); the
        tree of Drain itself is left out, so equal lines have equal templates in every
        corpus and order.
    """
    masked = strip_escapes(to_series(contents))
    for pattern, name in MASKS:
        masked = masked.str.replace_all(pattern, name)
    return masked.str.strip_chars()


def number_templates(masked: pl.Series) -> tuple[list[str], NDArray[np.int64]]:
    """Give the distinct templates of a text and each line's place among them.

    Args:
        masked: L templates, from `mask_lines`.

    Returns:
        U templates in order of appearance, and (L,) places.
    """
    distinct = masked.unique(maintain_order=True)
    place_of = pl.DataFrame({"masked": distinct}).with_row_index("place")
    joined = pl.DataFrame({"masked": masked}).join(
        place_of, on="masked", how="left", maintain_order="left"
    )
    return distinct.to_list(), joined["place"].to_numpy().astype(np.int64)


def strip_escapes(lines: pl.Series) -> pl.Series:
    """Give lines without what only a terminal reads."""
    # A look for the one byte is cheaper than a pass that finds nothing.
    if not lines.str.contains("\x1b", literal=True).any():
        return lines
    return lines.str.replace_all(ESCAPE, "")


def to_series(contents: Sequence[str]) -> pl.Series:
    """Hand strings to Polars; a lone surrogate, which has no UTF-8, is replaced."""
    try:
        return pl.Series(contents, dtype=pl.String)
    except UnicodeEncodeError:
        cleaned = [_SURROGATE.sub("\ufffd", line) for line in contents]
        return pl.Series(cleaned, dtype=pl.String)
