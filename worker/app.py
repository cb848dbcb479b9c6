"""The Celery app: one task a stage, each a thin line to its three plain functions.

Early ack, JSON, no results, no Celery retries or time limits: a message is a hint, the
claim in Postgres is the truth (docs/adr/0001). Anything that a message could do is to
name a job that is pending anyway; one that names another stage than the job's does
nothing.
"""

import importlib
import logging
import os
import threading
from typing import Any

from celery import Celery
from celery.signals import celeryd_after_setup
from kombu.exceptions import OperationalError as BrokerDown
from sqlalchemy.exc import DBAPIError

from db.kinds import ASKING, STAGES, TEACH, queue_of, task_name
from db.queries.dispatch import Hint
from worker.broker import tolerate_broken_messages
from worker.relay import top_up
from worker.runtime import Runtime, make_runtime
from worker.settings import WorkerSettings
from worker.stage import AnyStage, run_stage

LOGGER = logging.getLogger(__name__)
# The exit code of a process whose engine died.
EXIT_ENGINE = 71
# A broken engine may hang when it is closed.
CLOSE_S = 5.0
_MAIN_PID = os.getpid()


def make_app(settings: WorkerSettings) -> Celery:
    """Configure Celery as docs/adr/0001 decides."""
    tolerate_broken_messages()
    app = Celery("farm", broker=settings.broker_url.get_secret_value())
    app.conf.update(
        task_acks_late=False,
        task_ignore_result=True,
        result_backend=None,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            # Without a timeout a publish can hang for ever.
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
        broker_pool_limit=4,
        task_publish_retry=False,
        worker_soft_shutdown_timeout=settings.soft_shutdown_s,
        worker_send_task_events=True,
        task_send_sent_event=True,
        worker_hijack_root_logger=False,
        worker_proc_alive_timeout=30,
        task_default_queue="control",
        task_create_missing_queues=True,
    )
    return app


SETTINGS = WorkerSettings()
app = make_app(SETTINGS)
# The runtime of this process; a forked child has another pid and makes its own.
_runtimes: dict[int, Runtime] = {}


class CelerySender:
    """Sends hints through Celery, and counts what waits in Redis."""

    def send(self, hint: Hint) -> None:
        """Send one hint; Flower shows its title instead of the bare id.

        Raises:
            ConnectionError: the broker does not answer.
        """
        try:
            app.send_task(
                task_name(hint.stage),
                args=[hint.job_id],
                argsrepr=hint.title,
                kwargsrepr="",
                queue=hint.queue,
                retry=False,
            )
        except BrokerDown as error:
            raise ConnectionError(f"the broker does not answer: {error}") from error

    def depth(self, queue: str) -> int:
        """Count the messages that wait in a queue.

        Raises:
            ConnectionError: the broker does not answer.
        """
        try:
            with app.pool.acquire(block=True) as connection:
                return int(connection.default_channel.client.llen(queue))
        except BrokerDown as error:
            raise ConnectionError(f"the broker does not answer: {error}") from error


def runtime() -> Runtime:
    """Give this process' runtime, made at first use after the fork."""
    pid = os.getpid()
    if pid not in _runtimes:
        _runtimes.clear()
        _runtimes[pid] = make_runtime(SETTINGS, is_forked=pid != _MAIN_PID)
    return _runtimes[pid]


def load_stage(name: str) -> AnyStage[Any]:
    """Import a stage when it first runs: only stages that own a model load torch."""
    module = importlib.import_module(f"worker.stages.{name}")
    stage: AnyStage[Any] = module.STAGE
    return stage


def run_hint(stage: str, job_id: int) -> None:
    """Follow a hint: run the job if it is there to claim, then send the next hints."""
    here = runtime()
    try:
        run_stage(
            load_stage(stage),
            here,
            job_id,
            name=stage,
            send_hints=lambda: _top_up(here),
        )
    except (DBAPIError, OSError) as error:
        # The relay sends the hint again, or takes the lease back.
        LOGGER.warning("job %d waits for the relay: %s", job_id, error)
    if here.is_broken:
        _exit_broken(here)


def _exit_broken(here: Runtime) -> None:
    """End the process, not only the task; the supervisor starts the next one."""
    LOGGER.error("the engine of worker %s died; this process exits", here.worker)
    engine = here.give_up_engine()
    if engine is not None:
        closing = threading.Thread(target=engine.close, daemon=True)
        closing.start()
        closing.join(CLOSE_S)
    logging.shutdown()
    os._exit(EXIT_ENGINE)


def _top_up(here: Runtime) -> None:
    """Send the next hints now; whatever stands in the way, the relay sends them too."""
    try:
        top_up(here.sessions, CelerySender())
    except (DBAPIError, OSError) as error:
        LOGGER.warning("hints wait for the relay: %s", error)


@celeryd_after_setup.connect
def _warm(sender: str, instance: Any, **kwargs: Any) -> None:
    """Import stages before the first job; forked children share what is imported."""
    del sender, kwargs
    queues = set(instance.app.amqp.queues)
    for stage in STAGES:
        asks = any(q.startswith(TEACH) for q in queues)
        if asks if stage in ASKING else queue_of(stage) in queues:
            load_stage(stage)


def _register(stage: str) -> None:
    """Make the task of a stage, named as people read it in Flower."""

    @app.task(name=task_name(stage))
    def run(job_id: int) -> None:
        run_hint(stage, job_id)


for _stage in STAGES:
    _register(_stage)
