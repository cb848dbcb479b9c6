import pytest

from db.queries import loops, scores, students
from db.queries.students import NewStudent
from kompress.stop_reason import LimitReached
from kompress.types import Score


@pytest.fixture
def tried(farm, ndjson, sessions):
    """Two loops: v3 was scored and promoted, v4 has no student and was cancelled."""
    farm(
        "corpus",
        "add",
        "ops",
        ndjson({"text": "disk full", "split": "train"}, {"text": "all well"}),
    )
    farm("loop", "start", "ops", "--recipe", "v3", "--name", "first")
    farm("loop", "start", "ops", "--recipe", "v4", "--name", "second")
    farm("loop", "cancel", "second")
    with sessions.begin() as session:
        loop = loops.get_loop(session, "first")
        (row,) = loops.rounds_of(session, loop.id)
        student = add_student(session, row)
        scores.store_scores(
            session,
            row.id,
            "student",
            str(student),
            student,
            [
                Score("agent", "all", "exact_pct", 0.9, 10, rule_set="farm"),
                Score("agent", "all", "exact_pct", 1.0, 10, rule_set="farm",
                      override="headroom-0.42"),
                Score("agent", "all", "keep_rate", 0.8, 50),
                Score("agent", "all", "keep_rate", 0.5, 50, target_keep_rate=0.5),
                Score("agent", "all", "token_savings", 0.25, 80),
                Score("dense", "all", "exact_pct", 0.7, 10, rule_set="farm"),
            ],
        )  # fmt: skip
        loops.stop_loop(session, loop.id, LimitReached("rounds", 1, 1), student)
    return student


def add_student(session, row):
    return students.store_student(
        session,
        NewStudent(
            round_id=row.id,
            recipe="v3",
            seed=0,
            label_source="silver",
            artifact_hash="a",
            checkpoint_id="c",
            manifest_hash="m",
            trained_text_ids=[],
            num_steps=1,
            num_tokens=1,
            recipe_config={"change": "silver labels"},
        ),
    )


def test_the_ladder_has_every_version_dead_ends_included(farm, tried):
    first, second = farm.json("ladder")

    assert (first["loop"], first["version"], first["student"]) == ("first", "v3", tried)
    assert (first["change"], first["label_source"]) == ("silver labels", "silver")
    # Its own threshold without override: not .5 of the fixed rate, not 1 of the other.
    figures = [first[k] for k in ("exact_pct", "keep_rate", "token_savings")]
    assert figures == [0.9, 0.8, 0.25]
    assert (first["seconds"], first["usd"]) == (0, 0)
    assert (first["published_exact_pct"], first["published_keep_rate"]) == (
        0.942,
        0.728,
    )
    assert (first["verdict"], first["lesson"]) == ("promoted", "")
    # v4's chain starts with v3, and got no further.
    assert (second["loop"], second["version"], second["student"]) == (
        "second",
        "v3",
        None,
    )
    assert (second["verdict"], second["exact_pct"]) == ("cancelled", None)


def test_a_verdict_and_a_lesson_are_what_somebody_wrote_last(farm, tried):
    farm("ladder", "note", tried, "--verdict", "kept", "--lesson", "silver is enough")
    said = farm("ladder", "note", "promoted", "--lesson", "silver loses numbers").stdout

    (row,) = farm.json("ladder", "first")
    assert (row["verdict"], row["lesson"]) == ("kept", "silver loses numbers")
    assert "kept: silver loses numbers" in said
    table = farm("ladder", "--suite", "dense", "first").stdout
    assert "0.700" in table
    assert "0.942 @ 0.728" in table
    assert "silver loses numbers" in table
    # The earlier one stays in the audit trail.
    kinds = [e["kind"] for e in farm.json("loop", "show", "first")["events"]]
    assert kinds.count("lesson") == 2


def test_another_suite_without_scores_says_so(farm, tried):
    assert "--suite names another one" in farm("ladder", "--suite", "qa").stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["other"], "no loop is called"),
        (["note", "1"], "give --verdict WORD"),
        (["note", "99", "--verdict", "kept"], "no student has id 99"),
        (["note", "1", "--verdict", "x" * 41], "41 characters"),
    ],
)
def test_a_mistake_is_explained(farm, tried, arguments, expected):
    assert expected in farm.mistake("ladder", *arguments)


def test_an_empty_farm_says_how_to_try_something(farm):
    assert "farm loop start CORPUS --recipe v3" in farm("ladder").stdout
