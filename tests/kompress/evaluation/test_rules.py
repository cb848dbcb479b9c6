from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.config import EvaluationConfig
from kompress.evaluation.evaluate import evaluate_scores
from kompress.evaluation.predictions import make_predictions
from kompress.evaluation.rules import rule_rows, time_override
from kompress.evaluation.suites import Suite, SuiteText
from kompress.labels import count_must_keep
from kompress.types import RULE_SETS, Gold
from kompress.words import join_kept

CONFIG = EvaluationConfig(num_bootstraps=20)
# farm: not 0x1f v1.2.3 12ms; headroom-0.42: 0x1f not well-known v1.2.3 (dotted);
# kompress-r0: 0x1f (its digits) well-known v1.2.3 12ms.
TEXT = "not 0x1f in well-known v1.2.3 took 12ms"
KEEP, DROP, UNKNOWN = 254, 0, 255


def make_suite(*texts, codes=None):
    gold = None
    if codes is not None:
        gold = Gold("test", "evaluate", np.array(codes, dtype=np.uint8))
    return Suite(
        "agent",
        tuple(
            SuiteText(text, "log", "", sha256(text.encode()).hexdigest(), gold)
            for text in texts
        ),
    )


def find(rows, metric, rule_set="", definition="multiset", override=""):
    (row,) = [
        row
        for row in rows
        if (row.metric, row.rule_set, row.definition, row.override)
        == (metric, rule_set, definition, override)
    ]
    return row


def test_one_compression_is_measured_under_every_rule_set():
    # Kept: in v1.2.3 took.
    scores = [np.array([0.1, 0.2, 0.9, 0.1, 0.9, 0.8, 0.3])]

    rows = rule_rows(make_predictions(scores, make_suite(TEXT), CONFIG))

    def values(override):
        return {
            rule_set: (row.value, row.n)
            for rule_set in RULE_SETS
            for row in [find(rows, "exact_pct", rule_set, override=override)]
        }

    assert values("") == {
        "farm": (pytest.approx(1 / 4), 4),
        "headroom-0.42": (pytest.approx(1 / 4), 4),
        "kompress-r0": (pytest.approx(1 / 4), 4),
    }
    # The override adds not 0x1f well-known: only 12ms is missed.
    assert values("headroom-0.42") == {
        "farm": (pytest.approx(3 / 4), 4),
        "headroom-0.42": (1.0, 4),
        "kompress-r0": (pytest.approx(3 / 4), 4),
    }
    assert len(rows) == 12


def test_by_substring_every_occurrence_counts_wherever_it_is_found():
    # kompress-r0 finds 4, 2 and 42; only 42 is kept, which holds all three.
    rows = rule_rows(
        make_predictions([np.array([0.1, 0.1, 0.9])], make_suite("4 2 42"), CONFIG)
    )

    assert find(rows, "exact_pct", "kompress-r0").value == pytest.approx(1 / 3)
    flattered = find(rows, "exact_pct", "kompress-r0", "substring")
    assert (flattered.value, flattered.n) == (1.0, 3)


def test_what_the_override_keeps_against_gold_is_counted():
    # Gold drops in, well-known, took; not is unknown. The override keeps well-known,
    # which the student dropped.
    codes = [UNKNOWN, KEEP, DROP, DROP, KEEP, DROP, KEEP]
    suite = make_suite(TEXT, codes=codes)
    dropped = [np.array([0.1, 0.2, 0.9, 0.1, 0.9, 0.8, 0.3])]
    kept = [np.array([0.1, 0.2, 0.9, 0.9, 0.9, 0.8, 0.3])]

    extra = find(
        rule_rows(make_predictions(dropped, suite, CONFIG)),
        "override_extra",
        override="headroom-0.42",
    )
    none = find(
        rule_rows(make_predictions(kept, suite, CONFIG)),
        "override_extra",
        override="headroom-0.42",
    )

    assert (extra.value, extra.n) == (pytest.approx(1 / 3), 3)
    assert (none.value, none.n) == (0.0, 3)


def test_the_overrides_time_is_given_for_350_words():
    ticks = iter([0.0, 0.5, 1.0, 1.2, 2.0, 2.4])  # runs of 500, 200 and 400 ms
    suite = make_suite(TEXT, "one two three")

    row = time_override(suite, clock=lambda: next(ticks))

    assert row.value == pytest.approx(200 * 350 / 10)
    assert (row.metric, row.n, row.override) == ("override_ms", 10, "headroom-0.42")
    assert time_override(make_suite("")).value is None


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=7, max_size=7))
def test_rows_that_are_also_those_of_evaluate_scores_are_equal(scores):
    suite, scores = (
        make_suite(TEXT, TEXT + " 9"),
        [
            np.array(scores),
            np.array([*scores, 0.4]),
        ],
    )

    plain = evaluate_scores(scores, suite, CONFIG)
    rows = rule_rows(make_predictions(scores, suite, CONFIG))

    def key(row):
        return replace(row, value=None, n=0, ci_low=None, ci_high=None)

    shared = {key(row): row for row in plain}
    same = [row for row in rows if key(row) in shared]
    assert len(same) == 3  # farm: multiset, with and without override, and substring
    assert all(shared[key(row)] == row for row in same)


@settings(max_examples=30)
@given(st.data(), st.sampled_from(RULE_SETS))
def test_substrings_are_counted_as_kompress_labels_counts_them(data, rule_set):
    text = data.draw(st.text(alphabet="a_1.AB-/ \n"))
    num_words = len(text.split())
    score_N = np.array(
        data.draw(st.lists(st.floats(0, 1), min_size=num_words, max_size=num_words))
    )
    config = EvaluationConfig(num_bootstraps=10)

    rows = rule_rows(make_predictions([score_N], make_suite(text), config))

    reference = join_kept(text, score_N > 0.5)
    total, kept = count_must_keep(text, reference, rule_set, "substring")["all"]
    row = find(rows, "exact_pct", rule_set, "substring")
    assert row.n == total
    assert row.value == (kept / total if total else None)
