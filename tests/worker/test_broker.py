"""A real Celery worker, and everything in its queue that is no message."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import redis

from api.embedded import socket_path, start_redis, stop_redis

pytestmark = pytest.mark.slow  # starts Redis and Celery


def message(body, headers=None, **properties):
    """Give a message as kombu writes it."""
    return json.dumps(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": "farm.fit", "id": "a"}
            if headers is None
            else headers,
            "properties": {
                "delivery_info": {"exchange": "", "routing_key": "cpu"},
                "delivery_tag": os.urandom(8).hex(),
                "body_encoding": "base64",
                **properties,
            },
        }
    )


def encoded(value):
    return base64.b64encode(json.dumps(value).encode()).decode()


HINT = message(encoded([[7], {}, {}]))
GARBAGE = {
    "no JSON": "not json",
    "no UTF-8": b"\xff\xfe\x00",
    "half a message": HINT[: len(HINT) // 2],
    "nothing": "",
    "a number": "5",
    "null": "null",
    "a list": "[1, 2]",
    "a string": '"x"',
    "an empty object": "{}",
    "no delivery tag": json.dumps({"body": "x", "properties": {}}),
    "properties that are none": json.dumps({"body": "x", "properties": 3}),
    "no route": message(encoded([[7], {}, {}]), delivery_info={}),
    "a delivery tag that is none": message(encoded([[7], {}, {}]), delivery_tag=[1]),
    "an unknown encoding": message("x", body_encoding="rot13"),
    "a body that is no base64": message("!"),
    "a body that is no JSON": message(base64.b64encode(b"{").decode()),
    "a body that is a number": message(encoded(5)),
    "too many arguments": message(encoded([[7, 8, 9], {}, {}])),
    "no headers": message(encoded([[7], {}, {}]), headers={}),
    "headers that are a list": message(encoded([[7], {}, {}]), headers=[1]),
    "no id": message(encoded([[7], {}, {}]), headers={"task": "farm.fit"}),
    "a task that is none": message(encoded([]), headers={"task": [], "id": "a"}),
    "an unknown task": message(encoded([]), headers={"task": "x", "id": "a"}),
    "an end that is no time": message(
        encoded([[7], {}, {}]),
        headers={"task": "farm.fit", "id": "a", "expires": "soon"},
    ),
    "a start that is no time": message(
        encoded([[7], {}, {}]), headers={"task": "farm.fit", "id": "a", "eta": "soon"}
    ),
    "deep": "[" * 100_000,
    "pickle": message("gASVBQAAAAAAAABLBy4=").replace("/json", "/x-python-serialize"),
}
SHOUTS = ["not json", "5", "{}", "null", '{"properties": 1}']


@pytest.fixture(scope="module")
def folder():
    # Short: Redis' socket lies in it.
    folder = Path(tempfile.mkdtemp(prefix="farm-"))
    yield folder
    stop_redis(folder / "redis")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def broker(folder):
    start_redis(folder / "redis")
    with redis.Redis(unix_socket_path=str(socket_path(folder / "redis"))) as client:
        yield client


@pytest.fixture(scope="module")
def log(folder, broker):
    """The log of a worker of the queue `cpu`, which lives while the tests run."""
    path = folder / "worker.log"
    environment = {
        **os.environ,
        "FARM_DATABASE_URL": "postgresql://nobody@/none?host=/nowhere",
        "FARM_BROKER_URL": f"redis+socket://{socket_path(folder / 'redis')}",
        "FARM_ARTIFACTS": folder.as_uri(),
    }
    command = [
        sys.executable, "-m", "celery", "--app", "worker.app", "--quiet", "worker",
        "--queues", "cpu", "--pool", "threads", "--concurrency", "2",
        "--without-gossip", "--without-mingle", "--loglevel", "INFO",
    ]  # fmt: skip
    with path.open("wb") as file:
        process = subprocess.Popen(
            command, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            wait_for(lambda: "ready" in path.read_text(), process)
            yield lambda: (path.read_text(), process)
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(20)


def wait_for(condition, process):
    deadline = time.monotonic() + 20
    while not condition():
        assert process.poll() is None, "the worker ended"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def num_followed(log):
    """Count hints that were followed: this farm has no database."""
    return len(re.findall("job 7 waits for the relay", log()[0]))


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_message_neither_ends_a_worker_nor_holds_a_slot(broker, log, name):
    before = num_followed(log)

    # Three, on two slots: what holds one would hold both.
    for _ in range(3):
        broker.lpush("cpu", GARBAGE[name])
    broker.lpush("cpu", message(encoded([[7], {}, {}])))

    wait_for(lambda: num_followed(log) > before, log()[1])
    assert broker.llen("cpu") == 0


def test_what_is_no_message_on_the_channel_of_commands_does_no_harm(broker, log):
    before = num_followed(log)

    for shout in SHOUTS:
        broker.publish("/0.celery.pidbox", shout)
    broker.lpush("cpu", message(encoded([[7], {}, {}])))

    wait_for(lambda: num_followed(log) > before, log()[1])
