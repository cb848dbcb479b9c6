from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.config import EvaluationConfig
from kompress.corpora.generators import generate
from kompress.errors import InvalidSuite, InvalidVotes
from kompress.evaluation import evaluate, evaluate_all
from kompress.evaluation.baselines.random_dropping import RandomBaseline
from kompress.evaluation.evaluate import evaluate_scores
from kompress.evaluation.guards import guard_rows
from kompress.evaluation.predictions import make_predictions
from kompress.evaluation.robustness import robustness_rows
from kompress.evaluation.rules import rule_rows
from kompress.evaluation.suites import Suite, SuiteText
from kompress.selection.promotion import confusions_by_text
from kompress.types import Fact, Gold

KEEP, DROP, UNKNOWN = 254, 0, 255

# farm: error signal, 0x1f hex, 42 number; headroom-0.42 does not know error.
LOG = "error at 0x1f on line 42"
# farm: 7 number; headroom-0.42 catches well-known as well.
NOTE = "the well-known cat reads 7 books"
# Above 0.5: error 0x1f line; cat 7 (books, at 0.5, is dropped).
SCORES = (
    np.array([0.9, 0.2, 0.8, 0.1, 0.6, 0.4]),
    np.array([0.1, 0.3, 0.7, 0.2, 0.55, 0.5]),
)


def gold(codes, *facts):
    return Gold(
        "test",
        "evaluate",
        np.array(codes, dtype=np.uint8),
        "what happened?",
        tuple(Fact(f"fact {i}", words) for i, words in enumerate(facts)),
    )


def suite_text(text, kind="log", group_id="", truth=None):
    return SuiteText(text, kind, group_id, sha256(text.encode()).hexdigest(), truth)


SUITE = Suite(
    "planted",
    (
        suite_text(
            LOG, "log", "g1", gold([DROP, UNKNOWN, KEEP, DROP, DROP, KEEP], (2,), (5,))
        ),
        suite_text(
            NOTE, "note", "g2", gold([DROP, DROP, KEEP, DROP, KEEP, DROP], (2,), (4,))
        ),
    ),
)


class FixedScorer:
    """Gives the scores it was made with."""

    def __init__(self, *scores):
        self.scores = scores

    def score(self, texts, *, progress=None):
        if progress is not None:
            progress(len(texts))
        return list(self.scores)


def count_letters(words):
    return np.array([len(word) for word in words])


class Tokenizer:
    """Every word is two tokens."""

    def encode(self, words):
        return SimpleNamespace(num_tokens_N=np.full(len(words), 2))


def find(rows, metric, stratum="all", *, rate=None, override="", text="", **more):
    found = [
        row
        for row in rows
        if (row.metric, row.stratum, row.target_keep_rate, row.override)
        == (metric, stratum, rate, override)
        and row.text_sha256 == text
        and row.definition == more.get("definition", "multiset")
    ]
    assert len(found) == 1, (metric, stratum, found)
    return found[0]


@pytest.fixture(scope="module")
def rows():
    return evaluate(
        FixedScorer(*SCORES),
        SUITE,
        EvaluationConfig(num_bootstraps=50),
        count_tokens=count_letters,
    )


@pytest.mark.parametrize(
    ("metric", "stratum", "value", "n"),
    [
        ("exact_pct", "all", 3 / 4, 4),  # error and 0x1f but not 42; 7
        ("exact_pct", "signal", 1.0, 1),
        ("exact_pct", "hex", 1.0, 1),
        ("exact_pct", "number", 1 / 2, 2),
        ("exact_pct", "kind=log", 2 / 3, 3),
        ("exact_pct", "kind=note", 1.0, 1),
        ("keep_rate", "all", 5 / 12, 12),
        ("keep_rate", "kind=log", 3 / 6, 6),
        # TP 0x1f cat 7, FP error line, FN 42; `at` is unknown.
        ("f1", "all", 6 / 9, 11),
        ("precision", "all", 3 / 5, 5),
        ("recall", "all", 3 / 4, 4),
        ("f1", "plain", 2 / 3, 7),  # TP cat, FP line
        ("recall", "plain", 1.0, 1),
        ("recall", "hex", 1.0, 1),
        ("recall", "number", 1 / 2, 2),
        ("decision_pct", "all", 1 / 2, 2),  # the log's 42 is lost
        ("fact_pct", "all", 3 / 4, 4),  # 0x1f, cat and 7 of four facts
        # Tokens are letters: 19 and 27, of which error 0x1f line, cat 7 are kept.
        ("token_savings", "all", 1 - 17 / 46, 46),
        ("token_savings", "kind=log", 1 - 13 / 19, 19),
        # .75 at keep 0.5, 1 from 0.6 on: (.375 + 1 + 1 + 1 + .5) / 4
        ("exact_auc", "all", 3.875 / 4, 4),
    ],
)
def test_figures_at_the_own_threshold_are_those_worked_by_hand(
    rows, metric, stratum, value, n
):
    row = find(rows, metric, stratum)

    assert row.value == pytest.approx(value)
    assert row.n == n


@pytest.mark.parametrize(
    ("metric", "rate", "value"),
    [
        ("exact_pct", 0.5, 3 / 4),  # three words each: 42 is the fourth of the log
        ("keep_rate", 0.5, 6 / 12),
        ("decision_pct", 0.5, 1 / 2),
        ("exact_pct", 0.6, 1.0),  # round(3.6) = 4 words each
        ("keep_rate", 0.7, 8 / 12),  # round(4.2) = 4
        ("decision_pct", 0.8, 1.0),
        ("fact_pct", 0.5, 3 / 4),
        ("fact_pct", 0.6, 1.0),
        # error 0x1f line, cat 7 books stay: 13 + 9 letters
        ("token_savings", 0.5, 1 - 22 / 46),
        ("keep_rate", 0.8, 10 / 12),
        # at 0.5: TP 0x1f cat 7, FP error line books, FN 42
        ("f1", 0.5, 6 / 10),
    ],
)
def test_figures_at_a_fixed_keep_rate_are_those_worked_by_hand(
    rows, metric, rate, value
):
    assert find(rows, metric, rate=rate).value == pytest.approx(value)


def test_the_override_keeps_its_own_words_and_its_gain_is_told_apart(rows):
    # It adds 42 and well-known.
    assert find(rows, "exact_pct", override="headroom-0.42").value == 1.0
    assert find(rows, "keep_rate", override="headroom-0.42").value == 7 / 12
    delta = find(rows, "override_delta", override="headroom-0.42")
    assert (delta.value, delta.n, delta.rule_set) == (0.25, 4, "farm")


def test_the_override_costs_tokens(rows):
    # It adds 42 (2 letters) and well-known (10) to the 17 letters kept.
    row = find(rows, "token_savings", override="headroom-0.42")
    assert row.value == pytest.approx(1 - 29 / 46)


def test_tokens_are_the_students_own_unless_another_tokenizer_is_given():
    student = FixedScorer(*SCORES)
    student.tokenizer = Tokenizer()

    rows = evaluate(student, SUITE)

    row = find(rows, "token_savings")
    assert (row.value, row.n) == (pytest.approx(7 / 12), 24)  # 5 of 12 words stay
    with pytest.raises(InvalidVotes, match=r"shape \(1,\) for 12 words"):
        evaluate(student, SUITE, count_tokens=lambda _: np.ones(1))


def test_without_a_tokenizer_there_are_no_token_savings():
    rows = evaluate(FixedScorer(*SCORES), SUITE)

    assert not [row for row in rows if row.metric == "token_savings"]


def test_each_text_has_rows_of_its_own(rows):
    log, note = (text.sha256 for text in SUITE.texts)

    assert find(rows, "exact_pct", text=log).value == pytest.approx(2 / 3)
    assert find(rows, "keep_rate", text=note).value == pytest.approx(2 / 6)
    assert find(rows, "f1", text=log).value == pytest.approx(2 / 5)  # TP 1 FP 2 FN 1
    assert find(rows, "fact_pct", text=log).value == 1 / 2  # 0x1f without 42
    assert find(rows, "decision_pct", text=log).value == 0.0
    assert find(rows, "decision_pct", text=note).value == 1.0
    assert find(rows, "token_savings", text=log).value == pytest.approx(6 / 19)
    counts = confusions_by_text(rows)
    assert (counts[log].tp, counts[log].fp, counts[log].fn) == (1, 2, 1)
    assert (counts[note].tp, counts[note].fp, counts[note].fn) == (2, 0, 0)


def test_texts_have_rows_at_the_keep_rates_that_are_asked_for():
    rows = evaluate_all(FixedScorer(*SCORES), SUITE, text_rates=(0.5,))
    log, note = (text.sha256 for text in SUITE.texts)

    # Three words each: 42 of the log's two facts is its fourth.
    assert find(rows, "fact_pct", rate=0.5, text=log).value == 1 / 2
    assert find(rows, "decision_pct", rate=0.5, text=log).value == 0.0
    assert find(rows, "fact_pct", rate=0.5, text=note).value == 1.0
    assert not [r for r in rows if r.text_sha256 and r.target_keep_rate == 0.8]


def test_headline_figures_have_an_interval(rows):
    for metric in ("exact_pct", "keep_rate", "f1", "decision_pct", "exact_auc"):
        row = find(rows, metric)
        assert row.ci_low <= row.value <= row.ci_high
        assert row.ci_low < row.ci_high
    assert find(rows, "f1", "plain").ci_low is not None
    # Both groups gain: the log 1/3 of 3, the note 0 of 1.
    delta = find(rows, "override_delta", override="headroom-0.42")
    assert (delta.ci_low, delta.ci_high) == pytest.approx((0.0, 1 / 3))


def test_no_two_rows_share_a_key_and_no_value_is_nan(rows):
    keys = [replace(row, value=None, n=0, ci_low=None, ci_high=None) for row in rows]

    assert len(set(keys)) == len(keys)
    assert all(r.value is None or np.isfinite(r.value) for r in rows)
    assert {r.suite for r in rows} == {"planted"}


def test_the_published_definition_flatters():
    # 42 is dropped, yet found inside the kept 142.
    suite = Suite("dense", (suite_text("42 of 142 apples"),))

    rows = evaluate(FixedScorer(np.array([0.1, 0.1, 0.9, 0.9])), suite)

    assert find(rows, "exact_pct").value == 1 / 2
    assert find(rows, "exact_pct", definition="substring").value == 1.0


def test_words_only_another_rule_set_catches_are_other():
    config = EvaluationConfig(rule_set="headroom-0.42", num_bootstraps=10)

    rows = evaluate(FixedScorer(*SCORES), SUITE, config)

    # Must-keep are now 0x1f, 42, well-known and 7; error is plain to this rule set.
    row = find(rows, "exact_pct")
    assert (row.value, row.n, row.rule_set) == (1 / 2, 4, "headroom-0.42")
    assert find(rows, "exact_pct", "other").value == 0.0
    # With one rule set for both, an override gains all by construction.
    assert find(rows, "exact_pct", override="headroom-0.42").value == 1.0


def test_a_suite_without_must_keep_words_or_gold_gives_none_not_nan():
    suite = Suite("agent", (suite_text("the cat sat"), suite_text("")))

    rows = evaluate(FixedScorer(np.array([0.9, 0.1, 0.2]), np.array([])), suite)

    assert find(rows, "exact_pct").value is None
    assert find(rows, "exact_auc").value is None
    assert find(rows, "override_delta", override="headroom-0.42").value is None
    assert find(rows, "keep_rate").value == 1 / 3
    assert not [r for r in rows if r.metric in {"f1", "decision_pct"}]


def test_a_subject_can_bring_a_threshold_of_its_own():
    masks = [score >= 0.5 for score in SCORES]

    rows = evaluate_scores(SCORES, SUITE, own_keep=masks)

    assert find(rows, "keep_rate").value == 6 / 12  # books joins


def test_texts_of_one_group_are_no_two_witnesses():
    texts = tuple(replace(text, group_id="g") for text in SUITE.texts)

    rows = evaluate(FixedScorer(*SCORES), Suite("planted", texts))

    assert (find(rows, "f1").ci_low, find(rows, "f1").ci_high) == (None, None)


def test_gold_at_one_half_keeps():
    # Code 127 is P(keep) = 127.5 / 255 = 1/2; 126 is below it.
    truth = gold([127, 126], (0,))
    suite = Suite("planted", (suite_text("one two", truth=truth),))

    rows = evaluate(FixedScorer(np.array([0.9, 0.9])), suite)

    assert find(rows, "precision").value == 1 / 2


def test_the_seed_decides_the_intervals_and_nothing_else():
    scorer, config = FixedScorer(*SCORES), EvaluationConfig(num_bootstraps=20)

    assert evaluate(scorer, SUITE, config, seed=3) == evaluate(
        scorer, SUITE, config, seed=3
    )


def test_progress_is_passed_to_the_scorer():
    seen = []

    evaluate(RandomBaseline(0), SUITE, progress=seen.append)

    assert seen == [1, 2]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ((SCORES[0],), r"1 score arrays for 2 texts .* text 1 has nothing"),
        ((SCORES[0], np.zeros(5)), r"text 1 has \(5,\)"),
        ((SCORES[0], SCORES[1] * np.nan), "not all within"),
        ((SCORES[0], SCORES[1] * 2), "not all within"),
        ((*SCORES, SCORES[0]), "3 score arrays for 2 texts"),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores, message):
    with pytest.raises(InvalidVotes, match=message):
        evaluate(FixedScorer(*scores), SUITE)


def test_an_empty_suite_and_gold_of_another_text_are_refused():
    with pytest.raises(InvalidSuite, match="has no texts"):
        evaluate(FixedScorer(), Suite("planted", ()))
    foreign = Suite("planted", (suite_text("one two", truth=gold([KEEP], (0,))),))
    with pytest.raises(InvalidSuite, match="expected the text's 2 words"):
        evaluate(FixedScorer(np.zeros(2)), foreign)
    outside = Suite("planted", (suite_text("one", truth=gold([KEEP], (1,))),))
    with pytest.raises(InvalidSuite, match="facts on words 1 to 1"):
        evaluate(FixedScorer(np.zeros(1)), outside)


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_keeping_more_never_loses_a_must_keep_word(scores):
    suite = Suite("agent", (suite_text(LOG),))
    config = EvaluationConfig(num_bootstraps=10)

    rows = evaluate(FixedScorer(np.array(scores)), suite, config)

    values = [find(rows, "exact_pct", rate=rate).value for rate in config.keep_rates]
    assert values == sorted(values)
    assert values[0] <= find(rows, "exact_auc").value <= values[-1]


@settings(max_examples=20)
@given(st.text(alphabet="a1 \n", min_size=1), st.floats(0, 1))
def test_who_keeps_all_saves_no_token_and_loses_nothing(text, score):
    suite = Suite("agent", (suite_text(text),))
    num_words = len(text.split())
    config = EvaluationConfig(num_bootstraps=10, keep_rates=(1.0,))

    rows = evaluate(
        FixedScorer(np.full(num_words, score)),
        suite,
        config,
        count_tokens=count_letters,
    )

    exact = find(rows, "exact_pct", rate=1.0)
    assert exact.value == (1.0 if exact.n else None)
    savings = find(rows, "token_savings", rate=1.0)
    assert savings.value == (0.0 if num_words else None)
    if num_words:
        fixed = replace(savings, target_keep_rate=None)
        assert find(rows, "token_savings") == replace(
            fixed, value=0.0 if score > 0.5 else 1.0
        )


WHOLE_CONFIG = EvaluationConfig(num_bootstraps=20, keep_rates=(0.5, 0.8))
GENERATED = Suite(
    "planted",
    tuple(
        SuiteText(d.text, d.kind, d.group_id, f"{i:064x}", d.gold)
        for i, d in enumerate(generate(8, 0))
    ),
)
RANDOM = RandomBaseline(0)


def key_of(row):
    return replace(row, value=None, n=0, ci_low=None, ci_high=None)


@pytest.fixture(scope="module")
def whole():
    return evaluate_all(RANDOM, GENERATED, WHOLE_CONFIG, rules=True, robustness=True)


def test_every_part_is_there_once(whole):
    scores = RANDOM.score([text.text for text in GENERATED.texts])
    predictions = make_predictions(scores, GENERATED, WHOLE_CONFIG)
    parts = [
        *evaluate(RANDOM, GENERATED, WHOLE_CONFIG),
        *guard_rows(predictions),
        *rule_rows(predictions),
        *robustness_rows(RANDOM, predictions, seed=0),
    ]

    found = {key_of(row): row for row in whole}
    assert len(found) == len(whole)
    assert all(found[key_of(row)] == row for row in parts)
    extra = {row.metric for row in whole} - {row.metric for row in parts}
    assert extra == {"override_ms"}


def test_rules_and_robustness_come_on_request():
    few = evaluate_all(RANDOM, GENERATED, WHOLE_CONFIG)

    assert {row.suite for row in few} == {"planted"}
    assert not [row for row in few if row.rule_set == "kompress-r0"]
    assert [row for row in few if row.metric == "negation_pct"]


def test_no_value_is_nan_and_every_interval_is_in_order(whole):
    assert all(row.value is None or np.isfinite(row.value) for row in whole)
    for row in whole:
        if row.ci_low is not None:
            assert row.ci_low <= row.ci_high


def test_views_that_do_not_ask_for_a_rule_set_find_one_row(whole):
    # `round_summary` reads these without naming every part of the key.
    for metric in ("keep_rate", "f1"):
        found = [
            row
            for row in whole
            if (row.suite, row.stratum, row.metric) == ("planted", "all", metric)
            and (row.override, row.target_keep_rate, row.text_sha256) == ("", None, "")
        ]
        assert len(found) == 1


def test_tokens_are_counted_by_the_function_given():
    rows = evaluate_all(
        RANDOM,
        GENERATED,
        WHOLE_CONFIG,
        count_tokens=lambda words: np.ones(len(words), int),
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
