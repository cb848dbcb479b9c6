"""Delete-only compression, sampled: a word's vote is how many samples kept it.

Each sample is aligned to the text; one that writes words of its own is left out.
N = words of the text
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from kompress.subsequence import embed, find_bounds
from kompress.teachers.chunks import Chunk
from kompress.teachers.prompt import (
    CRITERIA,
    DATA_NOTE,
    delimit,
    delimiter_of,
    prompt_hash,
)
from kompress.teachers.protocol import ProtocolParams
from kompress.teachers.request import Capabilities, Request, Sample
from kompress.types import BoolArray
from kompress.words import WORD_VERSION, line_numbers, word_list

NAME = "rewrite"
# Changes whenever any prompt, or any vote read in an answer, would.
VERSION = "1"

_SYSTEM = (
    "{criterion} {note} "
    "Copy it without the other words, and change nothing: not a word, an order or a "
    "line end. If no word is worth keeping, answer the line of = signs alone."
)
_BUDGET = " Keep about {percent} % of the words."
_LAST = "The text without the other words:"
# Tokenizers need a token for two or more bytes of all but random text, and a sample
# that is longer than its text is none of ours.
_BYTES_PER_TOKEN = 2
_SPARE_TOKENS = 16


class Rewrite:
    """Asks for the text with words left out, several times.

    A sample is used if it was not cut, is not empty, and at most the share
    `max_unfound` of its words has no place in the text, in order. A text of which some
    chunk has no such sample is a failure.

    Source: delete-only compression, Pan et al. 2024 (LLMLingua-2, arXiv 2403.12968);
    counts over samples as votes, ours.
    """

    def __init__(self, params: ProtocolParams, capabilities: Capabilities) -> None:
        self._params = params
        del capabilities  # any engine can write prose
        self._system = _SYSTEM.format(
            criterion=CRITERIA[params.criterion], note=DATA_NOTE
        )
        if params.budget is not None:
            self._system += _BUDGET.format(percent=round(100 * params.budget))

    @property
    def parts(self) -> dict[str, Any]:
        """What of a voter's fingerprint is the protocol's."""
        return {
            "protocol": NAME,
            "version": VERSION,
            "prompt": prompt_hash(self._system, _LAST),
            "criterion": self._params.criterion,
            "budget": self._params.budget,
            "chunk_words": self._params.chunk_words,
            "samples": self._params.samples,
            "temperature": self._params.temperature,
            "max_unfound": self._params.max_unfound,
            "words": WORD_VERSION,
            "reads": "samples",
        }

    @property
    def num_samples(self) -> int:
        """Samples drawn for each chunk."""
        return self._params.samples

    def ask(self, chunk: Chunk, draft_N: BoolArray | None) -> Request:
        """Ask for a chunk, shortened; the draft is not looked at."""
        del draft_N
        num_bytes = len(chunk.text.encode("utf-8", "surrogatepass"))
        return Request(
            system=self._system,
            user=f"{delimit(chunk.text)}\n{_LAST}",
            max_tokens=num_bytes // _BYTES_PER_TOKEN + _SPARE_TOKENS,
            temperature=self._params.temperature,
        )

    def read(self, chunk: Chunk, sample: Sample) -> BoolArray | str:
        """Read the words that a sample kept.

        Returns:
            (N,) mask, or why the sample cannot be used.

        Source: alignment by a longest common subsequence; ours.
        """
        if sample.finish_reason == "length":
            return "it was cut at its greatest length"
        bar = delimiter_of(chunk.text)
        keep_N = np.zeros(chunk.num_words, dtype=np.bool_)
        reference = _strip_delimiters(sample.text, bar)
        if not word_list(reference):
            # Nothing at all is no answer; the line alone says that nothing is kept.
            return keep_N if bar in word_list(sample.text) else "it is empty"
        keep = _align(chunk.text, reference, self._params.max_unfound)
        if keep is None:
            return (
                f"more than {self._params.max_unfound:.0%} of its words are not the "
                "text's, in order"
            )
        keep_N[keep] = True
        return keep_N


def _align(text: str, reference: str, max_unfound: float) -> list[int] | None:
    """Find the words that a rewrite kept; None if too many have no place in order."""
    words, wanted = word_list(text), word_list(reference)
    wanted_lines = line_numbers(reference).tolist()
    bounds = find_bounds(words, wanted)
    if bounds is None:
        fewest = len(wanted) - max_unfound * len(wanted)
        # Cheap, and no subsequence is longer: garbage of any length ends here.
        if (Counter(words) & Counter(wanted)).total() < fewest:
            return None
        found = _longest_common(words, wanted)
        if len(found) < fewest:
            return None
        wanted = [wanted[place] for place in found]
        wanted_lines = [wanted_lines[place] for place in found]
        bounds = find_bounds(words, wanted)
        assert bounds is not None, "common words lie in both, in order"  # noqa: S101
    return embed(words, line_numbers(text).tolist(), wanted, wanted_lines, bounds)


def _longest_common(words: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Find the places in `wanted` of a longest common subsequence."""
    best = [[0] * (len(words) + 1) for _ in range(len(wanted) + 1)]
    for j, want in enumerate(wanted):
        row, next_row = best[j], best[j + 1]
        for i, word in enumerate(words):
            next_row[i + 1] = (
                row[i] + 1 if word == want else max(row[i + 1], next_row[i])
            )
    found, i = [], len(words)
    for j in range(len(wanted), 0, -1):
        if best[j][i] == best[j - 1][i]:
            continue
        # The last word that still gives as long a subsequence: its own.
        while best[j][i] == best[j][i - 1]:
            i -= 1
        i -= 1
        found.append(j - 1)
    return found[::-1]


def _strip_delimiters(answer: str, bar: str) -> str:
    """Take away the lines around the text, which models like to copy too."""
    lines = answer.strip().split("\n")
    if lines and lines[0].strip() == bar:
        del lines[0]
    if lines and lines[-1].strip() == bar:
        del lines[-1]
    return "\n".join(lines)
