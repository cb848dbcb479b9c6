"""Endpoints: how many requests each worker may have open, of a limit they all share.

The limit grows by answers and halves at refusals. Each worker holds slots under a
lease; what others hold is never given twice, so that a newcomer waits until the others
report, about a second, and take less.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

# Workers report about once a second: what they saw before the limit was halved is told
# within two, and is the same burst.
BURST_S = 2.0
DECREASE = 0.5


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a worker may do until its next report.

    Attributes:
        slots: requests it may have open, 0 or more.
        paused_s: seconds in which nobody sends, 0 for none.
        concurrency: requests that all workers together may have open, at least 1.
        reduced_at: when the limit was last halved; None for never.
    """

    slots: int
    paused_s: float
    concurrency: float
    reduced_at: dt.datetime | None


_ENSURE = text("""
    INSERT INTO endpoints (name, concurrency) VALUES (:name, :max_concurrency)
    ON CONFLICT (name) DO NOTHING
""")
# The lock makes one after the other of all reports on one endpoint.
_LOCK = text("""
    SELECT concurrency,
           coalesce(clock_timestamp() - reduced_at < make_interval(secs => :burst_s),
                    false) AS in_burst
    FROM endpoints WHERE name = :name FOR UPDATE
""")
_LAPSE = text("""
    DELETE FROM endpoint_workers
    WHERE endpoint = :name AND lease_until <= clock_timestamp()
""")
_HELD = text("SELECT worker, slots FROM endpoint_workers WHERE endpoint = :name")
_LIMIT = text("""
    UPDATE endpoints
    SET concurrency = :concurrency, updated_at = clock_timestamp(),
        reduced_at = CASE WHEN :is_reduced THEN clock_timestamp() ELSE reduced_at END,
        paused_until = CASE WHEN :pause_s > 0 THEN
            greatest(paused_until, clock_timestamp() + make_interval(secs => :pause_s))
            ELSE paused_until END
    WHERE name = :name
    RETURNING reduced_at, greatest(0, coalesce(CAST(
        extract(epoch FROM paused_until - clock_timestamp()) AS float), 0)) AS paused_s
""")
_SHRINK = text("""
    UPDATE endpoint_workers SET slots = slots * :limit / :num_held
    WHERE endpoint = :name
""")
_HOLD = text("""
    INSERT INTO endpoint_workers (endpoint, worker, slots, lease_until)
    VALUES (:name, :worker, :slots,
            clock_timestamp() + make_interval(secs => :lease_s))
    ON CONFLICT (endpoint, worker) DO UPDATE
    SET slots = excluded.slots, lease_until = excluded.lease_until
""")
_LEAVE = text("""
    DELETE FROM endpoint_workers WHERE endpoint = :name AND worker = :worker
""")


def report(
    session: Session,
    name: str,
    worker: str,
    *,
    wanted: int,
    num_ok: int,
    num_refused: int,
    pause_s: float,
    max_concurrency: int,
    lease_s: float,
) -> Allowance:
    """Tell what a worker saw of an endpoint, and get what it may do next.

    A first report of an endpoint starts at its `max_concurrency`. The slots of all live
    workers together never exceed the limit; one that is lowered lowers them at once,
    and their holders learn it when they report.

    Args:
        session: in a transaction of its own, committed right after.
        name: the endpoint.
        worker: who asks for slots.
        wanted: requests it has open or waiting; 0 gives its slots back.
        num_ok: requests answered since its last report while all its slots were used.
        num_refused: requests refused, late or cut since its last report.
        pause_s: seconds in which nobody is to send (`Retry-After`), 0 for none.
        max_concurrency: the operator's limit, at least 1.
        lease_s: seconds after which the slots of a silent worker lapse.

    Source: additive increase, multiplicative decrease, Chiu and Jain 1989; once for
        each burst as in TCP's fast recovery, RFC 6582. Slots by lease: ours.
    """
    key = {"name": name}
    session.execute(_ENSURE, key | {"max_concurrency": max_concurrency})
    concurrency, in_burst = session.execute(_LOCK, key | {"burst_s": BURST_S}).one()
    is_reduced = num_refused > 0 and not in_burst
    concurrency = adapted(
        concurrency, num_ok=num_ok, num_refused=num_refused, in_burst=in_burst
    )
    concurrency = min(concurrency, float(max_concurrency))
    held = _lower_to(session, name, int(concurrency))
    held.pop(worker, None)
    slots = share(int(concurrency), wanted=wanted, others=held)
    mine = key | {"worker": worker, "slots": slots, "lease_s": lease_s}
    session.execute(_HOLD if wanted > 0 else _LEAVE, mine)
    values = {"concurrency": concurrency, "is_reduced": is_reduced, "pause_s": pause_s}
    row = session.execute(_LIMIT, key | values).one()
    return Allowance(slots, row.paused_s, concurrency, row.reduced_at)


def adapted(
    concurrency: float, *, num_ok: int, num_refused: int, in_burst: bool
) -> float:
    """Adapt a limit to what was seen: halved once a burst, else about +1 a window.

    Args:
        concurrency: the limit, at least 1.
        num_ok: answers; `concurrency` of them raise it by about one.
        num_refused: refusals; in a burst they change nothing, nor do answers then.
        in_burst: the limit was halved just now.

    Returns:
        The new limit, at least 1.
    """
    if num_refused > 0:
        return concurrency if in_burst else max(1.0, concurrency * DECREASE)
    return concurrency + num_ok / concurrency


def share(limit: int, *, wanted: int, others: Mapping[str, int]) -> int:
    """Give a worker its slots: all that others leave, but for what they may grow by.

    Another that holds less than its fair share may want more: as much as it holds, at
    least one, is left to it, so that it doubles with each report up to the fair share,
    and one that wants little holds back little.

    Args:
        limit: slots of all workers together, at least 1.
        wanted: what the worker can use.
        others: what each other live worker holds, together at most `limit`.

    Returns:
        Slots from 0 to `wanted`; with the others' never more than `limit`.

    Source: ours.
    """
    fair = max(1, limit // (len(others) + 1))
    free = limit - sum(others.values())
    room = sum(
        min(max(1, slots), fair - slots) for slots in others.values() if slots < fair
    )
    return max(0, min(wanted, free, max(fair, free - room)))


def _lower_to(session: Session, name: str, limit: int) -> dict[str, int]:
    """Take lapsed slots back, lower the others to a limit, and give them by worker."""
    key = {"name": name}
    session.execute(_LAPSE, key)
    num_held = sum(row.slots for row in session.execute(_HELD, key))
    if num_held > limit:
        session.execute(_SHRINK, key | {"limit": limit, "num_held": num_held})
    return {row.worker: row.slots for row in session.execute(_HELD, key)}
