import importlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import redis
from sqlalchemy.exc import OperationalError

from api.embedded import start_redis, stop_redis
from db.kinds import STAGES, task_name
from db.queries import workers
from db.queries.dispatch import Hint
from kompress.teachers.protocol import ModelSpec
from tests.worker.fake_transport import FakeTransport, open_fake
from tests.worker.worlds import PLAIN, effects, job_row, make_runtime, make_world

HINT = Hint(7, "aggregate", "cpu", "loop=a round=1 stage=aggregate wave=0 shard=3")

pytestmark = pytest.mark.slow  # starts Redis, imports Celery


@pytest.fixture(scope="module")
def folder():
    # Short: Redis' socket lies in it.
    folder = Path(tempfile.mkdtemp(prefix="farm-"))
    yield folder
    stop_redis(folder / "redis")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def module(folder):
    """The module as a worker imports it: its settings are read at that moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FARM_DATABASE_URL", "postgresql://none")
        patch.setenv("FARM_BROKER_URL", start_redis(folder / "redis"))
        patch.setenv("FARM_ARTIFACTS", folder.as_uri())
        patch.delitem(sys.modules, "worker.app", raising=False)
        yield importlib.import_module("worker.app")


@pytest.fixture
def queue(module):
    """The broker's own list, empty."""
    url = module.SETTINGS.broker_url.get_secret_value()
    path = url.removeprefix("redis+socket://").split("?")[0]
    with redis.Redis(unix_socket_path=path) as client:
        client.flushall()
        yield client


def test_a_message_is_acknowledged_early_and_nothing_is_pickled(module):
    conf = module.app.conf

    assert conf.task_acks_late is False
    assert conf.task_ignore_result is True
    assert conf.result_backend is None
    assert (conf.task_serializer, conf.accept_content) == ("json", ["json"])
    assert (conf.worker_prefetch_multiplier, conf.worker_disable_prefetch) == (1, True)
    assert conf.broker_connection_max_retries is None
    assert conf.broker_transport_options["socket_timeout"] == 10
    assert conf.worker_send_task_events
    assert conf.task_send_sent_event


def test_every_stage_has_a_task_and_can_be_run(module):
    for stage in STAGES:
        assert task_name(stage) in module.app.tasks
        found = module.load_stage(stage)
        assert callable(found.load)
        assert callable(found.run)
        assert callable(found.store)


def test_a_hint_carries_an_id_and_a_title_for_people(module, queue):
    sender = module.CelerySender()

    sender.send(HINT)

    assert sender.depth("cpu") == 1
    message = json.loads(queue.lindex("cpu", 0))
    assert message["headers"]["task"] == "farm.aggregate"
    assert message["headers"]["argsrepr"] == HINT.title
    assert message["headers"]["eta"] is None
    assert sender.depth("train") == 0


def test_a_broker_that_is_away_is_a_connection_error(module, folder):
    sender = module.CelerySender()
    stop_redis(folder / "redis")
    try:
        with pytest.raises(ConnectionError, match="the broker does not answer"):
            sender.send(HINT)
        with pytest.raises(ConnectionError, match="the broker does not answer"):
            sender.depth("cpu")
    finally:
        start_redis(folder / "redis")


def test_a_runtime_is_made_once_a_process(module, monkeypatch):
    monkeypatch.setattr("os.getpid", lambda: 1)
    first = module.runtime()

    assert module.runtime() is first
    monkeypatch.setattr("os.getpid", lambda: 2)
    # A forked child must not use its parent's connections.
    assert module.runtime() is not first
    assert first.worker.endswith("-1")


def test_a_job_that_ends_makes_room_for_the_next_hint(
    module, queue, sessions, tmp_path, monkeypatch
):
    world = make_world(sessions, num_shards=5)
    here = make_runtime(sessions, tmp_path)
    monkeypatch.setattr(module, "runtime", lambda: here)
    monkeypatch.setattr(module, "load_stage", lambda _: PLAIN)
    with sessions.begin() as session:
        workers.register(session, "w1", queues=["cpu"], slots=1, version="1")

    module.app.tasks["farm.aggregate"](world.job_ids[0])

    assert effects(sessions) == {world.job_ids[0]: 1}
    assert module.CelerySender().depth("cpu") == 2


def test_a_message_of_another_stage_leaves_the_job_alone(
    module, queue, sessions, tmp_path, monkeypatch, caplog
):
    world = make_world(sessions)  # its job is of `aggregate`
    here = make_runtime(sessions, tmp_path)
    monkeypatch.setattr(module, "runtime", lambda: here)
    monkeypatch.setattr(module, "load_stage", lambda _: PLAIN)
    columns = "status, attempt, num_errors, sent_at, run_after, worker"
    before = job_row(sessions, world.job_ids[0], columns)

    module.app.tasks["farm.fit"](world.job_ids[0])

    assert job_row(sessions, world.job_ids[0], columns) == before
    assert effects(sessions) == {}
    assert "is of the stage 'aggregate', and was to be run as 'fit'" in caplog.text
    module.app.tasks["farm.aggregate"](world.job_ids[0])
    assert effects(sessions) == {world.job_ids[0]: 1}


def test_an_outage_after_a_job_is_left_to_the_relay(
    module, monkeypatch, caplog, runtime
):
    def refuse(*_, **__):
        raise OperationalError("connect", {}, Exception("refused"))

    monkeypatch.setattr(module, "runtime", lambda: runtime)
    monkeypatch.setattr(module, "run_stage", refuse)

    module.run_hint("aggregate", 7)

    assert "job 7 waits for the relay" in caplog.text


def test_a_process_whose_engine_died_closes_it_and_exits(module, monkeypatch, runtime):
    engine, codes = FakeTransport(), []
    runtime.open_transport = open_fake(engine)
    runtime.transport(ModelSpec("vllm", "m"))
    monkeypatch.setattr(module, "runtime", lambda: runtime)
    monkeypatch.setattr(module.os, "_exit", codes.append)

    def die(*_, **__):
        runtime.is_broken = True

    monkeypatch.setattr(module, "run_stage", die)

    module.run_hint("aggregate", 7)

    assert (codes, engine.is_closed) == ([module.EXIT_ENGINE], True)


def test_a_trainer_imports_torch_before_its_first_job(module, monkeypatch):
    loaded = []
    monkeypatch.setattr(module, "load_stage", loaded.append)

    class Instance:
        app = module.app

    module.app.amqp.queues.select({"cpu"})
    module._warm("w1", Instance)
    assert {"aggregate", "judge"} <= set(loaded)
    assert not {"train", "self_label", "evaluate", "residuals"} & set(loaded)
    loaded.clear()
    module.app.amqp.queues.select({"train"})
    module._warm("w1", Instance)
    assert {"self_label", "train", "evaluate", "residuals"} <= set(loaded)
