from pathlib import Path

import pytest

from api.advice import COMMANDS, advise

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("phrase", COMMANDS)
def test_every_phrase_stands_in_a_message_of_the_store(phrase):
    sources = "".join(path.read_text() for path in (ROOT / "db").rglob("*.py"))

    assert phrase in sources


def test_a_message_gets_the_command_that_does_it():
    said = "no student has id 9; see the list of students"

    assert advise(said) == f"{said} (`farm student list`)"
    assert advise("no corpus has id 9") == "no corpus has id 9"
