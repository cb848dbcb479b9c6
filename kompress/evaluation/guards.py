"""Whether a compression still means what the text means: negations, lines, JSON.

W = words of the suite, T = texts
"""

import numpy as np

from kompress.evaluation.figures import Figure, RowMaker, share
from kompress.evaluation.predictions import Predictions
from kompress.evaluation.prepared_suite import PreparedSuite
from kompress.soundness import (
    check_json,
    check_lines,
    count_json_elements,
    is_guarded,
    is_same_json,
)
from kompress.types import BoolArray, Score
from kompress.words import join_kept, word_list


def guard_rows(predictions: Predictions) -> list[Score]:
    """Measure the meaning guards of a compression of a suite.

    At the own threshold, without and with the config's override: `negation_pct`
    (negations, conditions and modals kept / all of them; by kind too),
    `lines_intact_pct` (texts that pass `check_lines` / texts), and, where texts are
    JSON, `json_valid_pct` (those that parse and lack nothing), `json_elements_pct`
    (elements of which every word is kept / elements), `json_faithful_pct` (those that
    pass `check_json`) and `json_broken` (how many do not pass; no interval). At each
    keep_rate: `negation_pct`. Of single texts, without override: `negation_pct` and
    `json_faithful_pct` where they have any.

    Args:
        predictions: what is kept of the suite.

    Returns:
        Rows for `scores`; n counts guarded words, texts, or JSON texts.
    """
    suite, own_W = predictions.suite, predictions.own_W
    guarded_W = find_guarded(suite)
    own = predictions.rows()
    found = _figures(suite, guarded_W, own_W)
    rows = _condition(own, found)
    for figure in found:
        if figure.metric in {"negation_pct", "json_faithful_pct"}:
            rows += own.each_text(figure, empty=False)
    for rate in predictions.config.keep_rates:
        figure = negations(suite, guarded_W, predictions.keep_top(rate))
        rows.append(predictions.rows(rate=rate).figure(figure))
    overridden = predictions.rows(override=predictions.config.override)
    with_override_W = own_W | suite.override_W
    rows += _condition(overridden, _figures(suite, guarded_W, with_override_W))
    return rows


def find_guarded(suite: PreparedSuite) -> BoolArray:
    """Give the (W,) mask of a suite's negations, conditions and modals."""
    words = [word for text in suite.texts for word in word_list(text.text)]
    known = {word: is_guarded(word) for word in set(words)}
    return np.fromiter((known[word] for word in words), np.bool_, len(words))


def negations(suite: PreparedSuite, guarded_W: BoolArray, keep_W: BoolArray) -> Figure:
    """Count negation_pct: guarded words kept / guarded words."""
    kept_T, whole_T = suite.by_text(guarded_W & keep_W), suite.by_text(guarded_W)
    return share("negation_pct", kept_T, whole_T)


def _figures(
    suite: PreparedSuite, guarded_W: BoolArray, keep_W: BoolArray
) -> list[Figure]:
    """Count the guarded words, and the texts whose lines and whose JSON are intact."""
    lines_T, json_T, valid_T, faithful_T, left_T, elements_T = np.zeros(
        (6, suite.num_texts)
    )
    for index, (text, keep_N) in enumerate(
        zip(suite.texts, suite.split(keep_W), strict=True)
    ):
        compressed = join_kept(text.text, keep_N)
        lines_T[index] = check_lines(text.text, compressed)
        faithful = check_json(text.text, compressed)
        if faithful is not None:
            json_T[index] = 1
            faithful_T[index] = faithful
            valid_T[index] = bool(is_same_json(text.text, compressed))
            left_T[index], elements_T[index] = count_json_elements(text.text, keep_N)
    found = [
        negations(suite, guarded_W, keep_W),
        share("lines_intact_pct", lines_T, np.ones_like(lines_T)),
    ]
    if json_T.any():
        found.append(share("json_valid_pct", valid_T, json_T))
        found.append(share("json_elements_pct", left_T, elements_T))
        found.append(share("json_faithful_pct", faithful_T, json_T))
    return found


def _condition(maker: RowMaker, found: list[Figure]) -> list[Score]:
    rows = [maker.figure(figure) for figure in found]
    for figure in found:
        if figure.metric == "negation_pct":
            rows += maker.by_kind([figure])
        if figure.metric == "json_faithful_pct":
            passed, n = map(int, figure.counts_TK.sum(axis=0))
            rows.append(maker.row("json_broken", "all", float(n - passed), n))
    return rows
