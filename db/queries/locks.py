"""Locks that one transaction at a time holds, in the whole farm.

A row of `locks` and no advisory lock: everybody who may log in could take one of those,
and `farm_reader` would stop the farm with it.
"""

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.errors import NotFound

# Who chooses the next hints.
RELAY = "relay"
# Who reserves paid requests.
RESERVATIONS = "reservations"

_TAKE = text("SELECT name FROM locks WHERE name = :name FOR NO KEY UPDATE")


def take_lock(session: Session, name: str) -> None:
    """Wait for a lock and hold it until the transaction ends.

    Args:
        session: the session.
        name: `RELAY` or `RESERVATIONS`.

    Raises:
        NotFound: no migration made a lock of that name.
    """
    if session.execute(_TAKE, {"name": name}).one_or_none() is None:
        raise NotFound(
            f"found no row {name!r} in `locks`; expected that a migration made it; "
            "migrate the database"
        )
