import json
import os
import subprocess
import sys

import pytest

from kompress.errors import InvalidConfig, VoteFailed
from kompress.teachers.request import Answer, AskFailed, Capabilities, Sample
from kompress.types import decode_votes
from worker.ask import Meter, ask_about, load_teacher

TEXT = "The disk is full"
MODEL = {"engine": "vllm", "model": "m"}


class Careful:
    """Keeps every word of four letters, with 9 in 10."""

    capabilities = Capabilities(
        forced_tokens=True, logprobs=True, samples=True, prefix_cache=True
    )

    def __init__(self):
        self.asked = []

    def ask(self, requests, *, tick, deadline_s):
        self.asked += requests
        for place, request in enumerate(requests):
            tick()
            probs = tuple(
                (0.9, 0.1) if len(word) == 4 else (0.1, 0.9) for word in TEXT.split()
            )
            assert request.max_tokens == len(probs)
            sample = Sample("K" * len(probs), choice_probs=probs)
            yield place, Answer((sample,), 50, 4, wasted_input_tokens=7)


class Away:
    """An endpoint that does not answer."""

    def ask(self, requests, *, tick, deadline_s):
        for place in range(len(requests)):
            yield place, AskFailed("it is away", is_transient=True)


def test_a_vote_comes_with_what_it_took():
    meter = Meter(Careful())

    vote = ask_about(load_teacher("t", MODEL, {}), meter, TEXT)

    p_N = decode_votes(vote.codes_N)
    # Codes 229 and 25: (code + 1/2) / 255.
    assert p_N.tolist() == pytest.approx([0.1, 0.9, 0.1, 0.9], abs=1 / 255)
    assert (meter.num_requests, meter.input_tokens, meter.output_tokens) == (1, 57, 4)


def test_a_teacher_that_corrects_is_shown_a_draft_that_keeps_all():
    transport = Careful()
    teacher = load_teacher("t", {**MODEL, "protocol": "correct"}, {})

    ask_about(teacher, Meter(transport), TEXT)

    assert "~~" not in transport.asked[0].user


def test_an_answer_that_did_not_come_is_said():
    with pytest.raises(VoteFailed, match="it is away"):
        ask_about(load_teacher("t", MODEL, {}), Meter(Away()), TEXT)


def test_a_judge_has_no_vote():
    with pytest.raises(InvalidConfig, match="compares references"):
        load_teacher("j", {**MODEL, "protocol": "pairwise"}, {})


@pytest.mark.slow  # another process
def test_the_program_answers_in_json_whatever_is_wrong(database_url):
    question = {"name": "t", "params": {"engine": "openai"}, "text": TEXT}

    done = subprocess.run(
        [sys.executable, "-m", "worker", "ask"],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        env=os.environ
        | {
            "FARM_DATABASE_URL": database_url,
            "FARM_BROKER_URL": "redis://none",
            "FARM_ARTIFACTS": "file:///none",
        },
        check=False,
    )

    assert done.returncode == 2
    assert "model: Field required" in json.loads(done.stdout)["error"]
