import json
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import EvaluationConfig
from kompress.evaluation.guards import guard_rows
from kompress.evaluation.predictions import make_predictions
from kompress.evaluation.suites import Suite, SuiteText
from kompress.soundness import check_json, check_lines, is_guarded
from kompress.words import join_kept

CONFIG = EvaluationConfig(num_bootstraps=20, keep_rates=(0.4,))


def suite_text(text, kind="log"):
    return SuiteText(text, kind, "", sha256(text.encode()).hexdigest())


def find(rows, metric, stratum="all", *, rate=None, override="", text=""):
    (row,) = [
        row
        for row in rows
        if (row.metric, row.stratum, row.target_keep_rate, row.override)
        == (metric, stratum, rate, override)
        and row.text_sha256 == text
    ]
    return row


@pytest.mark.parametrize(
    "word",
    ["not", "Not,", "(MUST", "don't", "isn\u2019t", '"never"', "nor", "unless:", "no."],
)
def test_negations_conditions_and_modals_are_guarded(word):
    assert is_guarded(word)


@pytest.mark.parametrize(
    "word",
    ["note", "--no-verify", "not_found", "mustard", "and", "only-child", "", "tent"],
)
def test_names_and_other_words_are_not_guarded(word):
    assert not is_guarded(word)


# Guarded: not, unless; must. At own threshold not and must stay; the override
# (headroom-0.42) keeps unless too. The second text is JSON, and its middle goes.
PROSE = suite_text("do not stop unless asked")
DATA = suite_text('{"x": 1, "b": 2, "c": 3}', "json_tool_result")
RULE = suite_text("you must wait", "note")
SUITE = Suite("agent", (PROSE, DATA, RULE))
SCORES = (
    np.array([0.1, 0.9, 0.8, 0.2, 0.1]),
    np.array([0.9, 0.1, 0.1, 0.9, 0.9, 0.9]),
    np.array([0.1, 0.9, 0.2]),
)


def test_guards_are_those_worked_by_hand():
    rows = guard_rows(make_predictions(SCORES, SUITE, CONFIG))

    own = find(rows, "negation_pct")
    assert (own.value, own.n) == (pytest.approx(2 / 3), 3)
    assert find(rows, "negation_pct", "kind=log").value == 1 / 2
    # At 0.4 of the words: not stop; must of `you must wait`.
    assert find(rows, "negation_pct", rate=0.4).value == pytest.approx(2 / 3)
    assert find(rows, "negation_pct", override="headroom-0.42").value == 1.0
    assert find(rows, "negation_pct", text=PROSE.sha256).value == 1 / 2
    assert find(rows, "lines_intact_pct").value == 1.0
    # {"x": 2, "c": 3} parses, lacks two of six elements, and says what nobody said.
    assert find(rows, "json_valid_pct").value == 0.0
    elements = find(rows, "json_elements_pct")
    assert (elements.value, elements.n) == (pytest.approx(4 / 6), 6)
    assert find(rows, "json_faithful_pct").value == 0.0
    assert (find(rows, "json_broken").value, find(rows, "json_broken").n) == (1.0, 1)
    assert find(rows, "json_faithful_pct", text=DATA.sha256).value == 0.0


def test_no_two_rows_share_a_key():
    rows = guard_rows(make_predictions(SCORES, SUITE, CONFIG))
    keys = [replace(row, value=None, n=0, ci_low=None, ci_high=None) for row in rows]

    assert len(set(keys)) == len(keys)


def test_a_suite_without_json_has_no_row_on_it():
    rows = guard_rows(make_predictions(SCORES[:1], Suite("agent", (PROSE,)), CONFIG))

    assert {row.metric for row in rows} == {"negation_pct", "lines_intact_pct"}


@pytest.mark.parametrize(
    ("compressed", "intact"),
    [
        ("a c\nd f", True),
        ("a  c", True),  # white space is free
        ("d\n\nb", False),  # out of order
        ("a d", False),  # two lines merged
        ("a\nb", False),  # one line torn into two
        ("c a", False),  # words out of order
        ("a x", False),  # invented
        ("a\na", True),  # the last line is another a
        ("", True),
    ],
)
def test_each_line_must_be_what_is_left_of_one_line(compressed, intact):
    assert check_lines("a b c\nd e f\na", compressed) is intact


@pytest.mark.parametrize(
    ("text", "compressed", "expected"),
    [
        ("plain words", "words", None),
        ("42", "42", None),  # neither object nor list
        ('{"a": 1', '{"a":', None),
        ('{"a": 1, "b": 2}', '{"a": 1, "b": 2}', True),
        ('{"a": 1, "b": 2}', '{"b": 2}', True),
        ('{"a": 1, "b": 2}', '{"a": 2}', False),  # parses, and lies
        ('{"a": 1, "b": 2}', '{"a": 1,', False),
        ('{"a": 1, "b": 2}', "", False),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', False),  # out of order
        ('{"a": "not so fast"}', '{"a": "so fast"}', True),
        ('{"a": "not so fast"}', '{"a": "fast so"}', False),
        ("[1, 2, 3]", "[1, 3]", True),
        ("[1, 2, 3]", "[3, 1]", False),
        ("[[1, 2], [3]]", "[[2], [3]]", True),
        ("[[1, 2], [3]]", "[[2, 3]]", False),  # moved into another list
        ('{"a": true}', '{"a": 1}', False),
        ('{"a": "1"}', '{"a": 1}', False),
        ('{"a": 1, "a": 2}', '{"a": 1}', True),  # a repeated key is not lost
        ("[" + "9" * 5_000 + "]", "[" + "9" * 5_000 + "]", True),
        ("[" * 100_000, "[", None),  # too deep to read
    ],
)
def test_json_is_trusted_only_if_it_says_nothing_new(text, compressed, expected):
    assert check_json(text, compressed) is expected


@given(st.data())
def test_what_keeps_all_words_or_whole_lines_passes_every_guard(data):
    values = st.recursive(
        st.integers() | st.text(alphabet="ab c"),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("xy"), inner),
        max_leaves=6,
    )
    text = json.dumps([data.draw(values)], indent=data.draw(st.sampled_from([None, 1])))
    keep = data.draw(
        st.lists(st.booleans(), min_size=len(text.split()), max_size=len(text.split()))
    )

    assert check_json(text, join_kept(text, [True] * len(keep))) is True
    assert check_lines(text, join_kept(text, keep))
