"""Responses: the failing row lies among healthy ones, the error before them."""

from random import Random

import pytest

from kompress.corpora.generators import json_response


@pytest.mark.parametrize("seed", range(30))
def test_the_failing_row_is_planted_and_asked_for(seed):
    planted = json_response.make(Random(seed))

    rows = [s for row in planted.lines for s in row.segments]
    [bad] = [s for s in rows if s.name == "failing_row"]
    assert '"reason":' in bad.text
    assert "failed, and why?" in planted.question
    assert any(s.name == "error" and s.text.startswith('"error":') for s in rows)


@pytest.mark.parametrize("seed", range(30))
def test_only_brackets_are_glue(seed):
    rows = json_response.make(Random(seed)).lines

    glue = [s.text for row in rows for s in row.segments if s.role == "glue"]
    assert glue == ["{", "]", "}"]
