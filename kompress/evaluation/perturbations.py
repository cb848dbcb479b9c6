"""Change a text in ways that change nothing about what matters in it.

Each perturbation is drawn from a seed and the text alone, and says where every word
went, so that gold and must-keep words are those of the original.

N = words of one text, L = lines of one text
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidConfig
from kompress.words import word_list

# A name that nobody takes for prose: with an underscore, in camelCase, or called.
_NAME = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"(?=[A-Za-z0-9_]*_)_*[A-Za-z][A-Za-z0-9_]*"
    r"|[A-Za-z]+[a-z0-9][A-Z][A-Za-z0-9]*"
    r"|[A-Za-z][A-Za-z0-9]*(?=\()"
    r")"
)
_PART = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# Called, yet no name.
_KEYWORDS = frozenset((
    "if", "for", "while", "switch", "catch", "return", "sizeof", "and", "or", "not",
    "in",
))  # fmt: skip
_INDENT = re.compile(r"^[ \t]*(?=\S)", re.MULTILINE)
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_MAX_TRIES = 20


@dataclass(frozen=True, slots=True)
class Perturbed:
    """A changed text.

    Attributes:
        text: the text, with as many words as the original.
        order_N: (N,) number in the original of each of its words.
    """

    text: str
    order_N: NDArray[np.int64]


def perturb(text: str, name: str, seed: int) -> Perturbed:
    """Change a text; equal arguments give equal texts, in any company.

    Args:
        text: any string.
        name: a key of `PERTURBATIONS`.
        seed: at least 0.

    Raises:
        InvalidConfig: no perturbation has this name.

    Source: behavioural testing by invariance, Ribeiro et al. 2020 (CheckList); the
        perturbations: ours.
    """
    if name not in PERTURBATIONS:
        raise InvalidConfig(
            f"found perturbation {name!r}; expected one of {', '.join(PERTURBATIONS)}"
        )
    digest = sha256(f"{name}\n{text}".encode("utf-8", "surrogatepass")).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest[:16], "big")])
    return PERTURBATIONS[name](text, rng)


def rename_identifiers(text: str, rng: np.random.Generator) -> Perturbed:
    """Rename what looks like a name in code, each part alike throughout the text.

    `parse_config(` becomes `dofus_kilemo(`, and `ParseConfig` then `DofusKilemo`:
    lengths, cases, digits and underscores stay.
    """
    new: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        if match.group() in _KEYWORDS:
            return match.group()
        return _PART.sub(lambda part: _rename(part.group(), new, rng), match.group())

    return _in_place(_NAME.sub(rename, text))


def change_digits(text: str, rng: np.random.Generator) -> Perturbed:
    """Replace each digit 1 to 9 by another, alike throughout the text.

    Equal numbers stay equal and different ones different; 0 stays, so that `0x`,
    padding and round numbers do.
    """
    digits = rng.permutation(9) + 1
    # One cycle through all nine: no digit stays (Sattolo).
    table = {
        ord(str(a)): str(b) for a, b in zip(digits, np.roll(digits, 1), strict=True)
    }
    return _in_place(text.translate(table))


def change_indentation(text: str, rng: np.random.Generator) -> Perturbed:
    """Indent each line anew, by spaces or tabs; words and lines stay."""
    unit = ("  ", "    ", "\t")[int(rng.integers(3))]
    return _in_place(_INDENT.sub(lambda _: unit * int(rng.integers(5)), text))


def shuffle_lines(text: str, rng: np.random.Generator) -> Perturbed:
    r"""Put the lines in another order; a line ends at "\n"."""
    lines = text.split("\n")
    order_L = rng.permutation(len(lines))
    num_words_L = np.array([len(word_list(line)) for line in lines])
    start_L = np.cumsum(num_words_L) - num_words_L
    parts = [start_L[line] + np.arange(num_words_L[line]) for line in order_L]
    shuffled = "\n".join(lines[line] for line in order_L)
    return Perturbed(shuffled, np.concatenate(parts).astype(np.int64))


PERTURBATIONS: dict[str, Callable[[str, np.random.Generator], Perturbed]] = {
    "identifiers": rename_identifiers,
    "digits": change_digits,
    "indentation": change_indentation,
    "lines": shuffle_lines,
}


def _in_place(text: str) -> Perturbed:
    return Perturbed(text, np.arange(len(word_list(text)), dtype=np.int64))


def _rename(part: str, new: dict[str, str], rng: np.random.Generator) -> str:
    """Give a part of a name another of the same length and case."""
    key = part.lower()
    if key not in new:
        taken = {*new.values(), key}
        name = _draw_name(len(key), rng)
        # One letter has too few names for many: then two parts may share one.
        for _ in range(_MAX_TRIES):
            if name not in taken:
                break
            name = _draw_name(len(key), rng)
        new[key] = name
    name = new[key]
    if part.isupper() and len(part) > 1:
        return name.upper()
    return name.capitalize() if part[0].isupper() else name


def _draw_name(length: int, rng: np.random.Generator) -> str:
    draws = rng.integers(len(_CONSONANTS) * len(_VOWELS), size=length).tolist()
    letters = (_CONSONANTS, _VOWELS)
    return "".join(
        letters[place % 2][draw % len(letters[place % 2])]
        for place, draw in enumerate(draws)
    )
