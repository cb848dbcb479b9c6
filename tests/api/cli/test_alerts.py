import pytest

from api.cli.status import name_step
from db.queries import loops, records

SENTENCE = "on 20 pilot documents majority does worse than its best voter"
FALLBACK = {
    "hex": {"voter": "t1", "aggregate": 0.5, "best": 0.93, "low": -0.5, "high": -0.31}
}


@pytest.fixture
def loop(farm, ndjson):
    farm("corpus", "add", "ops", ndjson({"text": "disk full"}))
    farm("loop", "start", "ops", "--name", "mine")
    return "mine"


def decide(sessions, *, collapses):
    with sessions.begin() as session:
        loop = loops.get_loop(session, "mine")
        (row,) = loops.rounds_of(session, loop.id)
        found = {"collapses": collapses, "sentence": SENTENCE}
        loops.record_decision(session, row.id, "pilot", found)
        loops.record_decision(
            session, row.id, "fallback", FALLBACK if collapses else {}
        )
        if collapses:
            records.add_event(
                session,
                "farm",
                "pilot_warned",
                loop_id=loop.id,
                round_id=row.id,
                detail={"sentence": SENTENCE},
            )


def test_a_rule_that_would_collapse_is_shown_wherever_one_looks(farm, loop, sessions):
    decide(sessions, collapses=True)

    shown = farm("loop", "show", loop)
    details = farm.json("loop", "show", loop)
    status = " ".join(farm("status").stdout.split())

    assert f"round 1: {SENTENCE}" in shown.stderr
    assert "pilot_warned" in shown.stdout
    assert details["warnings"] == [f"round 1: {SENTENCE}"]
    assert f"warning: round 1: {SENTENCE}" in status
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
