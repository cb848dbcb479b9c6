import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.lines.failures import (
    distance_to,
    find_failures,
    kinds_of_failure,
    strip_prefix,
)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("src/a.c:3:5: error: expected ';'", "any"),
        ("[ERROR] Failed to execute goal", "any"),
        ("##[error]Process completed with exit code 2.", "any"),
        ("java.lang.IllegalStateException: closed", "exception"),
        ("Traceback (most recent call last):", "exception"),
        ("thread 'main' panicked at src/main.rs:3:5:", "exception"),
        ("FAILED tests/test_a.py::test_b - assert 1 == 2", "test runner"),
        ("E       assert 3 == 4", "test runner"),
        ("not ok 12 - closes the socket", "test runner"),
        ("Tests run: 6, Failures: 0, Errors: 5, Skipped: 0", "test runner"),
        ("main.o: undefined reference to `f'", "compiler"),
        ("src/a.ts(1,2): error TS2304: Cannot find name 'x'.", "compiler"),
        ("npm ERR! code ELIFECYCLE", "package manager"),
        ("  12:5  error  'x' is not defined  no-undef", "linter"),
        ("make: *** [all] Killed", "shell"),
        ("bash: foo: command not found", "shell"),
        ("The command exited with code 1", "shell"),
    ],
)
def test_what_tools_write_of_failures_is_found(line, kind):
    assert kind in kinds_of_failure(line)
    assert find_failures(strip_prefix(["ok", line])).says_L.tolist() == [False, True]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "12 passed, 0 failed",
        "Found 0 errors.",
        "Downloading error-stack-0.4.1",
        "Failures: 0, Errors: 0",
        "build\tSet up job\t2026-01-02T03:04:05.1Z fail-fast: true",
        "PASS tests/errors/format.test.js",
        "exit code 0",
    ],
)
def test_a_count_of_nothing_is_no_failure(line):
    assert kinds_of_failure(line) == []
    assert not find_failures(strip_prefix([line])).says_L.any()


def test_a_runner_s_prefix_does_not_hide_how_a_line_begins():
    lines = [
        "job\tRun tests\t2026-01-02T03:04:05.1234567Z E   assert 1",
        "2026-01-02T03:04:05.123Z \x1b[31mE   assert 1\x1b[0m\r",
        "E   assert 1",
    ]

    assert strip_prefix(lines).to_list() == ["E   assert 1"] * 3


def test_a_traceback_is_whole():
    bare = strip_prefix(
        [
            "starting",
            "Traceback (most recent call last):",
            '  File "a.py", line 3, in f',
            "    g()",
            '  File "a.py", line 9, in g',
            "    raise wrong",
            "KeyError: 1",
            "bye",
        ]
    )

    found = find_failures(bare)

    # From the head to the last call's source; the message says failure by itself.
    assert found.traceback_L.tolist() == [False, *[True] * 5, False, False]
    assert np.flatnonzero(found.says_L).tolist() == [1, 6]


def test_java_s_causes_belong_to_the_traceback():
    bare = strip_prefix(
        [
            "ok",
            "x.FooException: no",
            "\tat x.A.b(A.java:1)",
            "\t... 3 more",
            "Caused by: y.BarException: why",
            "\tat y.B.c(B.java:2)",
            "ok",
            "ok",
        ]
    )

    found = find_failures(bare)

    assert np.flatnonzero(found.traceback_L).tolist() == [1, 2, 3, 4, 5, 6]
    assert np.flatnonzero(found.says_L).tolist() == [1, 4]


def test_distances_count_lines_on_both_sides():
    back_L, ahead_L = distance_to(np.array([False, True, False, False, True]))

    # No mark before the first line: as far as the text has lines.
    assert back_L.tolist() == [5, 0, 1, 2, 0]
    assert ahead_L.tolist() == [1, 0, 2, 1, 0]


@given(st.lists(st.booleans(), max_size=8))
def test_distances_look_the_same_from_behind(marks):
    back_L, ahead_L = distance_to(np.array(marks, bool))
    behind_L, _ = distance_to(np.array(marks[::-1], bool))

    assert ahead_L.tolist() == behind_L[::-1].tolist()
    assert ((back_L == 0) == np.array(marks, bool)).all()
