"""What the deployed client does around the scores: short texts, tables, huge words.

Our own figures are scored on the words alone (design §1); these rules are for whoever
stands in for the client: our server, and the test that compares with it.

N = words of one text
"""

import re
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from kompress.metrics.keep_rate import keep_top
from kompress.must_keep.classify import classify_words
from kompress.pairs import Pairs, find_pairs
from kompress.students.student import KEEP_THRESHOLD
from kompress.students.tokenizer import WordTokenizer
from kompress.types import BoolArray, FloatArray
from kompress.words import join_kept, line_numbers, word_list

MIN_WORDS = 64  # shorter texts pass through
MAX_TOKENS = 512  # of a chunk, [CLS] and [SEP] included; the client knows no other
MIN_TABLE_COLUMNS = 3
MIN_TABLE_LINES = 3

_COLUMN_GAP = re.compile(r"\s{2,}")


@dataclass(frozen=True, slots=True)
class Shortened:
    """A text as the client would hand it on.

    Attributes:
        text: the kept words joined, or the text itself where it passes through.
        keep_N: (N,) which words were kept.
    """

    text: str
    keep_N: BoolArray


def passes_through(text: str) -> bool:
    """Tell whether a text is too short to be compressed at all.

    Source: headroom 0.42.0, `min_input_words`.
    """
    return len(word_list(text)) < MIN_WORDS


def shorten(
    text: str,
    score_N: FloatArray,
    tokenizer: WordTokenizer,
    *,
    override: str | None = "headroom-0.42",
    keep_rate: float | None = None,
    pairs: bool = False,
) -> Shortened:
    """Shorten a text as the client does.

    Args:
        text: any text.
        score_N: (N,) its words' scores, in [0, 1]; NaN for words that were not scored,
            which stay and do not count towards a keep_rate.
        tokenizer: the student's.
        override: the rule set whose words stay whatever their score; None for none,
            which, as in the client, leaves tables unprotected too.
        keep_rate: keep this share of the words, protected words first, as
            `Student.compress` does; None keeps scores above 0.5.
        pairs: keys and values live or die together, which the client does not see to.

    Returns:
        The short text. Texts under 64 words, and those that nothing would be left of,
        pass through unchanged.

    Raises:
        InvalidConfig: unknown rule set, or a keep_rate outside [0, 1].

    Source: headroom 0.42.0. A rate over the whole text and not a chunk at a time:
    design §1.
    """
    words = word_list(text)
    everything = Shortened(text, np.ones(len(words), dtype=np.bool_))
    if len(words) < MIN_WORDS:
        return everything
    forced_N = _huge_words(words, tokenizer)
    if override is not None:
        forced_N |= (classify_words(words, override) != 0) | table_words(text)
    scored_N = ~np.isnan(score_N)
    bound = find_pairs(text) if pairs else Pairs()
    rank_N = bound.rank(np.where(forced_N | ~scored_N, np.inf, score_N))
    keep_N = rank_N > KEEP_THRESHOLD
    if keep_rate is not None:
        keep_N[scored_N] = keep_top(rank_N[scored_N], keep_rate)
    keep_N = bound.settle(keep_N | (rank_N == np.inf), rank_N == np.inf)
    if not keep_N.any():
        return everything
    return Shortened(join_kept(text, keep_N), keep_N)


def table_words(text: str) -> BoolArray:
    """Find the words of fixed-width tables, which the client keeps whole.

    Args:
        text: any text.

    Returns:
        (N,) whether a word stands in a run of at least 3 lines that all have the same
        number, at least 3, of columns two or more spaces apart.

    Source: headroom 0.42.0.
    """
    columns = [
        len(_COLUMN_GAP.split(line.strip())) if line.strip() else 0
        for line in text.split("\n")
    ]
    is_table = np.zeros(len(columns), dtype=np.bool_)
    first = 0
    for num_columns, run in groupby(columns):
        last = first + sum(1 for _ in run)
        if num_columns >= MIN_TABLE_COLUMNS and last - first >= MIN_TABLE_LINES:
            is_table[first:last] = True
        first = last
    protected_N: BoolArray = is_table[line_numbers(text)]
    return protected_N


def _huge_words(words: list[str], tokenizer: WordTokenizer) -> BoolArray:
    """(N,) whether a word fills a chunk alone: the client never sees it whole."""
    room = MAX_TOKENS - 2
    huge_N = np.zeros(len(words), dtype=np.bool_)
    longest = tokenizer.max_token_bytes
    long = []
    for n, word in enumerate(words):
        if longest and len(word) >= room * longest:
            huge_N[n] = True  # whatever its tokens are
        elif len(word) * 4 >= room:  # a token covers at least a byte
            long.append(n)
    if long:
        tokens = tokenizer.encode([words[n] for n in long])
        huge_N[long] = tokens.num_tokens_N >= room
    return huge_N
