"""The same compression under every rule set, and what the override costs.

Figures of published tables mix generations of the rule: side by side they show how
much of a difference is the rule's.

W = words of the suite
"""

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import numpy as np

from kompress.config import EvaluationConfig
from kompress.evaluation.figures import share
from kompress.evaluation.predictions import Predictions
from kompress.evaluation.prepared_suite import PreparedSuite
from kompress.evaluation.suites import Suite
from kompress.must_keep.bulk import classify_texts
from kompress.must_keep.classify import classify_words
from kompress.students.chunks import CHUNK_WORDS
from kompress.types import PLAIN, RULE_SETS, BoolArray, Score
from kompress.words import word_list

# Enough words for a steady time, few enough that it takes none.
MAX_TIMED_WORDS = 7_000
_TIMED_RUNS = 3


def rule_rows(predictions: Predictions) -> list[Score]:
    """Measure one compression under each rule set and definition.

    At the own threshold: `exact_pct` for each of three rule sets, by multiset and by
    substring, without and with the config's override: twelve rows. On gold also
    `override_extra`: words that gold drops, the student dropped and the override keeps
    / words that gold drops. Two of the twelve are also rows of `evaluate_scores`, with
    equal values and keys.

    Args:
        predictions: what is kept of the suite.

    Returns:
        Rows for `scores`; n counts must-keep words (by substring: occurrences), or
        words that gold drops.

    Source: design §1 "Honest figures"; override_extra: ours.
    """
    suite, own_W = predictions.suite, predictions.own_W
    override = predictions.config.override
    rows = []
    for rule_set in RULE_SETS:
        measured = replace(suite, must_W=_must_keep(suite, rule_set))
        for name, keep_W in (("", own_W), (override, own_W | suite.override_W)):
            maker = replace(
                predictions.rows(override=name), suite=measured, rule_set=rule_set
            )
            kept_T = measured.by_text(measured.must_W & keep_W)
            must_T = measured.by_text(measured.must_W)
            rows.append(maker.figure(share("exact_pct", kept_T, must_T)))
            rows.append(maker.substring(keep_W))
    if suite.known_W.any():
        rows.append(_override_extra(predictions))
    return rows


def time_override(
    suite: Suite,
    config: EvaluationConfig | None = None,
    *,
    clock: Callable[[], float] = perf_counter,
) -> Score:
    """Time the override: finding its words and keeping them, text by text.

    A time, not a quality: it differs between runs and machines, so it is no part of
    `rule_rows`.

    Args:
        suite: the texts; about 20 chunks of them are timed.
        config: names the override; the default if None.
        clock: gives seconds.

    Returns:
        A row `override_ms`: the least of three runs, in milliseconds per 350 words;
        n is the number of words timed.
    """
    config = config or EvaluationConfig()
    texts, num_words = [], 0
    for text in suite.texts:
        if num_words < MAX_TIMED_WORDS:
            texts.append(word_list(text.text))
            num_words += len(texts[-1])
    seconds = []
    for _ in range(_TIMED_RUNS):
        started = clock()
        for words in texts:
            keep_N = np.zeros(len(words), dtype=np.bool_)
            keep_N |= classify_words(words, config.override) != PLAIN
        seconds.append(clock() - started)
    value = min(seconds) * 1_000 * CHUNK_WORDS / num_words if num_words else None
    return Score(
        suite=suite.name,
        stratum="all",
        metric="override_ms",
        value=value,
        n=num_words,
        override=config.override,
    )


def _must_keep(suite: PreparedSuite, rule_set: str) -> BoolArray:
    texts = [text.text for text in suite.texts]
    codes_W = np.concatenate(classify_texts(texts, rule_set))
    return np.asarray(codes_W != PLAIN, dtype=np.bool_)


def _override_extra(predictions: Predictions) -> Score:
    suite = predictions.suite
    droppable_W = suite.known_W & ~suite.truth_W
    extra_W = droppable_W & suite.override_W & ~predictions.own_W
    figure = share("override_extra", suite.by_text(extra_W), suite.by_text(droppable_W))
    return predictions.rows(override=predictions.config.override).figure(figure)
