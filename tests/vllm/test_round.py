"""Rounds taught by the real vLLM: in a worker that holds it, and by `vllm serve`.

Both are killed in mid-shard. Votes have to be those of the micro-teacher all the same.
"""

import time
from dataclasses import dataclass

import numpy as np
import pytest

from kompress.corpora.generators import generate
from kompress.types import ABSTAIN
from tests.end_to_end.conftest import make_farm
from tests.end_to_end.farm import VOTERS, loop_config
from tests.micro_teacher.params import FOLDER, WORD_VOTES
from tests.vllm.processes import SERVED, environment

pytestmark = [pytest.mark.vllm, pytest.mark.slow]
__all__ = ["make_farm"]
NUM_DOCUMENTS = 40
SEED = 5
IN_PROCESS = {
    "engine": "vllm",
    "model": str(FOLDER),
    "dtype": "float32",
    "max_model_tokens": 2_048,
}
UNDER_WAY = "SELECT count(*) > 5 FROM answers"
ENDPOINTS = """
[serve]
url = "{url}"
models = ["{model}"]
forced_tokens = true
logprobs = true
max_concurrency = 2
request_timeout_s = 30.0
"""


@pytest.fixture
def farm(make_farm):
    with make_farm() as found:
        yield found


@dataclass(frozen=True)
class Run:
    """What a round left."""

    votes: dict
    num_failed: int
    spent: float
    useful: float


def start(farm, params):
    farm.add_documents(NUM_DOCUMENTS, SEED)
    farm.start_relay()
    queues = ("control", "cpu", *(f"teach.{name}" for name in VOTERS))
    farm.start_worker("w1", slots=1, queues=queues)
    farm.start_trainer()
    voters = [voter.model_dump() for voter in loop_config().base.voters]
    micro = {"name": "micro", "kind": "teacher", "params": {**WORD_VOTES, **params}}
    farm.start_loop(loop_config(voters=[*voters, micro]))


def finish(farm):
    farm.wait_for_end(420)
    farm.check_effects()
    votes = farm.query("""
        SELECT t.content, v.codes FROM votes v
        JOIN voters n ON n.id = v.voter_id AND n.name = 'micro'
        JOIN texts t ON t.id = v.text_id""")
    [[num_failed]] = farm.query("SELECT count(*) FROM failures")
    [[spent, useful]] = farm.query(
        "SELECT sum(spent), sum(useful) FROM costs WHERE kind = 'output_tokens'"
    )
    [[num_texts]] = farm.query("SELECT count(*) FROM selections")
    assert len(votes) == num_texts
    assert farm.query("SELECT count(*) FROM reservations")[0][0] == 0
    by_text = {text: np.frombuffer(codes, np.uint8) for text, codes in votes}
    return Run(by_text, num_failed, spent, useful)


def balanced_accuracy(votes):
    gold = {d.text: d.gold.codes_N for d in generate(NUM_DOCUMENTS, SEED)}
    truth = np.concatenate([gold[text] for text in votes])
    codes = np.concatenate(list(votes.values()))
    known = truth != ABSTAIN
    keep, said = truth[known] >= 127, codes[known] >= 127
    return (said[keep].mean() + (~said[~keep]).mean()) / 2


@pytest.fixture(scope="module")
def in_process(make_farm, vllm_python, tmp_path_factory):
    """A round whose teacher is killed in mid-shard and comes back."""
    home = tmp_path_factory.mktemp("vllm-worker")

    def teach(farm):
        return farm.start_worker(
            "gpu",
            slots=1,
            queues=("teach.micro",),
            python=vllm_python,
            **environment(home) | {"FARM_GPU_LOCKS": str(home / "locks")},
        )

    with make_farm() as farm:
        start(farm, IN_PROCESS)
        teach(farm)
        farm.wait(UNDER_WAY, timeout_s=240, what="the first answers")
        farm.kill("gpu")
        teach(farm)
        yield finish(farm)


def test_a_worker_that_holds_vllm_teaches_a_round_though_it_is_killed(in_process):
    assert in_process.num_failed == 0
    assert balanced_accuracy(in_process.votes) >= 0.85
    # What was in flight is paid twice, and shown so.
    assert in_process.spent >= in_process.useful


def test_vllm_serve_is_killed_in_mid_shard_and_nothing_is_lost(
    in_process, farm, vllm_server
):
    settings = farm.folder / "endpoints.toml"
    settings.write_text(ENDPOINTS.format(url=vllm_server.url, model=SERVED))
    farm.variables["FARM_ENDPOINTS"] = str(settings)
    start(farm, {"engine": "openai", "endpoint": "serve", "model": SERVED})
    farm.start_worker("asker", slots=1, queues=("teach.micro",))
    farm.wait(UNDER_WAY, what="the first answers")
    vllm_server.kill()
    time.sleep(3)
    vllm_server.start()

    found = finish(farm)

    assert found.num_failed == 0
    assert found.votes.keys() == in_process.votes.keys()
    for text, codes in found.votes.items():
        # 1e-3 in P is a quarter of a code: at most the next one.
        apart = np.abs(codes.astype(int) - in_process.votes[text].astype(int))
        assert apart.max() <= 1
