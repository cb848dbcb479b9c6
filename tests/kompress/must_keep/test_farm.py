import re

import pytest

from kompress.must_keep import classify_words, find_must_keep
from kompress.must_keep.farm import FARM, MAX_CHARS
from kompress.types import CATEGORIES, STRATA

# docs/references.md: what 0.42.0 misses and what it wrongly catches.
MISSED = [
    *("42.", "3.28.33", "12ms", "error[E0308]:", "9fceb02", "-O2", "C9H8O4"),
    *("9fceb02d0ae598e95dc970b74767f19372d61af8", "snake_case", "lowerCamel", "foo()"),
    "8c40d2f6-1e9b-4fd4-9a16-4466f544000f",
]
FALSE_ALARMS = ["well-known", "e.g.", "i.e.", "high-quality", "____", "pro/con"]


@pytest.mark.parametrize("rule", FARM, ids=lambda rule: f"{rule.category}-{rule.name}")
def test_a_rule_catches_and_spares_its_examples(rule):
    caught = [STRATA[code] for code in classify_words(rule.catches)]

    assert caught == [rule.category] * len(rule.catches)
    assert all(re.search(rule.pattern, word) for word in rule.catches)
    assert not [word for word in rule.spares if re.search(rule.pattern, word)]


def test_every_category_has_rules_in_the_contract_s_order():
    order = [CATEGORIES.index(rule.category) for rule in FARM]

    assert order == sorted(order)
    assert set(order) == set(range(len(CATEGORIES)))


@pytest.mark.parametrize("rule", FARM, ids=lambda rule: f"{rule.category}-{rule.name}")
def test_a_pattern_means_the_same_in_python_rust_and_postgres(rule):
    assert rule.pattern.isascii()
    # Look-around and named groups, classes by letter, literal per cent and colon-name.
    assert not re.search(r"\(\?|\\[a-tv-zA-Z0-9]|%|:\w|\s\s|\*\?|\+\?", rule.pattern)


def test_what_the_deployed_rule_misses_is_caught():
    assert classify_words(MISSED).all()
    assert not classify_words(MISSED, "headroom-0.42").any()


def test_the_deployed_rule_s_false_alarms_are_spared():
    assert not classify_words(FALSE_ALARMS).any()
    assert classify_words(FALSE_ALARMS, "headroom-0.42")[[0, 1]].all()


def test_a_word_falls_into_the_first_category_that_it_matches():
    # A constant that is also a directive, a path with a line number, a path in a URL.
    found = find_must_keep("NOT /etc/hosts:12: https://x.org/a.py?n=0x1f")

    assert [item.category for item in found] == ["constant", "path", "hex"]


def test_a_word_is_judged_by_its_first_characters():
    far = "a" * MAX_CHARS

    assert classify_words([f"{far}=42", f"{far[:-3]}=42"]).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("category", "words"),
    [
        ("identifier", "user=root tty=ssh status=M stat=Deferred: overlap:false"),
        ("identifier", '{"ok":false} "enabled":false debug=false mode=strict'),
        ("path", r"\\server\share\dir src\main\java\App build\out ..\lib\a"),
        ("path", "Makefile Dockerfile foo/bar:latest pod/nginx /x lodash/fp"),
        ("number", "٣٤٥ １２３ ５％ １２：３０ ½"),
        ("formula", "1>2 a<b i<n > < >> ≤ ≥ ≠ := =~ !done"),
        ("plain", "us nicht | table"),
    ],
)
def test_what_people_s_logs_are_made_of(category, words):
    codes = classify_words(words.split())

    assert {STRATA[code] for code in codes} == {category}


@pytest.mark.parametrize(
    ("coloured", "bare"),
    [
        ("\x1b[31merror\x1b[0m", "error"),
        ("\x1b[32mbuilding\x1b[0m", "building"),
        ("\x1b[1;38;5;208m42\x1b[m", "42"),
        ("\x1b]8;;https://x.org\x07link\x1b]8;;\x07", "link"),
        ("\x1b[2K\x1b[1G", ""),
        ("\x1b(", "("),  # half an escape, of which no rule knows anything
    ],
)
def test_a_word_is_judged_without_its_escapes(coloured, bare):
    assert classify_words([coloured]).tolist() == classify_words([bare]).tolist()
