from dataclasses import replace

import numpy as np
import pytest

from kompress.config import EvaluationConfig
from kompress.corpora.generators import generate
from kompress.evaluation import evaluate, evaluate_all
from kompress.evaluation.baselines.random_dropping import RandomBaseline
from kompress.evaluation.guards import guard_rows
from kompress.evaluation.robustness import robustness_rows
from kompress.evaluation.rules import rule_rows
from kompress.evaluation.subject import take
from kompress.evaluation.suites import Suite, SuiteText

CONFIG = EvaluationConfig(num_bootstraps=20, keep_rates=(0.5, 0.8))
SUITE = Suite(
    "planted",
    tuple(
        SuiteText(d.text, d.kind, d.group_id, f"{i:064x}", d.gold)
        for i, d in enumerate(generate(8, 0))
    ),
)
SCORER = RandomBaseline(0)


def key(row):
    return replace(row, value=None, n=0, ci_low=None, ci_high=None)


@pytest.fixture(scope="module")
def rows():
    return evaluate_all(SCORER, SUITE, CONFIG, rules=True, robustness=True)


def test_every_part_is_there_once(rows):
    scores = SCORER.score([text.text for text in SUITE.texts])
    subject = take(scores, SUITE, CONFIG)
    parts = [
        *evaluate(SCORER, SUITE, CONFIG),
        *guard_rows(subject),
        *rule_rows(subject),
        *robustness_rows(SCORER, subject, seed=0),
    ]

    found = {key(row): row for row in rows}
    assert len(found) == len(rows)
    assert all(found[key(row)] == row for row in parts)
    extra = {row.metric for row in rows} - {row.metric for row in parts}
    assert extra == {"override_ms"}


def test_rules_and_robustness_come_on_request():
    few = evaluate_all(SCORER, SUITE, CONFIG)

    assert {row.suite for row in few} == {"planted"}
    assert not [row for row in few if row.rule_set == "kompress-r0"]
    assert [row for row in few if row.metric == "negation_pct"]


def test_no_value_is_nan_and_every_interval_is_in_order(rows):
    assert all(row.value is None or np.isfinite(row.value) for row in rows)
    for row in rows:
        if row.ci_low is not None:
            assert row.ci_low <= row.ci_high


def test_views_that_do_not_ask_for_a_rule_set_find_one_row(rows):
    # `round_summary` reads these without naming every part of the key.
    for metric in ("keep_rate", "f1"):
        found = [
            row
            for row in rows
            if (row.suite, row.stratum, row.metric) == ("planted", "all", metric)
            and (row.override, row.target_keep_rate, row.text_sha256) == ("", None, "")
        ]
        assert len(found) == 1


def test_tokens_are_counted_by_the_function_given():
    rows = evaluate_all(
        SCORER, SUITE, CONFIG, count_tokens=lambda words: np.ones(len(words), int)
    )

    (savings,) = [
        row
        for row in rows
        if row.metric == "token_savings"
        and (row.stratum, row.target_keep_rate) == ("all", 0.8)
    ]
    (rate,) = [
        row
        for row in rows
        if row.metric == "keep_rate"
        and (row.stratum, row.target_keep_rate) == ("all", 0.8)
    ]
    assert savings.value == pytest.approx(1 - rate.value)
