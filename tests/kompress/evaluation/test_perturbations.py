import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidConfig
from kompress.evaluation.perturbations import PERTURBATIONS, perturb
from kompress.must_keep import classify_texts
from kompress.words import line_numbers, word_list

CODE = "def parse_config(path):\n    return ParseConfig(path, max_size=10)\n"
TEXTS = st.text(alphabet="ab_AZ019(.\n\t \x0b\u2028é", max_size=60)


def test_names_change_alike_and_keep_their_look():
    changed = perturb(CODE, "identifiers", 0).text

    match = re.fullmatch(
        r"def ([a-z]{5})_([a-z]{6})\(path\):\n"
        r"    return ([A-Z][a-z]{4})([A-Z][a-z]{5})"
        r"\(path, ([a-z]{3})_([a-z]{4})=10\)\n",
        changed,
    )
    assert match is not None, changed
    first, second, *camel, third, fourth = match.groups()
    assert camel == [first.capitalize(), second.capitalize()]
    assert not {first, second, third, fourth} & {"parse", "config", "max", "size"}
    assert len({first, second, third, fourth}) == 4


def test_prose_keywords_and_figures_are_no_names():
    text = "if(x) The cat, not HTTP, read file.txt --dry-run 0x7fAB 3.28"

    assert perturb(text, "identifiers", 0).text == text


def test_digits_change_alike_and_zero_stays():
    text = "0x1f 10 10 123456789 11"

    words = word_list(perturb(text, "digits", 0).text)

    assert words[0][:2] == "0x"
    assert words[1] == words[2]
    assert words[1][1] == "0"
    assert sorted(words[3]) == list("123456789")
    assert all(new != old for new, old in zip(words[3], "123456789", strict=True))
    assert words[4] == words[1][0] * 2
    assert words[0][2] == words[1][0]


def test_indentation_changes_white_space_at_the_start_of_lines_only():
    changed = [perturb(CODE, "indentation", seed).text for seed in range(5)]

    for text in changed:
        assert [line.lstrip(" \t") for line in text.split("\n")] == [
            line.lstrip(" \t") for line in CODE.split("\n")
        ]
    assert len(set(changed)) > 1


def test_lines_are_shuffled_whole_and_say_where_their_words_came_from():
    text = "\n".join(f"line {i} ends" for i in range(10))

    changed = perturb(text, "lines", 0)

    assert sorted(changed.text.split("\n")) == sorted(text.split("\n"))
    assert changed.text != text
    words = word_list(text)
    assert [words[i] for i in changed.order_N] == word_list(changed.text)


def test_a_text_changes_alike_in_any_company_and_otherwise_by_seed():
    assert perturb(CODE, "identifiers", 1).text == perturb(CODE, "identifiers", 1).text
    assert perturb(CODE, "identifiers", 1).text != perturb(CODE, "identifiers", 2).text


def test_an_unknown_name_is_refused():
    with pytest.raises(InvalidConfig, match="expected one of identifiers, digits"):
        perturb(CODE, "typos", 0)


@given(TEXTS, st.sampled_from(sorted(PERTURBATIONS)), st.integers(0, 9))
def test_every_word_and_every_line_of_words_survives(text, name, seed):
    changed = perturb(text, name, seed)

    words, new = word_list(text), word_list(changed.text)
    assert sorted(changed.order_N.tolist()) == list(range(len(words)))
    assert [len(words[i]) for i in changed.order_N] == [len(word) for word in new]
    old_lines = line_numbers(text)[changed.order_N]
    same_line = np.diff(old_lines) == 0
    assert (same_line == (np.diff(line_numbers(changed.text)) == 0)).all()


@given(TEXTS, st.integers(0, 9))
def test_changed_digits_are_still_digits_to_the_rules(text, seed):
    (before,) = classify_texts([text], "kompress-r0")
    (after,) = classify_texts([perturb(text, "digits", seed).text], "kompress-r0")

    assert ((before > 0) == (after > 0)).all()
