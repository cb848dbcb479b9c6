"""Whatever befalls an endpoint or its worker: no text is lost or voted by garbage.

Real Celery workers ask a real HTTP server that fails on demand. What a teacher's votes
are is decided by its answers alone, so every run has to end with the same ones.
"""

import hashlib
import json
import time
from collections import Counter
from dataclasses import replace

import pytest

from tests.end_to_end.farm import VOTERS, loop_config
from tests.worker.transports.endpoint_server import (
    EndpointServer,
    Reply,
    completion,
    running_server,
)

pytestmark = pytest.mark.slow
NUM_DOCUMENTS = 24
TEACHER = {
    "name": "llm",
    "kind": "teacher",
    "params": {
        "engine": "openai",
        "endpoint": "seam",
        "model": "m",
        "protocol": "word_votes",
        "chunk_words": 50,
    },
}
SETTINGS = """
[seam]
url = "{url}"
models = ["m"]
forced_tokens = true
logprobs = true
max_concurrency = {concurrency}
request_timeout_s = 5.0
[seam.prices.m]
input = 1.0
output = 2.0
"""
UNDER_WAY = "SELECT count(*) > 5 FROM answers"


def truth(number, body):
    """Answer by a hash of the question: another text, another P."""
    digest = hashlib.sha256(json.dumps(body["messages"]).encode()).digest()
    right = completion(body, p_first=0.1 + 0.8 * digest[0] / 255)
    return Reply(body=json.dumps(right).encode(), delay_s=0.05)


def slow_truth(number, body):
    """Answer so slowly that a round is still under way when it is disturbed."""
    return replace(truth(number, body), delay_s=0.5)


class Troubled:
    """Answers each question wrongly at first, in one of five ways, then rightly."""

    def __init__(self):
        self.seen = Counter()

    def __call__(self, number, body):
        right = truth(number, body)
        question = body["messages"][1]["content"]
        self.seen[question] += 1
        if self.seen[question] > 1:
            return right
        return [
            Reply(429, headers={"Retry-After": "0"}),
            Reply(500, b"internal error"),
            Reply(200, b"<html>gateway</html>"),
            Reply(200, json.dumps(completion(body | {"max_tokens": 3})).encode()),
            Reply(200, right.body, cut_at=len(right.body) // 2),
        ][len(self.seen) % 5]


@pytest.fixture
def server():
    with running_server() as found:
        found.decide = truth
        yield found


def word_of_its_own(farm):
    """Give the hash of a train document, and a word of it that no other has."""
    rows = farm.query("""
        SELECT encode(t.sha256, 'hex'), t.content, d.split
        FROM texts t JOIN documents d ON d.text_id = t.id ORDER BY 1""")
    num_texts = Counter(word for _, content, _ in rows for word in {*content.split()})
    return next(
        (sha256, word)
        for sha256, content, split in rows
        for word in content.split()
        if split == "train" and num_texts[word] == 1 and word.isalnum()
    )


def start(farm, url, *, concurrency=16, add=True, **changes):
    settings = farm.folder / "endpoints.toml"
    settings.write_text(SETTINGS.format(url=url, concurrency=concurrency))
    farm.variables["FARM_ENDPOINTS"] = str(settings)
    if add:
        farm.add_documents(NUM_DOCUMENTS)
    farm.start_relay()
    start_worker(farm)
    farm.start_trainer()
    voters = [voter.model_dump() for voter in loop_config().base.voters]
    farm.start_loop(loop_config(voters=[*voters, TEACHER], **changes))


def start_worker(farm):
    queues = ("control", "cpu", *(f"teach.{name}" for name in (*VOTERS, "llm")))
    farm.start_worker("w1", slots=2, queues=queues)


def votes(farm):
    return farm.query("""
        SELECT encode(t.sha256, 'hex'), encode(v.codes, 'hex')
        FROM votes v JOIN voters n ON n.id = v.voter_id AND n.name = 'llm'
        JOIN texts t ON t.id = v.text_id ORDER BY 1""")


def costs(farm):
    rows = farm.query("""
        SELECT kind, sum(spent), sum(useful) FROM costs
        WHERE kind <> 'seconds' AND kind NOT IN ('train_tokens', 'flop')
        GROUP BY kind""")
    return {kind: (spent, useful) for kind, spent, useful in rows}


def assert_whole(farm, expected):
    """Every text has its vote, paid once; nothing is reserved, nothing failed."""
    farm.wait_for_end(240)
    farm.check_effects()
    assert votes(farm) == expected
    assert farm.query("SELECT count(*) FROM failures")[0][0] == 0
    assert farm.query("SELECT count(*) FROM reservations")[0][0] == 0
    stored = farm.query("SELECT sum(input_tokens), sum(output_tokens) FROM answers")
    useful = {kind: value for kind, (_, value) in costs(farm).items()}
    assert [useful["input_tokens"], useful["output_tokens"]] == list(stored[0])
    usd = useful["input_tokens"] * 1e-6 + useful["output_tokens"] * 2e-6
    assert useful["usd"] == pytest.approx(usd)


@pytest.fixture(scope="module")
def expected(make_farm):
    """The votes of a run that nobody disturbs."""
    with running_server() as server, make_farm() as farm:
        server.decide = truth
        start(farm, server.url)
        farm.wait_for_end(240)
        found = votes(farm)
        assert_whole(farm, found)
        # Nothing was paid that was of no use, and nothing asked twice.
        assert all(spent == useful for spent, useful in costs(farm).values())
        assert server.num_asked == farm.query("SELECT count(*) FROM answers")[0][0]
        return found


def test_every_document_of_the_round_has_the_teachers_vote(expected, farm, server):
    start(farm, server.url)
    assert_whole(farm, expected)

    asked = farm.query("SELECT count(*) FROM selections")[0][0]
    assert len(expected) == asked > 15


def test_refusals_errors_garbage_and_half_answers_are_asked_again(
    expected, farm, server
):
    server.decide = Troubled()
    start(farm, server.url)

    assert_whole(farm, expected)


def test_a_text_that_only_brings_garbage_is_a_failure_and_no_vote(
    expected, farm, server
):
    farm.add_documents(NUM_DOCUMENTS)
    sha256, word = word_of_its_own(farm)
    server.decide = lambda number, body: (
        Reply(200, b"{}")
        if word in body["messages"][1]["content"].split()
        else truth(number, body)
    )
    start(farm, server.url, add=False)

    farm.wait_for_end(240)

    assert votes(farm) == [vote for vote in expected if vote[0] != sha256]
    assert farm.query("SELECT stage, count(*) FROM failures GROUP BY 1") == [
        ("teach", 1)
    ]


def test_a_killed_worker_pays_at_most_one_slice_twice(expected, farm, server):
    server.decide = slow_truth
    start(farm, server.url, concurrency=4)
    farm.wait(UNDER_WAY, what="the first answers")
    farm.kill("w1")
    start_worker(farm)

    assert_whole(farm, expected)
    # A slice is one shard of ten documents here; two were in flight, each its own.
    spent, useful = costs(farm)["output_tokens"]
    assert spent >= useful
    num_answers = farm.query("SELECT count(*) FROM answers")[0][0]
    [[shard]] = farm.query("""
        SELECT max(n) FROM (
            SELECT count(*) AS n FROM answers a JOIN documents d USING (text_id)
            JOIN shard_documents s ON s.document_id = d.id GROUP BY s.shard) AS x""")
    assert server.num_asked <= num_answers + 2 * shard


def test_an_endpoint_that_dies_and_comes_back_costs_only_time(expected, farm):
    with running_server() as first:
        first.decide = slow_truth
        start(farm, first.url, concurrency=4)
        farm.wait(UNDER_WAY, what="the first answers")
        port = first.server_port
    # Its port is closed; connections that are still open break.
    first.decide = lambda number, body: Reply(cut_at=0)
    time.sleep(2)

    with running_server(port) as second:
        second.decide = truth
        assert_whole(farm, expected)
    assert isinstance(second, EndpointServer)
    assert second.num_asked > 0


def test_another_loop_reads_the_answers_and_pays_nothing(farm, server):
    start(farm, server.url)
    farm.wait_for_end(240)
    asked, paid = server.num_asked, costs(farm)
    voters = [voter.model_dump() for voter in loop_config().base.voters]
    again = {**TEACHER, "name": "twin"}  # another voter, the same questions

    farm.start_worker("w2", slots=1, queues=("teach.twin",))
    farm.start_loop(loop_config(voters=[*voters, again]), name="second")
    farm.wait_for_end(240)

    assert server.num_asked == asked
    assert costs(farm) == paid


def test_a_budget_is_never_passed_and_what_it_leaves_out_is_said(farm, server):
    # A question costs at most about 1,500 bytes of input and 100 letters: .0016 USD.
    start(farm, server.url)
    farm.wait_for_end(240)
    whole = costs(farm)["usd"][0]

    farm.query("SELECT 1")
    config = loop_config(
        voters=[
            *[voter.model_dump() for voter in loop_config().base.voters],
            {**TEACHER, "params": {**TEACHER["params"], "criterion": "qa"}},
        ]
    )
    stop = config.stop.model_copy(update={"max_usd": whole / 2})
    farm.start_loop(config.model_copy(update={"stop": stop}), name="poor")
    farm.wait_for_end(240)

    spent = farm.query("""
        SELECT sum(c.spent) FROM costs c JOIN jobs j ON j.id = c.job_id
        JOIN rounds r ON r.id = j.round_id JOIN loops l ON l.id = r.loop_id
        WHERE c.kind = 'usd' AND l.name = 'poor'""")[0][0]
    assert (spent or 0) <= whole / 2
    [[decisions]] = farm.query("""
        SELECT r.decisions FROM rounds r JOIN loops l ON l.id = r.loop_id
        WHERE l.name = 'poor'""")
    assert decisions["budget"]["refused_requests"]["llm"] > 0
    left_out = farm.query("""
        SELECT count(*) FROM failures f JOIN rounds r ON r.id = f.round_id
        WHERE f.stage = 'ask' AND f.error LIKE '%budget%'""")
    assert left_out[0][0] > 0
