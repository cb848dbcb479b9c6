"""Voters: a name and a fingerprint of everything that decides its votes."""

import hashlib
import json
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db.errors import NotFound
from db.models import Voter
from kompress.types import Fingerprint

# A voter in quarantine stays there under every later fingerprint of its name.
_INSERT = text("""
    INSERT INTO voters (name, fingerprint, kind, params, parts, snapshot_hash,
                        quarantined_at)
    VALUES (:name, :fingerprint, :kind, :params, :parts, :snapshot_hash,
            (SELECT max(quarantined_at) FROM voters WHERE name = :name))
    ON CONFLICT (name, fingerprint) DO NOTHING
""")
_ID = text("SELECT id FROM voters WHERE name = :name AND fingerprint = :fingerprint")
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
        raise NotFound(f"no voter has id {voter_id}; see `farm voter list`")
    return voter


def list_voters(session: Session) -> list[Voter]:
    """List every voter, by name and then by age."""
    return list(session.scalars(select(Voter).order_by(Voter.name, Voter.id)))


def quarantined_names(session: Session) -> set[str]:
    """Name the voters that no new round may use."""
    found = select(Voter.name).where(Voter.quarantined_at.is_not(None))
    return set(session.scalars(found))


def quarantine(session: Session, name: str, *, on: bool) -> None:
    """Take a voter out of new rounds, or let it back in; its stored votes stay.

    Raises:
        NotFound: no voter has that name; the message lists what exists.
    """
    if session.scalars(_QUARANTINE, {"name": name, "on": on}).all():
        return
    known = list(session.scalars(select(Voter.name).distinct().order_by(Voter.name)))
    raise NotFound(
        f"no voter is named {name!r}; there are {known}; a voter is stored when a "
        "round first uses it"
    )
