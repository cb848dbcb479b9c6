"""A voter that keeps the words a reader's question would be about: TF-IDF salience.

N = words, V = terms of the vocabulary
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from kompress.types import FloatArray
from kompress.voters.rank import squash_rank
from kompress.voters.snapshot import pack, pack_words, unpack, unpack_words
from kompress.voters.voter import VoterParams, deterministic_kind, parse_params

KIND = "salience"
VERSION = "1"  # changes whenever any vote would
# Bounds the fit's memory; a document frequency is long settled after so many words.
MAX_FIT_WORDS = 5_000_000
MAX_TERM_CHARS = 100
_EDGES = "\"'`.,;:!?()[]{}<>*#=~|^_…“”‘’«»"  # punctuation around a term


class SalienceParams(VoterParams):
    """Parameters of the salience voter."""

    keep_rate: Annotated[float, Field(ge=0.0, le=1.0)] = 0.55
    min_documents: Annotated[int, Field(ge=1)] = 2
    max_terms: Annotated[int, Field(ge=1)] = 50_000


class Salience:
    """Votes like a compressor made for question answering.

    A word's score is (1 + log tf) · log((1 + D) / (1 + df)) of its term: lower-cased,
    without punctuation around it. What has a digit, starts like a flag, or was seen in
    fewer than `min_documents` documents of the corpus has no term and scores 0, as
    noise does for such a compressor. P(keep) is the squashed rank within the text.

    Blind strata: number, unit, version, hex, most of id, flag, and what is rare by
    nature (constant, path, identifier); it also drops frequent function words, "not"
    among them.

    Source: idf Spärck Jones 1972; log tf Salton & Buckley 1988; dropping what the
    question does not need, LLMLingua-2, Pan et al. 2024. No digits: ours.
    """

    def __init__(self, params: SalienceParams, snapshot: bytes | None) -> None:
        arrays = unpack(snapshot, kind=KIND, names=("terms", "df_V", "documents"))
        documents = int(arrays["documents"])
        idf_V = np.log((1 + documents) / (1 + arrays["df_V"]))
        self._idf = dict(
            zip(unpack_words(arrays["terms"]), idf_V.tolist(), strict=True)
        )
        self._params = params

    def p_keep(self, text: str) -> FloatArray:
        """Give (N,) P(keep) of a text's words."""
        return squash_rank(self._score(text), self._params.keep_rate)

    def _score(self, text: str) -> FloatArray:
        terms = _terms(text)
        score = {
            term: (1 + np.log(count)) * self._idf.get(term, 0.0)
            for term, count in Counter(terms).items()
        }
        return np.fromiter((score[term] for term in terms), np.float64, len(terms))


def fit(params: Mapping[str, Any], texts: Iterable[str]) -> bytes:
    """Count in how many texts each term occurs.

    Args:
        params: see `SalienceParams`.
        texts: the corpus; read until `MAX_FIT_WORDS` words are counted.

    Returns:
        The snapshot: terms, document frequencies, number of documents. The order of
        the texts does not matter as long as all are read.

    Raises:
        InvalidConfig: the params are wrong.

    Source: see `Salience`.
    """
    checked = parse_params(SalienceParams, KIND, params)
    frequency: Counter[str] = Counter()
    documents = num_words = 0
    for text in texts:
        terms = _terms(text)
        frequency.update(set(terms) - {""})
        documents += 1
        num_words += len(terms)
        if num_words >= MAX_FIT_WORDS:
            break
    known = [item for item in frequency.items() if item[1] >= checked.min_documents]
    known.sort(key=lambda item: (-item[1], item[0]))
    kept = dict(known[: checked.max_terms])
    return pack(
        {
            "terms": pack_words(list(kept)),
            "df_V": np.array(list(kept.values()), dtype=np.int64),
            "documents": np.array(documents, dtype=np.int64),
        }
    )


SALIENCE = deterministic_kind(KIND, SalienceParams, Salience, version=VERSION, fit=fit)


def _terms(text: str) -> list[str]:
    """The words' terms; an endless word is noise, and must not fill the cache."""
    return [_term(word) if len(word) <= MAX_TERM_CHARS else "" for word in text.split()]


@lru_cache(maxsize=65_536)
def _term(word: str) -> str:
    """Give a word's term, '' where a Q&A compressor sees noise."""
    if word[0] in "-+/\\" or any(char.isdigit() for char in word):
        return ""
    return word.strip(_EDGES).lower()
