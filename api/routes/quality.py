# ruff: noqa: FAST003  # a dependency reads {id}
"""Label quality over HTTP: the rows of two views, stop reasons in words."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.decided import with_stop_reasons
from api.deps import CurrentLoop, DbSession
from api.schemas import QualityOut
from db.queries import loops, views

router = APIRouter(tags=["quality"])


@router.get("/v1/loops/{id}/quality")
def get_quality(
    loop: CurrentLoop,
    session: DbSession,
    number: Annotated[int | None, Query(alias="round", ge=1)] = None,
) -> QualityOut:
    """Show how good a loop's labels are: `round_summary` and `label_quality`.

    `?round=N` shows one round alone; a whole loop may have thousands of rows.
    """
    return QualityOut(
        loop=loop.name,
        round_summary=with_stop_reasons(
            views.round_summary(session, loop.name, number),
            loops.list_stops(session, loop.id),
        ),
        label_quality=views.label_quality(session, loop.name, number),
    )
