"""How rare a line's template is among the texts of a corpus.

D = texts counted, L = lines, U = distinct templates
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from kompress.types import FloatArray


@dataclass(frozen=True, slots=True)
class TemplateCounts:
    """In how many texts each template occurs.

    Attributes:
        num_texts: D.
        num_with: texts that hold the template, by template.
    """

    num_texts: int
    num_with: dict[str, int]

    @classmethod
    def count(cls, texts: Iterable[Iterable[str]]) -> "TemplateCounts":
        """Count texts, each given by its templates; repeats within one add none."""
        counts: Counter[str] = Counter()
        num_texts = 0
        for templates in texts:
            num_texts += 1
            counts.update(set(templates))
        return cls(num_texts=num_texts, num_with=dict(counts))

    def without(self, templates: Iterable[str]) -> "TemplateCounts":
        """Give the counts of all texts but one.

        Args:
            templates: the templates of a text that was counted.
        """
        num_with = dict(self.num_with)
        for name in set(templates):
            num_with[name] -= 1
        return TemplateCounts(num_texts=self.num_texts - 1, num_with=num_with)

    def rarity(self, templates: Sequence[str]) -> FloatArray:
        """Give log((D + 1) / (texts with it + 1)) of each template.

        Args:
            templates: U templates, whether the corpus has them or not.

        Returns:
            (U,) from 0 (in every text) to log(D + 1) (in none).

        Source: inverse document frequency, Sparck Jones 1972; the two ones so that an
            unseen template has a finite one.
        """
        known = self.num_with
        rarity_of = [
            log(self.num_texts + 1) - log(n + 1) for n in range(self.num_texts + 1)
        ]
        return np.array([rarity_of[known.get(name, 0)] for name in templates])
