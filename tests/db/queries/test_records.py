"""Costs, failures and events."""

from sqlalchemy import select

from db.models import Cost, Failure
from db.queries import records


def test_what_an_attempt_spends_adds_up(session, world, add_job):
    job_id = add_job(session, world, "teach")
    records.add_cost(session, job_id, 1, "usd", 0.5, 0.25)
    records.add_cost(session, job_id, 1, "usd", 0.25, 0.25)
    records.add_cost(session, job_id, 2, "usd", 1.0, 0.0)

    costs = session.scalars(select(Cost).order_by(Cost.attempt)).all()
    assert [(row.attempt, row.spent, row.useful) for row in costs] == [
        (1, 0.75, 0.5),
        (2, 1.0, 0.0),
    ]


def test_a_failure_is_stored_once_even_without_a_voter(session, world):
    a, b, _ = world.text_ids
    rows = [
        (a, world.voter_id, "teach", 1, world.round_id, "bad\0byte"),
        (b, None, "aggregate", 1, None, "x" * 5000),
    ]
    records.add_failures(session, rows)
    records.add_failures(session, rows)

    stored = session.scalars(select(Failure).order_by(Failure.text_id)).all()
    assert [row.error for row in stored] == ["bad\\0byte", "x" * 4000]


def test_the_first_error_of_a_text_is_found_in_later_rounds(session, world, add_round):
    a, b, _ = world.text_ids
    later = add_round(session, world, 2)
    for attempt, error in ((1, "first"), (2, "second")):
        row = (a, world.voter_id, "teach", attempt, world.round_id, error)
        records.add_failures(session, [row])

    def failed(before):
        return records.failed_texts(
            session, world.voter_id, "teach", [a, b], before_round=before
        )

    assert failed(later) == failed(None) == {a: "first"}
    assert failed(world.round_id) == {}


def test_events_are_read_on_from_where_the_reader_left_off(session, world):
    for kind in ("paused", "resumed", "cancelled"):
        records.add_event(
            session, "ann", kind, loop_id=world.loop_id, detail={"why": kind}
        )
    records.add_event(session, "relay", "started")

    first = records.list_events(session, world.loop_id, limit=2)
    rest = records.list_events(session, world.loop_id, after_id=first[-1].id)

    assert [event.kind for event in first] == ["paused", "resumed"]
    assert [event.detail for event in rest] == [{"why": "cancelled"}]
