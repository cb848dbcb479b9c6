"""Whatever is killed, frozen, lost or repeated: the results are the same, bit for bit.

The short run hurts one loop in several ways; `make chaos` tries each fault alone, and
random ones under several seeds.
"""

import contextlib
import random
import shutil
import signal
import threading
import time

import pytest
from celery import Celery
from kombu.exceptions import OperationalError as BrokerDown

from api.embedded import start_redis, stop_redis
from db.embedded import start_postgres, stop_postgres
from db.kinds import task_name
from tests.end_to_end.farm import loop_config

pytestmark = pytest.mark.slow
NUM_DOCUMENTS = 40
# A first slice of votes is in, and work is left.
UNDER_WAY = "SELECT count(*) > 15 FROM votes"


def config():
    return loop_config(rounds=2, latency_s=0.02, failure_rate=0.05, folds=2)


@pytest.fixture(scope="module")
def undisturbed(make_farm):
    """The results of one worker whom nobody disturbs."""
    with make_farm() as farm:
        farm.add_documents(NUM_DOCUMENTS)
        farm.start_relay()
        farm.start_worker("w1", slots=1)
        farm.start_trainer()
        farm.start_loop(config())
        farm.wait_for_end()
        farm.check_effects()
        return farm.results()


def start(farm, num_workers=1):
    farm.add_documents(NUM_DOCUMENTS)
    farm.start_relay()
    for number in range(1, num_workers + 1):
        farm.start_worker(f"w{number}", slots=1)
    farm.start_trainer()
    farm.start_loop(config())


def assert_same(farm, undisturbed):
    farm.wait_for_end(240)
    farm.check_effects()
    for name, rows in farm.results().items():
        assert rows == undisturbed[name], name


def kill_worker(farm):
    """A worker with its children dies at once; another one comes."""
    farm.kill("w1")
    farm.start_worker("w1", slots=1)


def freeze_and_wake(farm):
    """A worker stands still until its lease is over, then goes on as a zombie."""
    for process in farm.children("w1"):
        process.send_signal(signal.SIGSTOP)
    farm.start_worker("w9", slots=1)
    time.sleep(8)
    for process in farm.children("w1"):
        process.send_signal(signal.SIGCONT)


def freeze_and_kill(farm):
    """A worker stands still, loses its lease, and dies."""
    for process in farm.children("w1"):
        process.send_signal(signal.SIGSTOP)
    time.sleep(6)
    kill_worker(farm)


def kill_relay(farm):
    farm.kill("relay")
    time.sleep(1)
    farm.start_relay()


def wipe_redis(farm):
    """Redis stops, its files are gone, an empty one comes."""
    stop_redis(farm.folder / "redis")
    for path in (farm.folder / "redis").glob("appendonlydir"):
        shutil.rmtree(path)
    for path in (farm.folder / "redis").glob("*.aof"):
        path.unlink()
    time.sleep(1)
    start_redis(farm.folder / "redis")


def stop_worker_kindly(farm):
    """SIGTERM hands the running jobs back."""
    farm.kill("w1", signal.SIGTERM)
    farm.start_worker("w1", slots=1)


class Echo(threading.Thread):
    """Sends every hint again, and again, in another order."""

    def __init__(self, farm):
        super().__init__(daemon=True)
        self.farm = farm
        self.ended = threading.Event()

    def run(self):
        app = Celery(broker=self.farm.broker_url)
        rng = random.Random(0)
        while not self.ended.wait(0.5):
            jobs = self.farm.query(
                "SELECT id, stage, queue FROM jobs WHERE sent_at IS NOT NULL "
                "ORDER BY id DESC LIMIT 20"
            )
            rng.shuffle(jobs)
            # Redis may be away: that is another fault of the same test.
            with contextlib.suppress(BrokerDown):
                for job_id, stage, queue in jobs:
                    app.send_task(
                        task_name(stage), args=[job_id], queue=queue, retry=False
                    )


@pytest.mark.parametrize("num_workers", [pytest.param(2, marks=pytest.mark.chaos), 4])
def test_more_workers_give_the_results_of_one(farm, undisturbed, num_workers):
    start(farm, num_workers)

    assert_same(farm, undisturbed)


def test_results_survive_kills_a_zombie_a_wiped_redis_and_repeated_hints(
    farm, undisturbed
):
    start(farm)
    echo = Echo(farm)
    echo.start()
    farm.wait(UNDER_WAY)

    kill_worker(farm)
    kill_relay(farm)
    wipe_redis(farm)
    freeze_and_wake(farm)
    echo.ended.set()

    assert_same(farm, undisturbed)


@pytest.mark.chaos
@pytest.mark.parametrize(
    "fault",
    [
        kill_worker,
        freeze_and_wake,
        freeze_and_kill,
        kill_relay,
        wipe_redis,
        stop_worker_kindly,
    ],
)
def test_one_fault_changes_nothing(farm, undisturbed, fault):
    start(farm)
    farm.wait(UNDER_WAY)

    fault(farm)

    assert_same(farm, undisturbed)


@pytest.mark.chaos
def test_a_restarted_postgres_changes_nothing(farm, undisturbed, postgres_folder):
    start(farm)
    farm.wait(UNDER_WAY)

    stop_postgres(postgres_folder)
    time.sleep(2)
    start_postgres(postgres_folder)

    assert_same(farm, undisturbed)


@pytest.mark.chaos
def test_a_training_killed_half_way_ends_with_the_same_student(farm, undisturbed):
    start(farm)
    farm.wait(
        "SELECT count(*) > 0 FROM jobs WHERE stage = 'train' AND status = 'running'",
        timeout_s=120,
    )

    farm.kill("trainer")
    farm.start_trainer()

    assert_same(farm, undisturbed)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(5))
def test_random_faults_change_nothing(farm, undisturbed, seed):
    rng = random.Random(seed)
    start(farm)
    farm.wait(UNDER_WAY)

    for _ in range(4):
        rng.choice([kill_worker, kill_relay, wipe_redis, freeze_and_kill])(farm)
        time.sleep(rng.uniform(0, 3))

    assert_same(farm, undisturbed)
