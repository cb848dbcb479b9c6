"""Figures for Prometheus, read from Postgres at each scrape; they need the key too."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest
from sqlalchemy.orm import Session

from api.deps import DbSession
from db.queries import views, workers
from db.queries.dispatch import ALIVE_S

router = APIRouter(tags=["health"])

JOB_LABELS = ("queue", "kind", "status")


@router.get("/metrics", response_class=PlainTextResponse)
def get_metrics(session: DbSession) -> Response:
    """Show queue depth, jobs by status and live workers in Prometheus' text format."""
    # A registry of its own each time: nothing is left of queues that are gone.
    registry = CollectorRegistry()
    _collect_jobs(session, registry)
    _collect_workers(session, registry)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _collect_jobs(session: Session, registry: CollectorRegistry) -> None:
    depth = Gauge("farm_queue_depth", "Jobs of a queue.", JOB_LABELS, registry=registry)
    oldest = Gauge(
        "farm_queue_oldest_seconds",
        "Age of the oldest of those jobs.",
        JOB_LABELS,
        registry=registry,
    )
    jobs = Gauge("farm_jobs", "Jobs by status.", ("status",), registry=registry)
    for status in ("pending", "running", "failed"):
        jobs.labels(status).set(0)
    for row in views.queue_depth(session):
        labels = [row[name] for name in JOB_LABELS]
        depth.labels(*labels).set(row["jobs"])
        oldest.labels(*labels).set(row["oldest_seconds"] or 0)
        jobs.labels(row["status"]).inc(row["jobs"])


def _collect_workers(session: Session, registry: CollectorRegistry) -> None:
    count = Gauge("farm_workers", "Workers by state.", ("state",), registry=registry)
    slots = Gauge(
        "farm_worker_slots", "Slots of live workers.", ("queue",), registry=registry
    )
    for state in ("live", "draining", "silent"):
        count.labels(state).set(0)
    for row in workers.list_workers(session):
        if row["silent_seconds"] > ALIVE_S:
            count.labels("silent").inc()
        elif row["draining"] or row["stopping"]:
            count.labels("draining").inc()
        else:
            count.labels("live").inc()
            for queue in row["queues"]:
                slots.labels(queue).inc(row["slots"])
