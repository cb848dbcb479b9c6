from prometheus_client.parser import text_string_to_metric_families

from api import queue
from api.intake import ingest
from db.queries import workers
from kompress.config import LoopConfig, parse_config
from kompress.types import Document


def test_metrics_show_queues_jobs_and_live_workers(client, sessions, config):
    ingest(sessions, "c", [Document("one two", "log", "a", split="train")])
    with sessions.begin() as session:
        queue.start_loop(session, "x", "c", parse_config(LoopConfig, config))
        workers.register(session, "w", queues=["cpu", "control"], slots=2, version="1")

    answer = client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    values = {
        (sample.name, *(sample.labels[key] for key in sorted(sample.labels))): (
            sample.value
        )
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    # Labels in the order of their names: kind, queue, status.
    assert values["farm_queue_depth", "select", "control", "pending"] == 1
    assert values["farm_queue_oldest_seconds", "select", "control", "pending"] >= 0
    assert values["farm_jobs", "pending"] == 1
    assert values["farm_jobs", "failed"] == 0
    assert values["farm_workers", "live"] == 1
    assert values["farm_workers", "silent"] == 0
    assert values["farm_worker_slots", "cpu"] == 2
