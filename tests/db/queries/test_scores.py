"""Scores are stored once by their whole key, nulls included."""

from dataclasses import replace

import pytest

from db.errors import NotFound
from db.queries import scores
from kompress.types import Score

SCORE = Score("agent", "all", "exact_pct", 0.5, 10, rule_set="farm")


def test_a_score_is_stored_once_and_comes_back_whole(session, world):
    digest = world.digests[0].hex()
    rows = [
        SCORE,
        replace(SCORE, value=None, target_keep_rate=0.5, ci_low=0.25, ci_high=0.75),
        replace(SCORE, text_sha256=digest, override="headroom-0.42", step=3),
    ]
    for value in (0.5, 0.75):
        again = [replace(rows[0], value=value), *rows[1:]]
        scores.store_scores(session, world.round_id, "rule", "beta", None, again)

    found = scores.load_scores(session, world.round_id, per_text=True)

    # Own threshold before a target, no override before one.
    assert [row.score for row in found] == rows
    assert {(row.subject_kind, row.subject, row.student_id) for row in found} == {
        ("rule", "beta", None)
    }


def test_scores_are_filtered(session, world):
    for subject in ("beta", "majority"):
        scores.store_scores(
            session,
            world.round_id,
            "rule",
            subject,
            None,
            [
                SCORE,
                replace(SCORE, metric="f1"),
                replace(SCORE, suite="dense"),
                replace(SCORE, text_sha256=world.digests[0].hex()),
            ],
        )

    def count(*args, **filters):
        return len(scores.load_scores(session, world.round_id, *args, **filters))

    assert count() == 6
    assert count("rule", "beta") == 3
    assert count("student") == 0
    assert count(suite="dense") == 2
    assert count("rule", "beta", metric="f1") == 1
    assert count("rule", "beta", per_text=True) == 4


def test_a_score_about_a_text_that_is_not_stored_is_refused(session, world):
    lost = replace(SCORE, text_sha256="00" * 32)

    with pytest.raises(NotFound, match="1 scores are about texts"):
        scores.store_scores(session, world.round_id, "rule", "beta", None, [lost])


def test_scores_of_no_round_are_stored_once_and_apart_from_a_round_s(session, world):
    for _ in range(2):
        scores.store_scores(session, None, "student", "7", None, [SCORE])
    scores.store_scores(session, world.round_id, "student", "7", None, [SCORE])

    (found,) = scores.load_scores(session, None)

    assert (found.round_id, found.subject, found.score) == (None, "7", SCORE)
    assert len(scores.load_scores(session, world.round_id)) == 1


@pytest.mark.parametrize("of_round", [True, False])
def test_scores_are_replaced_suite_by_suite_of_one_subject_alone(
    session, world, of_round
):
    round_id = world.round_id if of_round else None
    other_suite = replace(SCORE, suite="dense")
    lost = replace(SCORE, metric="f1")
    for subject in ("7", "8"):
        scores.store_scores(
            session, round_id, "student", subject, None, [SCORE, lost, other_suite]
        )
    newer = replace(SCORE, value=0.75)

    scores.replace_scores(session, round_id, "student", "7", None, [newer])

    def values(subject):
        rows = scores.load_scores(session, round_id, "student", subject)
        return {(r.score.suite, r.score.metric): r.score.value for r in rows}

    assert values("7") == {("agent", "exact_pct"): 0.75, ("dense", "exact_pct"): 0.5}
    assert values("8") == {
        ("agent", "exact_pct"): 0.5,
        ("agent", "f1"): 0.5,
        ("dense", "exact_pct"): 0.5,
    }
