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
from kompress.evaluation.sheet import Sheet
from kompress.evaluation.subject import Subject
from kompress.evaluation.suites import Suite
from kompress.must_keep import classify_texts, classify_words
from kompress.students.chunks import CHUNK_WORDS
from kompress.types import PLAIN, RULE_SETS, BoolArray, Score
from kompress.words import word_list

# Enough words for a steady time, few enough that it takes none.
MAX_TIMED_WORDS = 7_000
_TIMED_RUNS = 3


def rule_rows(subject: Subject) -> list[Score]:
    """Measure one compression under each rule set and definition.

    At the own threshold: `exact_pct` for each of three rule sets, by multiset and by
    substring, without and with the config's override: twelve rows. On gold also
    `override_extra`: words that gold drops, the student dropped and the override keeps
    / words that gold drops. Two of the twelve are also rows of `evaluate_scores`, with
    equal values and keys.

    Args:
        subject: what is kept of the suite.

    Returns:
        Rows for `scores`; n counts must-keep words (by substring: occurrences), or
        words that gold drops.

    Source: design §1 "Honest figures"; override_extra: ours.
    """
    sheet, own_W = subject.sheet, subject.own_W
    override = subject.config.override
    rows = []
    for rule_set in RULE_SETS:
        measured = replace(sheet, must_W=_must_keep(sheet.suite, rule_set))
        for name, keep_W in (("", own_W), (override, own_W | sheet.override_W)):
            maker = replace(
                subject.rows(override=name), sheet=measured, rule_set=rule_set
            )
            kept_T = measured.by_text(measured.must_W & keep_W)
            must_T = measured.by_text(measured.must_W)
            rows.append(maker.figure(share("exact_pct", kept_T, must_T)))
            rows.append(maker.substring(keep_W))
    if sheet.known_W.any():
        rows.append(_override_extra(subject))
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

    Source: ours.
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


def _must_keep(suite: Suite, rule_set: str) -> BoolArray:
    texts = [text.text for text in suite.texts]
    codes_W = np.concatenate(classify_texts(texts, rule_set))
    return np.asarray(codes_W != PLAIN, dtype=np.bool_)


def _override_extra(subject: Subject) -> Score:
    sheet: Sheet = subject.sheet
    droppable_W = sheet.known_W & ~sheet.truth_W
    extra_W = droppable_W & sheet.override_W & ~subject.own_W
    figure = share("override_extra", sheet.by_text(extra_W), sheet.by_text(droppable_W))
    return subject.rows(override=subject.config.override).figure(figure)
