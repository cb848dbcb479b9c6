"""A voter is its name and its fingerprint."""

import pytest
from sqlalchemy import update

from db.errors import NotFound
from db.models import Job, Loop, Round
from db.queries import loops, parked, voters
from kompress.decisions import Decisions
from kompress.types import Fingerprint


def register(session, name="rules", **parts):
    return voters.register_voter(session, Fingerprint(name, parts), "rules", {"k": 1})


def test_equal_fingerprints_are_one_voter_whatever_the_order_of_their_parts(session):
    first = register(session, model="m", words=1)

    assert register(session, words=1, model="m") == first
    assert register(session, words=2, model="m") != first
    assert register(session, "other", words=1, model="m") != first


def test_a_voter_comes_back_with_what_decided_its_votes(session):
    voter = voters.get_voter(session, register(session, model="m"))

    assert (voter.name, voter.kind, voter.params) == ("rules", "rules", {"k": 1})
    assert voter.parts == {"model": "m"}
    assert [row.id for row in voters.list_voters(session)] == [voter.id]


def test_a_quarantine_holds_for_later_fingerprints_of_the_name(session):
    register(session, model="m")
    voters.quarantine(session, "rules", on=True)

    register(session, model="n")

    assert voters.quarantined_names(session) == {"rules"}
    assert all(row.quarantined_at for row in voters.list_voters(session))
    voters.quarantine(session, "rules", on=False)
    assert voters.quarantined_names(session) == set()


def test_an_unknown_voter_is_refused_with_what_there_is(session):
    register(session)

    with pytest.raises(NotFound, match=r"'rulse'; there are \['rules'\]"):
        voters.quarantine(session, "rulse", on=True)
    with pytest.raises(NotFound, match="no voter has id 0"):
        voters.get_voter(session, 0)


def test_a_round_that_ended_for_a_voter_goes_on_without_it(session, world, add_job):
    register(session)
    job_id = add_job(session, world, "teach", wave=1, voter="rules", status="failed")
    decisions = Decisions(voters={"rules": 1})
    session.execute(update(Round).values(stage="teach", wave=1, decisions=decisions))
    held = loops.lock_round(session, world.round_id)
    assert parked.end_failed_round(session, held)

    voters.quarantine(session, "rules", on=True)

    held = loops.lock_round(session, world.round_id)
    assert (held.status, held.decisions.quarantined) == ("running", ("rules",))
    session.expire_all()
    assert session.get_one(Loop, world.loop_id).status == "running"
    assert session.get_one(Job, job_id).status == "cancelled"
