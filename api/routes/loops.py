# ruff: noqa: FAST003  # a dependency reads {id}
"""Loops: start, look, add a round, pause, resume, cancel."""

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from api import queue
from api.decided import describe_stop
from api.deps import Actor, CurrentLoop, CurrentServices, DbSession
from api.schemas import LoopIn, LoopOut, RoundIn, RoundOut
from db.models import Loop, Round
from db.queries import loops
from kompress.config import LoopConfig, parse_config

router = APIRouter(prefix="/v1/loops", tags=["loops"])


@router.post("", status_code=201)
def start_loop(
    body: LoopIn,
    session: DbSession,
    actor: Actor,
    services: CurrentServices,
    response: Response,
) -> LoopOut:
    """Start a loop on a corpus as it is now; its first round is enqueued."""
    loop = queue.start_loop(
        session,
        body.name,
        body.corpus,
        parse_config(LoopConfig, body.config),
        priority=body.priority,
        actor=actor,
        endpoints=services.settings.endpoints,
    )
    response.headers["Location"] = f"/v1/loops/{loop.id}"
    return _to_out(session, loop)


@router.get("/{id}")
def get_loop(loop: CurrentLoop, session: DbSession) -> LoopOut:
    """Show a loop, by id or name, with its rounds."""
    return _to_out(session, loop)


@router.post("/{id}/rounds", status_code=201)
def enqueue_round(
    loop: CurrentLoop, session: DbSession, actor: Actor, body: RoundIn | None = None
) -> RoundOut:
    """Add a round to a loop that has stopped, or runs without an open round."""
    changes = body.changes if body else {}
    row = queue.enqueue_round(session, loop, actor, changes)
    session.refresh(row)
    return _round_out(row)


@router.post("/{id}/pause")
def pause_loop(loop: CurrentLoop, session: DbSession, actor: Actor) -> LoopOut:
    """Pause a loop: running jobs hand themselves back, nothing is lost."""
    queue.pause_loop(session, loop, actor)
    return _to_out(session, loop)


@router.post("/{id}/resume")
def resume_loop(loop: CurrentLoop, session: DbSession, actor: Actor) -> LoopOut:
    """Let a paused loop go on where it was."""
    queue.resume_loop(session, loop, actor)
    return _to_out(session, loop)


@router.post("/{id}/cancel")
def cancel_loop(loop: CurrentLoop, session: DbSession, actor: Actor) -> LoopOut:
    """End a loop and its open jobs; what is stored stays."""
    queue.cancel_loop(session, loop, actor)
    return _to_out(session, loop)


def _round_out(row: Round) -> RoundOut:
    found = RoundOut.model_validate(row)
    reason = describe_stop(row.stop_reason, row.stop)
    return found.model_copy(update={"stop_reason": reason})


def _to_out(session: Session, loop: Loop) -> LoopOut:
    session.refresh(loop)
    rounds = loops.rounds_of(session, loop.id)
    return LoopOut(
        id=loop.id,
        name=loop.name,
        corpus=loops.corpus_of(session, loop).name,
        corpus_seq=loop.corpus_seq,
        status=loop.status,
        stop_reason=describe_stop(loop.stop_reason, loop.stop),
        priority=loop.priority,
        promoted_student_id=loop.promoted_student_id,
        config=loop.config,
        created_at=loop.created_at,
        finished_at=loop.finished_at,
        rounds=[_round_out(row) for row in rounds],
    )
