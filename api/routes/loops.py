# ruff: noqa: FAST003  # a dependency reads {id}
"""Loops: start, list, look, add a round, pause, resume, cancel."""

from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from api import loop_configs, queue
from api.decided import describe_stop
from api.deps import (
    Actor,
    BeforeId,
    CurrentLoop,
    CurrentServices,
    DbSession,
    PageSize,
)
from api.errors import InvalidRequest
from api.schemas import LoopIn, LoopListedOut, LoopOut, LoopsOut, RoundIn, RoundOut
from db.models import Loop, Round
from db.queries import loops
from kompress.config import LoopConfig, parse_config
from kompress.recipes.load import shipped_recipes

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
    config, notes = _config_of(session, body)
    stem = f"{body.corpus}-{body.recipe}" if body.recipe else body.corpus
    loop = queue.start_loop(
        session,
        body.name or queue.free_name(session, stem),
        body.corpus,
        config,
        priority=body.priority,
        actor=actor,
        endpoints=services.settings.endpoints,
    )
    response.headers["Location"] = f"/v1/loops/{loop.id}"
    return _to_out(session, loop).model_copy(update={"notes": notes})


@router.get("")
def list_loops(
    session: DbSession, before_id: BeforeId = None, limit: PageSize = 100
) -> LoopsOut:
    """List loops, newest first."""
    rows = loops.list_loops(session, before_id=before_id, limit=limit)
    return LoopsOut(
        loops=[LoopListedOut.model_validate(_heads(session, row)) for row in rows],
        next_before_id=rows[-1].id if len(rows) == limit else None,
    )


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


def _config_of(session: Session, body: LoopIn) -> tuple[LoopConfig, list[str]]:
    """Find what a loop computes, and how a recipe was fitted.

    Raises:
        InvalidRequest: what was given does not go together.
        InvalidConfig, NotFound: as `loop_configs.fit_recipe`.
    """
    if not body.recipe:
        if body.origins or body.silver_voter:
            raise InvalidRequest("origins and silver_voter fit a recipe; add `recipe`")
        if body.config is None:
            return loop_configs.load_loop_config(None), []
        return parse_config(LoopConfig, body.config), []
    if body.config is not None:
        raise InvalidRequest("config and recipe were both given; expected one of them")
    # A path, as the command takes it, would be one of this machine.
    if body.recipe not in shipped_recipes():
        raise InvalidRequest(
            f"no recipe is called {body.recipe[:120]!r}; expected one of "
            f"{', '.join(shipped_recipes())}"
        )
    renamed = [f"{ours}={theirs}" for ours, theirs in body.origins.items()]
    return loop_configs.fit_recipe(
        session, body.recipe, body.corpus, renamed, body.silver_voter
    )


def _heads(session: Session, loop: Loop) -> dict[str, Any]:
    return {
        "id": loop.id,
        "name": loop.name,
        "corpus": loops.corpus_of(session, loop).name,
        "corpus_seq": loop.corpus_seq,
        "status": loop.status,
        "stop_reason": describe_stop(loop.stop_reason, loop.stop),
        "priority": loop.priority,
        "promoted_student_id": loop.promoted_student_id,
        "created_at": loop.created_at,
        "finished_at": loop.finished_at,
    }


def _to_out(session: Session, loop: Loop) -> LoopOut:
    session.refresh(loop)
    rounds = [_round_out(row) for row in loops.rounds_of(session, loop.id)]
    return LoopOut(**_heads(session, loop), config=loop.config, rounds=rounds)
