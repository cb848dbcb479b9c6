"""What Postgres itself knows of the farm's processes: who is connected, who talks."""

from sqlalchemy import text
from sqlalchemy.orm import Session

# By address too: each container asks about its own process. Over a Unix socket, and
# so on one host, the address is NULL for all.
_LAST = text("""
    SELECT CAST(min(extract(epoch FROM clock_timestamp() - state_change)) AS float)
    FROM pg_stat_activity
    WHERE application_name = :name
      AND datname = current_database()
      AND client_addr IS NOT DISTINCT FROM inet_client_addr()
""")


def seconds_since_last(session: Session, application_name: str) -> float | None:
    """Tell how long ago a process of this host last spoke to this database.

    Args:
        session: of the same host; connections from other hosts do not count.
        application_name: as given to `make_engine`.

    Returns:
        Seconds since its last statement began or ended; None if it is not connected.
    """
    seconds: float | None = session.execute(_LAST, {"name": application_name}).scalar()
    return seconds
