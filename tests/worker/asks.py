"""Attempts that ask a model by a rule, for the tests of `worker.asking`."""

from db.queries import jobs
from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Request
from tests.worker.worlds import change, make_runtime, make_world, query
from worker.asking import make_ask
from worker.heartbeat import Heartbeat

LOCAL = ModelSpec("vllm", "m")
HOSTED = ModelSpec("openai", "m", endpoint="hosted")
# 0.1 USD an input token: a request costs 1 USD (10 tokens), 2 USD at most (20).
ENDPOINTS = """
[hosted]
url = "http://127.0.0.1:9/v1"
models = ["m"]
external = true
[hosted.prices.m]
input = 100000.0
output = 0.0
"""
COSTS = """
    SELECT j.id, c.attempt, c.kind, c.spent, c.useful
    FROM costs c JOIN jobs j ON j.id = c.job_id WHERE c.kind <> 'seconds'
    ORDER BY 1, 2, 3
"""


def make_paid_runtime(sessions, folder, worker="w1"):
    """A runtime whose endpoint takes money."""
    path = folder / "endpoints.toml"
    path.write_text(ENDPOINTS)
    return make_runtime(sessions, folder, worker, endpoints=path)


def world_of(sessions, num_texts=4, **changes):
    given = {"stage": "teach", "wave": 1, "voters": ("t",)} | changes
    return make_world(sessions, documents_per_shard=num_texts, **given)


def ask_for(number):
    return Request("rules", f"text {number}", 3, choices=("K", "D"), logprobs=True)


def claim(runtime, job_id, worker="w1"):
    with runtime.sessions.begin() as session:
        return jobs.claim(session, job_id, worker=worker, lease_s=30.0)


def ask_all(runtime, job, transport, text_ids, *, spec=LOCAL, requests=None):
    """One attempt asks one question a text, unless told what to ask."""
    asked = requests or [(n, ask_for(text_ids[n])) for n in range(len(text_ids))]
    with Heartbeat(runtime, job) as heartbeat:
        ask = make_ask(runtime, heartbeat, transport, spec, text_ids)
        return dict(ask(asked))


def set_budget(sessions, loop_id, usd):
    change(
        sessions,
        """UPDATE loops SET config = jsonb_set(config, '{stop,max_usd}',
           to_jsonb(CAST(:usd AS float8))) WHERE id = :id""",
        usd=usd,
        id=loop_id,
    )


def reservations(sessions):
    return query(sessions, "SELECT count(*) FROM reservations")[0][0]


def ask_world(runtime, world, transport, **changes):
    """The first job of a world asks about all its texts."""
    job = claim(runtime, world.job_ids[0])
    return ask_all(runtime, job, transport, world.text_ids, **changes)


def claim_each(runtimes, job_ids):
    """Each runtime claims one job, in order."""
    pairs = zip(runtimes, job_ids, strict=True)
    return [claim(there, job_id, there.worker) for there, job_id in pairs]


def money(sessions):
    """USD that are spent or held at this moment."""
    return query(
        sessions,
        """SELECT (SELECT coalesce(sum(spent), 0) FROM costs WHERE kind = 'usd')
                  + (SELECT coalesce(sum(usd), 0) FROM reservations)""",
    )[0][0]
