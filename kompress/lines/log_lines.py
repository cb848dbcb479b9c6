"""A log prepared once for all that scores its lines.

L = lines, U = distinct templates of the log
"""

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kompress.lines.cut import Lines, cut_lines
from kompress.lines.failures import Failures, find_failures, strip_prefix
from kompress.lines.templates import mask_lines, number_templates
from kompress.types import BoolArray


@dataclass(frozen=True, slots=True)
class LogLines:
    """The lines of a log, what they repeat and what they say of failure.

    Attributes:
        lines: the log itself.
        bare: L lines without escapes and without a runner's prefix.
        templates: U distinct templates, in order of appearance.
        template_L: (L,) each line's place among them.
        failures: which lines say failure.
        twin_templates: templates of the twin, None where there is no twin.
    """

    lines: Lines
    bare: pl.Series
    templates: list[str]
    template_L: NDArray[np.int64]
    failures: Failures
    twin_templates: frozenset[str] | None = field(default=None)

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def blank_L(self) -> BoolArray:
        """(L,) whether nothing stands in a line."""
        return (self.bare.str.len_bytes() == 0).to_numpy().astype(bool)


def prepare_log(lines: Lines, twin: str | None = None) -> LogLines:
    """Mask and search the lines of a log.

    Args:
        lines: the log.
        twin: the log of a passing run of the same job, if there is one.
    """
    bare = strip_prefix(lines.contents())
    templates, template_L = number_templates(mask_lines(bare.to_list()))
    return LogLines(
        lines=lines,
        bare=bare,
        templates=templates,
        template_L=template_L,
        failures=find_failures(bare),
        twin_templates=None if twin is None else templates_of(twin),
    )


def templates_of(text: str) -> frozenset[str]:
    """Give the distinct templates of a text, its lines taken as `prepare_log` does."""
    bare = strip_prefix(cut_lines(text).contents())
    return frozenset(mask_lines(bare.to_list()).unique().to_list())
