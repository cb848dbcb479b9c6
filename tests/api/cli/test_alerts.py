from dataclasses import replace

import pytest

from api.cli.status import name_step
from api.decided import describe_pilot
from db.queries import loops, records
from kompress.decisions import Fallback, Pilot, PilotFinding

PILOT = Pilot(
    documents=20,
    truth="gold",
    rule="majority",
    overall=PilotFinding("all", 400, 0.5, "t1", 0.75, -0.3, -0.2, collapses=True),
    strata=(),
)
SENTENCE = describe_pilot(PILOT)
HEALTHY = replace(PILOT, overall=replace(PILOT.overall, high=0.1, collapses=False))
FALLBACK = {"hex": Fallback("t1", 0.5, 0.93, -0.5, -0.31, words=40)}


@pytest.fixture
def loop(farm, ndjson):
    farm("corpus", "add", "ops", ndjson({"text": "disk full", "split": "train"}))
    farm("loop", "start", "ops", "--name", "mine")
    return "mine"


def decide(sessions, *, collapses):
    with sessions.begin() as session:
        loop = loops.get_loop(session, "mine")
        (row,) = loops.rounds_of(session, loop.id)
        loops.decide(
            session,
            row.id,
            lambda made: replace(
                made,
                pilot=PILOT if collapses else HEALTHY,
                fallback=FALLBACK if collapses else {},
            ),
        )
        if collapses:
            records.add_event(
                session,
                "farm",
                "pilot_warned",
                loop_id=loop.id,
                round_id=row.id,
                detail={"round": 1},
            )


def test_a_rule_that_would_collapse_is_shown_wherever_one_looks(farm, loop, sessions):
    decide(sessions, collapses=True)

    shown = farm("loop", "show", loop)
    details = farm.json("loop", "show", loop)
    status = " ".join(farm("status").stdout.split())

    assert f"round 1: {SENTENCE}" in " ".join(shown.stderr.split())
    assert "pilot_warned" in shown.stdout
    assert details["warnings"] == [f"round 1: {SENTENCE}"]
    assert f"warning: round 1: {SENTENCE}" in status
    (event,) = [e for e in details["events"] if e["kind"] == "pilot_warned"]
    assert event["detail"] == {"round": 1, "sentence": SENTENCE}
    assert farm.json("status")["loops"][0]["warnings"] == [f"round 1: {SENTENCE}"]


def test_a_stratum_that_one_voter_decides_is_told(farm, loop, sessions):
    decide(sessions, collapses=True)

    said = farm("loop", "show", loop).stdout

    assert (
        "round 1: t1 alone decides hex words, balanced accuracy 0.93 on calibration "
        "gold where the rule has 0.50 (difference -0.50 to -0.31)"
    ) in said
    assert len(farm.json("loop", "show", loop)["fallbacks"]) == 1


def test_a_pilot_that_found_nothing_says_nothing(farm, loop, sessions):
    decide(sessions, collapses=False)

    shown = farm("loop", "show", loop)

    assert SENTENCE not in shown.output
    assert farm.json("loop", "show", loop)["fallbacks"] == []
    assert farm.json("status")["loops"][0]["warnings"] == []
    assert SENTENCE not in farm("status").output


@pytest.mark.parametrize(
    ("wave", "name"), [(0, "teach t (pilot)"), (1, "teach t"), (2, "teach t")]
)
def test_the_pilot_s_teaching_is_told_from_the_round_s(wave, name):
    assert name_step({"stage": "teach", "voter": "t", "wave": wave}) == name
