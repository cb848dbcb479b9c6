"""A text's lines: where they are, what they repeat, which of them fit a budget.

Torch-free. A line is a text cut at LF; its template is the line with numbers, paths,
quoted strings and times masked.
"""

from kompress.lines.cut import Lines, cut_lines
from kompress.lines.rarity import TemplateCounts
from kompress.lines.templates import mask_lines, number_templates

__all__ = [
    "Lines",
    "TemplateCounts",
    "cut_lines",
    "mask_lines",
    "number_templates",
]
