from dataclasses import replace

import pytest
from sqlalchemy import text

from db.errors import Conflict, NotFound
from db.models import Round
from db.queries import corpora, jobs, loops, texts
from db.queries.jobs import JobSpec
from kompress.decisions import Decisions
from kompress.errors import InvalidDecisions
from kompress.stop_reason import LimitReached

LIMIT = LimitReached("rounds", 1, 1)
FIRST = {"label_source": "silver"}


def create(session, name="new", corpus="small", **values):
    return loops.create_loop(session, name, corpus, {"seed": 0}, FIRST, **values)


def rows(session, statement):
    return [tuple(row) for row in session.execute(text(statement)).all()]


def test_a_loop_begins_with_a_round_and_its_select_job(session, world):
    loop = create(session, priority=3)

    (row,) = loops.rounds_of(session, loop.id)
    assert (row.number, row.stage, row.open_jobs, row.status) == (
        1, "select", 1, "running",
    )  # fmt: skip
    assert row.config == FIRST
    made = rows(session, f"SELECT stage, queue FROM jobs WHERE round_id = {row.id}")
    assert made == [("select", "control")]
    assert loop.priority == 3


def test_a_loop_is_pinned_to_the_corpus_as_it_is(session, world, make_text):
    loop = create(session)

    new = make_text("a later text")
    ids = texts.store_texts(session, [new])
    corpora.append_documents(
        session,
        world.corpus_id,
        [corpora.NewDocument(ids[new.sha256], "note", "later", "g", "train")],
    )

    assert loop.corpus_seq == 3
    assert loops.corpus_of(session, loop).last_seq == 4


def test_a_corpus_that_is_not_there_is_named_with_those_that_are(session, world):
    with pytest.raises(NotFound, match=r"no corpus is named 'big'.*'small'"):
        create(session, corpus="big")


def test_an_empty_corpus_is_refused_with_what_to_do(session):
    corpora.create_corpus(session, "empty")

    with pytest.raises(Conflict, match="has no documents; expected some; add them"):
        create(session, corpus="empty")


def test_a_name_is_given_once(session, world):
    create(session)

    with pytest.raises(Conflict, match="a loop named 'new' exists; choose another"):
        create(session)


def test_a_loop_is_found_by_name_or_id(session, world):
    assert loops.get_loop(session, "small").id == world.loop_id
    assert loops.get_loop(session, world.loop_id).name == "small"
    assert loops.get_loop(session, str(world.loop_id)).name == "small"


def test_a_loop_that_is_not_there_is_named_with_those_that_are(session, world):
    with pytest.raises(NotFound, match=r"no loop is called 'big'.*small"):
        loops.get_loop(session, "big")


def test_loops_are_listed_newest_first(session, world):
    create(session)

    assert [loop.name for loop in loops.list_loops(session)] == ["new", "small"]


def test_a_round_knows_its_place(session, world):
    assert loops.place_of(session, world.round_id) == ("small", 1)


def test_a_paused_loop_has_no_running_rounds(session, world):
    assert loops.running_rounds(session) == [world.round_id]

    loops.set_status(session, world.loop_id, "paused")
    assert loops.running_rounds(session) == []
    loops.set_status(session, world.loop_id, "running")
    assert loops.running_rounds(session) == [world.round_id]


def test_cancelling_ends_rounds_and_open_jobs_and_leaves_the_others(
    session, world, add_job
):
    for shard, status in enumerate(["pending", "running", "failed", "done", "split"]):
        add_job(session, world, "aggregate", shard=shard, status=status)
    other = create(session, name="other")

    loops.set_status(session, world.loop_id, "cancelled")

    found = rows(session, f"""SELECT status FROM jobs
        WHERE round_id = {world.round_id} ORDER BY shard""")  # fmt: skip
    assert found == [("cancelled",)] * 3 + [("done",), ("split",)]
    state = rows(session, f"""SELECT r.status, r.stop_reason, r.open_jobs, l.stop_reason
        FROM rounds r JOIN loops l ON l.id = r.loop_id
        WHERE l.id = {world.loop_id}""")  # fmt: skip
    assert state == [("cancelled", "cancelled", 0, "cancelled")]
    assert len(loops.running_rounds(session)) == 1
    assert rows(
        session,
        f"""SELECT j.status FROM jobs j JOIN rounds r
        ON r.id = j.round_id WHERE r.loop_id = {other.id}""",
    ) == [("pending",)]


def test_a_loop_that_has_ended_changes_no_more(session, world):
    loops.set_status(session, world.loop_id, "cancelled")

    with pytest.raises(Conflict, match="loop 'small' is cancelled; start another"):
        loops.set_status(session, world.loop_id, "running")


def test_a_stopped_loop_reopens_for_its_next_round(session, world):
    loops.finish_round(session, world.round_id, LIMIT)
    loops.stop_loop(session, world.loop_id, LIMIT, None)

    assert loops.reopen_loop(session, world.loop_id) == 2

    loop = loops.get_loop(session, "small")
    session.refresh(loop)
    assert (loop.status, loop.stop_reason, loop.finished_at) == ("running", "", None)


def test_no_round_opens_while_another_is_open(session, world):
    with pytest.raises(Conflict, match="round 1 of loop 'small' is still running"):
        loops.reopen_loop(session, world.loop_id)


@pytest.mark.parametrize(
    ("status", "fix"), [("paused", "resume it first"), ("cancelled", "start another")]
)
def test_a_loop_that_may_not_run_does_not_reopen(session, world, status, fix):
    loops.set_status(session, world.loop_id, status)

    with pytest.raises(Conflict, match=fix):
        loops.reopen_loop(session, world.loop_id)


def test_the_round_before_is_the_newest_one_that_finished(session, world, add_round):
    second = add_round(session, world, 2)
    third = add_round(session, world, 3)
    for round_id in (world.round_id, third):
        loops.finish_round(session, round_id, None)

    assert loops.previous_round(session, world.loop_id, 1) is None
    assert loops.previous_round(session, world.loop_id, 3) == world.round_id
    assert loops.previous_round(session, world.loop_id, 9) == third
    assert loops.read_round(session, second).status == "running"


def test_opening_a_stage_moves_the_round_and_makes_its_jobs(session, world):
    specs = [JobSpec("teach", 2, "salience", shard) for shard in (0, 1)]

    loops.open_stage(session, world.round_id, "teach", 2, specs)

    held = loops.lock_round(session, world.round_id)
    assert (held.stage, held.wave, held.open_jobs) == ("teach", 2, 2)
    assert loops.count_open_jobs(session, held) == 2


@pytest.mark.parametrize(
    ("status", "is_open"),
    [
        ("pending", True), ("running", True), ("failed", False),
        ("done", False), ("split", False), ("cancelled", False),
    ],
)  # fmt: skip
def test_only_what_can_still_run_keeps_its_step_open(
    session, world, add_job, status, is_open
):
    add_job(session, world, "select", status=status)
    add_job(session, world, "teach")  # of another step
    held = loops.read_round(session, world.round_id)

    assert loops.count_open_jobs(session, held) == is_open


def decide(session, world, **changes):
    loops.decide(session, world.round_id, lambda made: replace(made, **changes))


def test_decisions_are_kept_side_by_side(session, world):
    decide(session, world, voters={"a": 1})
    decide(session, world, quarantined=("a",))
    decide(session, world, voters={"b": 2})

    held = loops.read_round(session, world.round_id)
    assert held.decisions == Decisions(voters={"b": 2}, quarantined=("a",))
    assert session.get(Round, world.round_id).decisions == held.decisions


def test_a_decision_sees_what_sql_wrote_before(session, world):
    decide(session, world, voters={"a": 1})
    session.execute(
        text("""UPDATE rounds SET decisions = '{"version": 2, "voters": {"b": 2}}'""")
    )

    decide(session, world, quarantined=("b",))

    held = loops.read_round(session, world.round_id)
    assert held.decisions == Decisions(voters={"b": 2}, quarantined=("b",))


def test_decisions_of_another_release_are_refused(session, world):
    session.execute(text("""UPDATE rounds SET decisions = '{"voters": {"b": 2}}'"""))

    with pytest.raises(InvalidDecisions, match="expected 2"):
        loops.read_round(session, world.round_id)


def test_a_round_that_ends_keeps_its_reason(session, world):
    loops.set_open_jobs(session, world.round_id, 3)
    loops.finish_round(session, world.round_id, LIMIT)

    found = rows(session, """SELECT status, stop_reason, open_jobs,
        finished_at >= created_at FROM rounds""")  # fmt: skip
    assert found == [("finished", "limit", 0, True)]
    assert loops.list_stops(session, world.loop_id) == {1: LIMIT}


def test_jobs_of_the_next_round_are_its_own(session, world):
    row = loops.create_round(session, world.loop_id, 2, FIRST)

    (found,) = jobs.list_jobs(session)
    assert (found["round"], found["stage"], row.number) == (2, "select", 2)
