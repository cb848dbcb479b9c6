import json
from hashlib import sha256

import numpy as np
import pytest

from kompress.errors import InvalidSuite
from kompress.evaluation.suites import (
    SuiteText,
    load_dense,
    make_suite,
    parse_dense,
)
from kompress.types import Fact, Gold


def lines(count=32):
    return [
        json.dumps({"id": f"t{i}", "kind": "log", "text": f"line {i}\nend"})
        for i in range(count)
    ]


def test_lines_become_texts_that_are_groups_of_their_own():
    suite = parse_dense([*lines(), ""])

    assert suite.name == "dense"
    assert len(suite.texts) == 32
    assert suite.texts[1].group_id == "t1"
    assert suite.texts[1].sha256 == sha256(b"line 1\nend").hexdigest()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("{", "line 33 is not JSON"),
        ("[]", "line 33 lacks one of id, kind and text"),
        ('{"id": "x", "kind": "log"}', "line 33 lacks one of"),
        ('{"id": "t0", "kind": "log", "text": "x"}', "line 33: id 't0' repeats"),
    ],
)
def test_a_damaged_line_is_named(wrong, message):
    with pytest.raises(InvalidSuite, match=message):
        parse_dense([*lines(), wrong])


def test_too_few_texts_are_refused():
    with pytest.raises(InvalidSuite, match="holds 31 texts; expected at least 32"):
        parse_dense(lines(31))


def test_the_packaged_suite_is_dense_with_must_keep_words():
    suite = load_dense()

    assert len(suite.texts) >= 32
    assert len({text.sha256 for text in suite.texts}) == len(suite.texts)


def test_a_suite_is_chosen_among_held_out_documents_by_kind_or_gold():
    known = Gold("people", "evaluate", np.array([254], dtype=np.uint8))
    shell = SuiteText("ls", "bash_output", "g1", "a", known)
    log = SuiteText("boot", "service_log", "g2", "b", known)
    bare = SuiteText("cat", "file_read", "g3", "c")

    agent = make_suite("agent", [shell, log, bare])
    planted = make_suite("planted", [shell, log, bare])

    assert [(t.text, t.gold) for t in agent.texts] == [("ls", None), ("cat", None)]
    assert planted.texts == (shell, log)
    with pytest.raises(InvalidSuite, match="dense, agent, qa, planted"):
        make_suite("quiz", [])


def test_qa_is_what_has_gold_and_a_question():
    codes = np.array([254], dtype=np.uint8)
    facts = (Fact("who", (0,)),)
    asked = SuiteText("Ada", "bash_output", "g1", "a", _gold(codes, "who?", facts))
    unasked = SuiteText("Bob", "log", "g2", "b", _gold(codes, "", facts))
    factless = SuiteText("Cyd", "log", "g3", "c", _gold(codes, "who?", ()))
    bare = SuiteText("Dan", "log", "g4", "d")

    suite = make_suite("qa", [asked, unasked, factless, bare])

    assert suite.name == "qa"
    assert suite.texts == (asked,)


def _gold(codes, question, facts):
    return Gold("generator/x", "evaluate", codes, question, facts)
