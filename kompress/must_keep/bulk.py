"""Split and classify many texts at once; equal to the slow path, only faster.

Bytes are split by whole-buffer operations, equal words are classified once, and the
rules run in Polars' Rust regular expressions. A test holds every step against the slow
path. N = words, U = distinct words
"""

import io
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import polars as pl

from kompress.must_keep.classify import (
    FARM_PATTERNS,
    check_rule_set,
    classify_words,
    narrow,
)
from kompress.must_keep.farm import ESCAPES, MAX_CHARS
from kompress.types import CodeArray
from kompress.words import ASCII_SEPARATORS, WIDE_SEPARATORS, word_list

CHUNK_BYTES = 8 << 20  # bounds memory, and gives each thread a part
MIN_BULK_CHARS = 30_000  # below it, setting up costs more than it saves

_NEWLINE = ord("\n")
_TO_NEWLINE = bytes.maketrans(ASCII_SEPARATORS.encode(), b"\n" * len(ASCII_SEPARATORS))
# By the bytes they begin with: one look rules out all that share them.
_WIDE: dict[bytes, list[bytes]] = {}
for _separator in WIDE_SEPARATORS:
    _encoded = _separator.encode()
    _WIDE.setdefault(_encoded[:-1], []).append(_encoded)
# Lone surrogates have no UTF-8; no rule tells one odd character from another.
_SURROGATE = re.compile("[\ud800-\udfff]")


def classify_texts(texts: Sequence[str], rule_set: str = "farm") -> list[CodeArray]:
    """Split many texts and give each word its stratum: what intake runs.

    Args:
        texts: any strings.
        rule_set: a key of `RULE_VERSIONS`.

    Returns:
        For each text its (N,) codes, equal to `classify_words(word_list(text))`.

    Raises:
        InvalidConfig: no rule set has this name.
    """
    check_rule_set(rule_set)
    if sum(map(len, texts)) < MIN_BULK_CHARS:
        return _classify_few(texts, rule_set)
    classify = partial(_classify_chunk, rule_set=rule_set)
    chunks = list(_chunks(texts))
    if len(chunks) == 1:
        return classify(chunks[0])
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        return [codes_N for part in pool.map(classify, chunks) for codes_N in part]


def _classify_few(texts: Sequence[str], rule_set: str) -> list[CodeArray]:
    """Classify all words of all texts together, in Python."""
    words = [word_list(text) for text in texts]
    codes_N = classify_words([word for part in words for word in part], rule_set)
    return _cut(codes_N, np.cumsum([len(part) for part in words]))


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a list of texts into parts of about `CHUNK_BYTES` characters."""
    first = size = 0
    for number, text in enumerate(texts):
        size += len(text)
        if size >= CHUNK_BYTES:
            yield texts[first : number + 1]
            first, size = number + 1, 0
    if first < len(texts):
        yield texts[first:]


def _classify_chunk(texts: Sequence[str], *, rule_set: str = "farm") -> list[CodeArray]:
    """Classify one part in bulk."""
    parts = [_to_lines(text) for text in texts]
    ends = np.cumsum([len(part) + 1 for part in parts])
    buffer = np.frombuffer(b"\n" + b"\n".join(parts) + b"\n", np.uint8)
    gap = buffer == _NEWLINE
    # A word starts where a gap ends. Of each run of separators the last one stays.
    starts = np.flatnonzero(gap[:-1] > gap[1:])
    if not len(starts):
        return [np.zeros(0, np.uint8) for _ in texts]
    stays = ~gap
    stays[starts] = True
    # The empty first line stays until here: polars would take a first word that begins
    # like an archive (b"x^" is zlib's) for one, and unpack it.
    lines = pl.read_lines(io.BytesIO(buffer[stays].tobytes())).to_series()[1:]
    return _cut(_classify_lines(lines, rule_set), np.searchsorted(starts, ends))


def _to_lines(text: str) -> bytes:
    """Encode a text with a newline for each separator."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        encoded = _SURROGATE.sub("\ufffd", text).encode()
    if len(encoded) != len(text):
        for beginning, separators in _WIDE.items():
            if beginning in encoded:
                for separator in separators:
                    encoded = encoded.replace(separator, b"\n")
    return encoded.translate(_TO_NEWLINE)


def _classify_lines(words: pl.Series, rule_set: str) -> CodeArray:
    """Classify N words, each distinct one once."""
    # Categories of their own, so that the words are freed with them.
    coded = words.cast(pl.Categorical(pl.Categories.random()))
    distinct = coded.unique()
    code_of_physical = np.zeros(1 + distinct.to_physical().to_numpy().max(), np.uint8)
    strings = distinct.cast(pl.String)
    code_U = _classify_distinct(strings)
    if rule_set != "farm":
        # The published rules look around, which Rust's engine refuses.
        pairs = zip(strings.to_list(), code_U.tolist(), strict=True)
        code_U = np.fromiter(
            (narrow(word, code, rule_set) for word, code in pairs), np.uint8
        )
    code_of_physical[distinct.to_physical().to_numpy()] = code_U
    return np.take(code_of_physical, coded.to_physical().to_numpy())


def _classify_distinct(words: pl.Series) -> CodeArray:
    """Classify U distinct words; each rule sees only what none before it caught."""
    code_U = np.zeros(len(words), np.uint8)
    left = words.str.replace_all(ESCAPES, "").str.head(MAX_CHARS)
    place = np.arange(len(words))
    for code, pattern in enumerate(FARM_PATTERNS.values(), start=1):
        hit = left.str.contains(pattern)
        code_U[place[hit.to_numpy()]] = code
        left, place = left.filter(~hit), place[~hit.to_numpy()]
    return code_U


def _cut(codes_N: CodeArray, ends: Sequence[int] | np.ndarray) -> list[CodeArray]:
    """Cut the codes of all words at the ends of texts."""
    return np.split(codes_N, ends)[:-1]
