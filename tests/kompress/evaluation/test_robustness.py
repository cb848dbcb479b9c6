from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.config import EvaluationConfig
from kompress.evaluation.baselines.random_dropping import RandomBaseline
from kompress.evaluation.predictions import make_predictions
from kompress.evaluation.robustness import robustness_rows
from kompress.evaluation.suites import Suite, SuiteText
from kompress.types import Gold
from kompress.words import word_list

CONFIG = EvaluationConfig(num_bootstraps=30, keep_rates=(0.5,))


def suite_text(text, truth, kind="log"):
    codes = np.array([254 if keep else 0 for keep in truth], dtype=np.uint8)
    gold = Gold("test", "evaluate", codes)
    return SuiteText(text, kind, "", sha256(text.encode()).hexdigest(), gold)


# Must-keep and gold are the numbers; every line opens with a plain word.
SUITE = Suite(
    "planted",
    tuple(
        suite_text(f"ran {10 + n}\nsaw {20 + n}\nleft {30 + n}", [0, 1] * 3)
        for n in range(6)
    ),
)


class Reader:
    """Keeps the words that a rule of its own picks."""

    def __init__(self, rule):
        self.rule = rule

    def score(self, texts, *, progress=None):
        return [
            np.array([0.9 if self.rule(i, w) else 0.1 for i, w in enumerate(words)])
            for words in map(word_list, texts)
        ]


def score_changed(scorer, suite, *, seed=0, other_domain=None):
    scores = scorer.score([text.text for text in suite.texts])
    predictions = make_predictions(scores, suite, CONFIG, seed=seed)
    return robustness_rows(scorer, predictions, seed, other_domain)


def find(rows, suite, metric, stratum="all", rate=None):
    (row,) = [
        row
        for row in rows
        if (row.suite, row.metric, row.stratum, row.target_keep_rate)
        == (suite, metric, stratum, rate)
    ]
    return row


def test_who_learnt_certain_numbers_by_heart_drops_when_digits_change():
    known = {word for text in SUITE.texts for word in word_list(text.text)}
    reader = Reader(lambda _, word: word[0].isdigit() and word in known)

    rows = score_changed(reader, SUITE)

    # A cycle through 1..9 sends the tens digits 1, 2 and 3 elsewhere; some land on
    # known numbers, which the same mask counts.
    after = find(rows, "planted~digits", "exact_pct")
    drop = find(rows, "planted~digits", "exact_pct_drop")
    assert after.n == drop.n == 18
    assert after.value < 1.0
    assert drop.value == pytest.approx(1.0 - after.value)
    assert drop.ci_low <= drop.value <= drop.ci_high
    assert drop.rule_set == "farm"
    assert find(rows, "planted~identifiers", "exact_pct_drop").value == 0.0
    assert find(rows, "planted~indentation", "f1_drop").value == 0.0
    assert find(rows, "planted~lines", "f1_drop").value == 0.0


def test_gold_moves_with_its_line():
    # Keeps the first two words whatever they are: one of three numbers, always.
    rows = score_changed(Reader(lambda i, _: i < 2), SUITE)

    shuffled = find(rows, "planted~lines", "exact_pct")
    assert (shuffled.value, shuffled.n) == (pytest.approx(1 / 3), 18)
    assert find(rows, "planted~lines", "exact_pct_drop").value == 0.0
    # TP 6, FP 6, FN 12
    assert find(rows, "planted~lines", "f1").value == pytest.approx(12 / 30)
    # At one half: the first two, then ties to the earlier, so the first three.
    assert find(rows, "planted~lines", "keep_rate", rate=0.5).value == 0.5


def test_decisions_are_carried_back_to_the_words_they_are_about():
    # Lines of unequal lengths: places shift when they are shuffled.
    texts = tuple(
        suite_text(f"ran {n}\nnothing to see here\nleft", [0, 1, 0, 0, 0, 0, 0])
        for n in range(6)
    )
    reader = Reader(lambda _, word: word.isdigit())

    rows = score_changed(reader, Suite("planted", texts))

    assert find(rows, "planted~lines", "f1").value == 1.0


def test_another_domain_is_compared_as_other_texts():
    other = Suite("planted", tuple(suite_text(f"go {n} {n}", [0, 1, 1]) for n in "12"))
    reader = Reader(lambda i, word: i < 2 and word.isdigit())

    rows = score_changed(reader, SUITE, other_domain=other)

    # There one of two numbers is kept, on the suite one of three.
    assert find(rows, "planted~domain", "exact_pct").value == 0.5
    drop = find(rows, "planted~domain", "exact_pct_drop")
    assert drop.value == pytest.approx(1 / 3 - 1 / 2)
    assert drop.n == 4


def test_an_empty_domain_is_left_out():
    rows = score_changed(RandomBaseline(0), SUITE, other_domain=Suite("planted", ()))

    assert {row.suite for row in rows} == {
        "planted~identifiers",
        "planted~digits",
        "planted~indentation",
        "planted~lines",
    }


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.integers(0, 5))
def test_indentation_never_changes_any_figure_of_who_reads_words(salt, seed):
    reader = Reader(lambda i, word: (salt + 7 * i + ord(word[-1])) % 3 == 0)

    rows = score_changed(reader, SUITE, seed=seed)

    drops = [
        row
        for row in rows
        if row.suite == "planted~indentation" and row.metric.endswith("_drop")
    ]
    assert len(drops) == 8  # 4 figures, 2 conditions
    for row in drops:
        figure = find(
            rows,
            row.suite,
            row.metric.removesuffix("_drop"),
            row.stratum,
            row.target_keep_rate,
        )
        # F1 on plain words, none of which gold keeps, is undefined if none is kept.
        assert row.value == (None if figure.value is None else 0.0)
        assert {row.ci_low, row.ci_high} <= {0.0, None}
