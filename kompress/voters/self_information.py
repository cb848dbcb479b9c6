"""A voter that keeps surprising words: self-information under an n-gram model.

N = words, V = vocabulary
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kompress.types import FloatArray
from kompress.voters.ngrams import (
    MAX_WORD_CHARS,
    NgramModel,
    count_ngrams,
    word_shape,
)
from kompress.voters.rank import squash_rank
from kompress.voters.snapshot import pack, pack_words, unpack, unpack_words
from kompress.voters.voter import VoterParams, deterministic_kind, parse_params

KIND = "self_information"
VERSION = "1"  # changes whenever any vote would
# Bounds the fit's memory at about 100 MB of word numbers and counts.
MAX_FIT_WORDS = 5_000_000
_ARRAYS = ("words", "members_V", "grams1", "counts1", "grams2", "counts2", "grams3")
_NAMES = (*_ARRAYS, "counts3")


class SelfInformationParams(VoterParams):
    """Parameters of the self-information voter."""

    keep_rate: Annotated[float, Field(ge=0.0, le=1.0)] = 0.55
    min_count: Annotated[int, Field(ge=1)] = 2
    max_words: Annotated[int, Field(ge=1, le=1_000_000)] = 50_000


class SelfInformation:
    """Votes as Selective Context does: keeps what the words before do not foretell.

    The model is a trigram over lower-cased words, Witten-Bell smoothed down to
    unigrams. A word that the corpus holds fewer than `min_count` times is its shape
    ("0.0-a"), and each of the shape's words is equally likely. P(keep) is the squashed
    rank of -log P(word | two words before) within the text.

    Differences from the paper: an n-gram model fitted to the corpus stands for the
    language model, and words are filtered one by one, not as noun phrases.

    Blind strata: signal, and plain words that are frequent yet vital: "error",
    "failed", "not", "never" are no surprise in a corpus of tool outputs.

    Source: Li et al. 2023 (Selective Context, EMNLP), section 3; smoothing Witten &
    Bell 1991, method C; shapes for unseen words: ours.
    """

    def __init__(self, params: SelfInformationParams, snapshot: bytes | None) -> None:
        arrays = unpack(snapshot, kind=KIND, names=_NAMES)
        words = unpack_words(arrays["words"])
        self._number_of = {word: number for number, word in enumerate(words, start=1)}
        self._model = NgramModel(
            orders=tuple(
                (arrays[f"grams{order}"], arrays[f"counts{order}"])
                for order in (1, 2, 3)
            ),
            members_V=arrays["members_V"],
        )
        self._params = params

    def p_keep(self, text: str) -> FloatArray:
        """Give (N,) P(keep) of a text's words."""
        return squash_rank(self.information(text), self._params.keep_rate)

    def information(self, text: str) -> FloatArray:
        """Measure how surprising each word is.

        Args:
            text: any string.

        Returns:
            (N,) self-information in nats, > 0.

        Source: Shannon 1948; see the class.
        """
        numbers_N = _number(text.split(), self._number_of)
        return self._model.information(numbers_N)


def fit(params: Mapping[str, Any], texts: Iterable[str]) -> bytes:
    """Count the corpus' n-grams.

    Args:
        params: see `SelfInformationParams`.
        texts: the corpus; read until `MAX_FIT_WORDS` words are counted.

    Returns:
        The snapshot: vocabulary, shapes, n-grams and counts. The order of the texts
        does not matter as long as all are read.

    Raises:
        InvalidConfig: the params are wrong.

    Source: see `SelfInformation`.
    """
    checked = parse_params(SelfInformationParams, KIND, params)
    first_of, read = _read_words(texts)
    every = np.concatenate([*read, np.zeros(0, dtype=np.int64)])
    counts = np.bincount(every, minlength=len(first_of)).tolist()
    frequent = sorted(
        (word for word in first_of if counts[first_of[word]] >= checked.min_count),
        key=lambda word: (-counts[first_of[word]], word),
    )[: checked.max_words]
    members = Counter(_shape(word) for word in set(first_of).difference(frequent))
    words = frequent + sorted(members)
    number_of = {word: number for number, word in enumerate(words, start=1)}
    final = _number(list(first_of), number_of)
    numbered = [final[numbers_N] for numbers_N in read]
    arrays: dict[str, NDArray[Any]] = {
        "words": pack_words(words),
        # 0 stands for all that neither the vocabulary nor a shape covers. A shape's
        # probability is shared among its words and the next new one.
        "members_V": np.array([1] + [members[word] + 1 for word in words]),
    }
    for order in (1, 2, 3):
        grams, gram_counts = count_ngrams(numbered, order=order, size=len(words) + 1)
        arrays[f"grams{order}"], arrays[f"counts{order}"] = grams, gram_counts
    return pack(arrays)


SELF_INFORMATION = deterministic_kind(
    KIND, SelfInformationParams, SelfInformation, version=VERSION, fit=fit
)


def _read_words(
    texts: Iterable[str],
) -> tuple[dict[str, int], list[NDArray[np.int64]]]:
    """Number words as they come, so that no more than the numbers is held."""
    number_of: dict[str, int] = {}
    read: list[NDArray[np.int64]] = []
    num_words = 0
    for text in texts:
        words = [word.lower() for word in text.split()]
        numbers = [number_of.setdefault(word, len(number_of)) for word in words]
        read.append(np.array(numbers, dtype=np.int64))
        num_words += len(words)
        if num_words >= MAX_FIT_WORDS:
            break
    return number_of, read


def _number(words: list[str], number_of: Mapping[str, int]) -> NDArray[np.int64]:
    """Number words: the word itself, else its shape, else 0."""
    known = number_of.get
    numbers = [known(word.lower(), -1) for word in words]
    numbers_N = np.array(numbers, dtype=np.int64)
    for place in np.flatnonzero(numbers_N < 0).tolist():
        numbers_N[place] = known(_shape(words[place].lower()), 0)
    return numbers_N


def _shape(word: str) -> str:
    return word_shape(word[:MAX_WORD_CHARS])
