"""From judgments between two references to a quality of each."""

from kompress.pairwise.bradley_terry import fit_bradley_terry
from kompress.pairwise.davidson import fit_davidson
from kompress.pairwise.judges import fit_judges
from kompress.pairwise.ranking import Ranking
from kompress.pairwise.thurstone import fit_thurstone

__all__ = [
    "Ranking",
    "fit_bradley_terry",
    "fit_davidson",
    "fit_judges",
    "fit_thurstone",
]
