# ruff: noqa: FAST003  # a dependency reads {id}
"""The audit trail of a loop, page by page."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.decided import event_detail
from api.deps import CurrentLoop, DbSession
from api.schemas import EventOut, EventsOut
from db.queries import loops, records

router = APIRouter(tags=["loops"])


@router.get("/v1/loops/{id}/events")
def list_events(
    loop: CurrentLoop,
    session: DbSession,
    after_id: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> EventsOut:
    """List what was done to a loop and by whom, oldest first, after an event's id."""
    rows = records.list_events(session, loop.id, after_id=after_id, limit=limit)
    rounds = {row.id: row for row in loops.rounds_of(session, loop.id)}
    events = [
        EventOut.model_validate(row).model_copy(
            update={"detail": event_detail(row, rounds)}
        )
        for row in rows
    ]
    return EventsOut(
        loop=loop.name,
        events=events,
        next_after_id=events[-1].id if events else after_id,
    )
