"""Jobs: the farm's units of work, listed."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from api.deps import BeforeId, DbSession, PageSize
from api.schemas import JobOut, JobsOut
from db.queries import jobs, loops

router = APIRouter(tags=["jobs"])

Status = Literal["pending", "running", "done", "failed", "cancelled", "split"]


@router.get("/v1/jobs")
def list_jobs(
    session: DbSession,
    loop: Annotated[str, Query(description="Only this loop's, by name or id.")] = "",
    status: Status | None = None,
    before_id: BeforeId = None,
    limit: PageSize = 100,
) -> JobsOut:
    """List jobs, newest first, with what they have done and their last error."""
    name = loops.get_loop(session, loop).name if loop else None
    rows = jobs.list_jobs(
        session, loop=name, status=status, before_id=before_id, limit=limit
    )
    return JobsOut(
        jobs=[JobOut.model_validate(row) for row in rows],
        next_before_id=rows[-1]["id"] if len(rows) == limit else None,
    )
