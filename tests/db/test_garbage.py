"""What is no longer needed goes; what a label or a loop needs stays."""

import hashlib
import os
import time

import pytest
from sqlalchemy import text

from db.garbage import Collected, collect, is_due
from db.queries import records
from tests.worker.worlds import make_world, query

OLD = "now() - interval '100 days'"
DAY = 86_400


@pytest.fixture
def world(sessions):
    return make_world(sessions, num_shards=2, documents_per_shard=2)


def run(sessions, *statements):
    with sessions.begin() as session:
        for statement in statements:
            session.execute(text(statement))


def count(sessions, table):
    ((number,),) = query(sessions, f"SELECT count(*) FROM {table}")
    return number


def put(folder, content, *, days_old, name=None):
    """Write a file as the store lays it out; give its path."""
    digest = name or hashlib.sha256(content).hexdigest()
    path = folder / digest[:2] / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = time.time() - days_old * DAY
    os.utime(path, (then, then))
    return path


def test_records_of_ended_loops_go_after_the_retention(sessions, world, tmp_path):
    with sessions.begin() as session:
        records.add_cost(session, world.job_ids[0], 1, "seconds", 3.0, 3.0)
        records.add_event(session, "ann", "looked", loop_id=world.loop_id)
    run(
        sessions,
        f"UPDATE events SET at = {OLD}",
        "INSERT INTO workers (name, queues, slots, version, heartbeat_at) VALUES "
        f"('gone', '{{cpu}}', 1, '1', {OLD}), ('here', '{{cpu}}', 1, '1', now())",
        f"INSERT INTO answers (text_id, request_fingerprint, body, input_tokens, "
        f"output_tokens, created_at) SELECT id, 'f', '', 1, 1, {OLD} FROM texts "
        "ORDER BY id LIMIT 1",
    )
    jobs, votes = count(sessions, "jobs"), count(sessions, "votes")
    artifacts = tmp_path.as_uri()

    running = collect(sessions, artifacts, days=90)
    run(sessions, f"UPDATE loops SET status = 'stopped', finished_at = {OLD}")
    early = collect(sessions, artifacts, days=200)
    planned = collect(sessions, artifacts, days=90, dry_run=True)
    assert count(sessions, "jobs") == jobs
    done = collect(sessions, artifacts, days=90)

    # The loop ran: nothing went but what belongs to no loop.
    assert running == Collected(workers=1)
    assert early == Collected()
    assert planned == done == Collected(jobs=jobs, events=1, answers=1)
    assert count(sessions, "jobs") == count(sessions, "costs") == 0
    assert count(sessions, "workers") == 1
    assert count(sessions, "votes") == votes
    assert count(sessions, "loops") == count(sessions, "rounds") == 1


def test_files_that_no_row_names_go_once_they_are_old(sessions, world, tmp_path):
    named = put(tmp_path, b"named", days_old=9)
    unnamed = put(tmp_path, b"unnamed", days_old=9)
    young = put(tmp_path, b"young", days_old=0)
    part = put(tmp_path, b"half", days_old=9, name="ab12.77.part")
    others = tmp_path / "notes.txt"
    others.write_bytes(b"somebody's")
    os.utime(others, (0, 0))
    open_job, lost_job = (
        tmp_path / "scratch" / name / "state"
        for name in (f"train-{world.job_ids[0]}", "train-999999")
    )
    for path in (open_job, lost_job):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"12")
        os.utime(path, (0, 0))
    run(
        sessions,
        "INSERT INTO voters (name, fingerprint, kind, params, parts, snapshot_hash) "
        f"VALUES ('fitted', 'f', 'salience', '{{}}', '{{}}', '{named.name}')",
    )

    planned = collect(sessions, tmp_path.as_uri(), days=90, dry_run=True)
    assert unnamed.exists()
    done = collect(sessions, tmp_path.as_uri(), days=90)

    # "unnamed" has 7 bytes, "half" 4, the lost job's state 2.
    assert planned == done == Collected(files=3, bytes=13)
    assert [p.exists() for p in (named, young, others, open_job)] == [True] * 4
    assert [p.exists() for p in (unnamed, part, lost_job)] == [False] * 3
    assert not lost_job.parent.exists()


def test_it_is_due_once_a_day(sessions, world):
    with sessions.begin() as session:
        assert is_due(session)
        records.add_event(session, "relay", "garbage_collected")
        assert not is_due(session)
        session.execute(text("UPDATE events SET at = now() - interval '25 hours'"))
        assert is_due(session)
