"""Voters: a name and a fingerprint of everything that decides its votes."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db.errors import NotFound
from db.kinds import ASKING, STAGES
from db.models import Voter
from db.queries import loops, parked
from kompress.types import Fingerprint

# Until then a round has only collected votes.
BEFORE_LABELS = STAGES[: STAGES.index("count")]

# A voter in quarantine stays there under every later fingerprint of its name.
_INSERT = text("""
    INSERT INTO voters (name, fingerprint, kind, params, parts, snapshot_hash,
                        quarantined_at)
    VALUES (:name, :fingerprint, :kind, :params, :parts, :snapshot_hash,
            (SELECT max(quarantined_at) FROM voters WHERE name = :name))
    ON CONFLICT (name, fingerprint) DO NOTHING
""")
_ID = text("SELECT id FROM voters WHERE name = :name AND fingerprint = :fingerprint")
# Those that run, and those that ended for a job of the voter and were not gone on from.
_ROUNDS = text("""
    SELECT r.id FROM rounds r
    WHERE r.decisions -> 'voters' ? :name AND (
        r.status = 'running' OR r.status = 'failed'
        AND EXISTS (SELECT FROM jobs j WHERE j.round_id = r.id AND j.voter = :name
                    AND j.status = 'failed')
        AND NOT EXISTS (SELECT FROM rounds n WHERE n.loop_id = r.loop_id
                        AND n.number > r.number))
    ORDER BY r.id
""")
# What it was to be asked; running attempts notice by their heartbeat.
_WITHDRAW = text("""
    UPDATE jobs SET status = 'cancelled', finished_at = clock_timestamp(),
                    lease_until = NULL,
                    last_error = 'its voter is in quarantine'
    WHERE voter = :name AND round_id = ANY(:round_ids) AND stage = ANY(:stages)
      AND status IN ('pending', 'running', 'failed')
""")
_UNLINK = text("""
    DELETE FROM round_votes rv USING votes v, voters n
    WHERE rv.round_id = :round_id AND v.id = rv.vote_id AND n.id = v.voter_id
      AND n.name = :name
""")
_QUARANTINE = text("""
    UPDATE voters
    SET quarantined_at = CASE WHEN :on THEN coalesce(quarantined_at, now()) END
    WHERE name = :name
    RETURNING id
""")


def fingerprint_hash(parts: Any) -> str:
    """Hash a fingerprint's parts: SHA-256, hex, of their canonical JSON."""
    canonical = json.dumps(
        dict(parts), sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def register_voter(
    session: Session,
    fingerprint: Fingerprint,
    kind: str,
    params: dict[str, Any],
    snapshot_hash: str = "",
) -> int:
    """Store a voter unless its name and fingerprint are known, and give its id.

    Args:
        session: the session.
        fingerprint: the name, and every input of the votes.
        kind: the name of its plug-in, for example `salience`.
        params: the plug-in's parameters, for people.
        snapshot_hash: content hash of the fitted snapshot, '' if none.
    """
    digest = fingerprint_hash(fingerprint.parts)
    name = {"name": fingerprint.name, "fingerprint": digest}
    session.execute(
        _INSERT,
        {
            **name,
            "kind": kind,
            "params": Jsonb(params),
            "parts": Jsonb(dict(fingerprint.parts)),
            "snapshot_hash": snapshot_hash,
        },
    )
    return int(session.scalars(_ID, name).one())


def get_voter(session: Session, voter_id: int) -> Voter:
    """Find a voter by id.

    Raises:
        NotFound: no voter has that id.
    """
    voter = session.get(Voter, voter_id)
    if voter is None:
        raise NotFound(f"no voter has id {voter_id}; see the list of voters")
    return voter


def list_voters(session: Session) -> list[Voter]:
    """List every voter, by name and then by age."""
    return list(session.scalars(select(Voter).order_by(Voter.name, Voter.id)))


def newest_settings(
    session: Session, names: Sequence[str]
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Give kind and parameters of each name's newest voter; unknown names are left out.

    What a worker asks when it starts: does one of its queues need a model?
    """
    query = select(Voter.name, Voter.kind, Voter.params)
    rows = session.execute(query.where(Voter.name.in_(names)).order_by(Voter.id))
    return {row.name: (row.kind, row.params) for row in rows}


def quarantined_names(session: Session) -> set[str]:
    """Name the voters that no new round may use."""
    found = select(Voter.name).where(Voter.quarantined_at.is_not(None))
    return set(session.scalars(found))


def quarantine(session: Session, name: str, *, on: bool) -> None:
    """Take a voter out of every loop, or let it back into new rounds.

    Running rounds go on without it: what it was to be asked is cancelled, and while a
    round has not aggregated yet, it uses none of its votes. These stay stored. So does
    a round that ended for a job of this voter.

    Raises:
        NotFound: no voter has that name; the message lists what exists.
    """
    if not session.scalars(_QUARANTINE, {"name": name, "on": on}).all():
        known = list(
            session.scalars(select(Voter.name).distinct().order_by(Voter.name))
        )
        raise NotFound(
            f"no voter is named {name!r}; there are {known}; a voter is stored when a "
            "round first uses it"
        )
    if on:
        _withdraw(session, name)


def _withdraw(session: Session, name: str) -> None:
    """Let running rounds go on without a voter; the relay opens their next step."""
    round_ids = list(session.scalars(_ROUNDS, {"name": name}))
    values = {"name": name, "round_ids": round_ids, "stages": list(ASKING)}
    # Jobs before rounds, as whoever ends a job locks them.
    session.execute(_WITHDRAW, values)
    for round_id in round_ids:
        held = loops.lock_round(session, round_id)
        loops.decide(
            session,
            round_id,
            lambda made: replace(
                made, quarantined=tuple(sorted({*made.quarantined, name}))
            ),
        )
        if held.stage in BEFORE_LABELS:
            session.execute(_UNLINK, {"round_id": round_id, "name": name})
        parked.revive_round(session, held)
    # What a step that opened meanwhile has planned; now none can.
    session.execute(_WITHDRAW, values)
