import hashlib
import json

import numpy as np
import pytest

from api.intake import ingest
from db.models import Job
from db.queries import (
    corpora,
    loops,
    quality,
    records,
    scores,
    selections,
    students,
    texts,
    voters,
    votes,
)
from db.queries.students import NewStudent
from kompress.config import LoopConfig, parse_config
from kompress.corpora.generators import generate
from kompress.types import Fingerprint, RuleStatRow, Vote

# Kinds of voters that are fitted to nothing; `paid` cannot be asked again.
VOTERS = [
    {"name": "rules", "kind": "syntax"},
    {"name": "dice", "kind": "simulated"},
    {"name": "paid", "kind": "salience"},
]
TINY = {
    "num_layers": 1, "hidden_size": 16, "num_heads": 1, "intermediate_size": 16,
    "span_channels": 4, "vocab_size": 300, "max_tokens": 128,
}  # fmt: skip
CONFIG = {
    "base": {
        "voters": VOTERS,
        "evaluation": {"num_bootstraps": 20},
        "recipe": {"student": TINY, "epochs": 1, "num_threads": 1},
        "aggregation": {"compare": ["majority"]},
    }
}


@pytest.fixture
def add_student(home, sessions, student_folder):
    """Store the tiny student as another one of a round, or of none."""
    from kompress.students import checkpoint

    blob = checkpoint.pack(student_folder)
    digest = hashlib.sha256(blob).hexdigest()
    place = home / "artifacts" / digest[:2] / digest
    place.parent.mkdir(parents=True)
    place.write_bytes(blob)

    def add(round_id, **changes):
        row = {
            "round_id": round_id, "recipe": "spine", "seed": 0,
            "label_source": "silver", "artifact_hash": digest,
            "checkpoint_id": digest, "manifest_hash": digest,
            "trained_text_ids": [], "num_steps": 1, "num_tokens": 10,
        } | changes  # fmt: skip
        with sessions.begin() as session:
            return students.store_student(session, NewStudent(**row))

    return add


@pytest.fixture
def world(farm, sessions, add_student):
    """Two rounds of three voters on 12 train documents; four are held out."""
    config = parse_config(LoopConfig, CONFIG)
    ingest(sessions, "ops", generate(16, 0))
    with sessions.begin() as session:
        first = config.resolve(1).model_dump(mode="json")
        loop = loops.create_loop(
            session, "mine", "ops", config.model_dump(mode="json"), first
        )
        second = loops.create_round(session, loop.id, 2, first)
        rounds = [loops.rounds_of(session, loop.id)[0].id, second.id]
        rows = corpora.documents(session, loop.corpus_id, 16, split="train")
        selections.store_selections(
            session, second.id, [(row.id, "train", False, 1.0) for row in rows]
        )
        content = texts.load_texts(session, [row.text_id for row in rows])
        for voter in VOTERS:
            fingerprint = Fingerprint(voter["name"], {})
            voter_id = voters.register_voter(session, fingerprint, voter["kind"], {})
            cast = [
                (text_id, 0, Vote(np.full(len(text.split()), 254, dtype=np.uint8)))
                for text_id, text in sorted(content.items())
            ]
            votes.store_votes(session, second.id, voter_id, cast)
    assert rounds == [1, 2]
    return [add_student(round_id) for round_id in rounds]


@pytest.fixture
def judge(world, sessions):
    """Write down which voter round 2 judged best."""

    def write(best):
        row = RuleStatRow("beta", "all", "gold", 1, 1, 1, 1, best_voter=best)
        with sessions.begin() as session:
            quality.store_rule_stats(session, 2, [row])

    return write


@pytest.mark.slow
def test_every_suite_with_texts_is_shown_in_a_hundred_columns(farm, world):
    result = farm("eval", world[1], "--suite", "all", "--rules", "all")

    assert max(map(len, result.stdout.splitlines())) <= 100
    assert "planted: 4 texts" in result.stdout
    assert "exact_pct, farm" in result.stdout
    assert "f1 of plain words" in result.stdout
    assert "kompress-r0" in result.stdout
    assert "agent has no texts in this corpus" in result.stderr


def test_all_figures_land_in_the_view_under_the_student_s_round(farm, world):
    rows = farm.json("eval", world[1], "--suite", "planted")
    shown = farm.json("sql", f"select * from student_scores where student = {world[1]}")

    assert {(row["loop"], row["round"]) for row in shown} == {("mine", 2)}
    key = ("suite", "stratum", "rule_set", "definition", "override",
           "target_keep_rate", "step", "metric")  # fmt: skip
    stored = {tuple(row[k] for k in key): (row["value"], row["n"]) for row in shown}
    assert stored == {tuple(row[k] for k in key): (row["value"], row["n"])
                      for row in rows}  # fmt: skip


@pytest.mark.slow
def test_what_the_loop_stored_stays_and_comes_out_again(farm, world, sessions):
    first = farm.json("eval", world[1], "--suite", "dense")
    again = farm.json("eval", world[1], "--suite", "dense")

    def plain(rows):
        # Two scorings on a busy machine take different times.
        return [row for row in rows if not row["metric"].startswith("ms_")]

    assert plain(again) == plain(first)
    with sessions() as session:
        held = loops.rounds_of(session, loops.get_loop(session, "mine").id)[1].id
        rows = scores.load_scores(session, held, "student", per_text=True)
    assert {row.student_id for row in rows} == {world[1]}
    # The 39 texts of `dense` are stored before the rows about them.
    assert len({row.score.text_sha256 for row in rows}) == 40


def test_nothing_is_stored_on_request(farm, world):
    said = farm("eval", world[1], "--suite", "planted", "--no-store").stdout

    assert "not stored" in said
    assert farm.json("sql", "select count(*) as n from student_scores") == [{"n": 0}]


@pytest.mark.slow
def test_an_imported_student_has_scores_without_a_round(farm, world, add_student):
    imported = add_student(None)

    alone = farm("eval", imported, "--suite", "all")
    named = farm.mistake("eval", imported, "--suite", "planted")
    rows = farm.json("eval", imported, "--suite", "planted", "--corpus", "ops")

    assert "held-out documents are those of ops" in alone.stderr
    assert "belongs to no loop" in named
    assert "--corpus NAME" in named
    assert {row["suite"] for row in rows} == {"planted"}
    shown = farm.json(
        "sql",
        f"select distinct suite, round from student_scores where student = {imported}",
    )
    assert sorted(row["suite"] for row in shown) == ["dense", "planted", "qa"]
    assert {row["round"] for row in shown} == {None}


def test_another_corpus_than_the_loop_s_is_told_apart(farm, world, sessions):
    ingest(sessions, "other", generate(12, 1))

    rows = farm.json("eval", world[1], "--suite", "planted", "--corpus", "other")

    assert {row["suite"] for row in rows} == {"planted@other"}


def test_a_part_of_a_suite_is_told_apart(farm, world):
    rows = farm.json("eval", world[1], "--suite", "planted", "--max-documents", "2")

    assert {row["suite"] for row in rows} == {"planted#2"}


def test_two_students_are_compared_on_the_same_texts(farm, world):
    args = ("eval", world[1], "--suite", "planted", "--against", world[0])

    pairs = [row for row in farm.json(*args) if "against" in row]

    # Both hold the same checkpoint.
    assert {row["difference"] for row in pairs} == {0.0}
    assert {row["against"] for row in pairs} == {str(world[0])}
    assert "planted, against" in farm(*args).stdout


@pytest.mark.slow
def test_baselines_stand_beside_the_student_with_random_dropping(
    farm, world, judge, sessions
):
    judge("dice")
    with sessions.begin() as session:
        row = Job(round_id=2, stage="teach", queue="teach.rules", voter="rules")
        session.add(row)
        session.flush()
        records.add_cost(session, row.id, 1, "usd", 0.25, 0.25)

    result = farm("eval", world[1], "--suite", "planted", "--baselines")
    rows = farm.json("eval", world[1], "--suite", "planted", "--baselines")

    found = {(row["subject_kind"], row["subject"]) for row in rows}
    assert found == {
        ("student", str(world[1])), ("student", str(world[0])),
        ("voter", "rules"), ("voter", "dice"), ("voter", "paid"),
        ("rule", "reliability"), ("rule", "majority"),
        ("baseline", "textrank"), ("baseline", "self_information"),
        ("baseline", "llmlingua2"), ("baseline", "random"),
    }  # fmt: skip
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert "voter paid is not asked" in result.stderr
    assert "reliability: the round holds no fit of these voters" in result.stderr

    def value(subject, metric, rate=None):
        (row,) = [
            row
            for row in rows
            if (row["subject"], row["metric"], row["stratum"])
            == (subject, metric, "all")
            and (row["override"], row["definition"]) == ("", "multiset")
            and row["target_keep_rate"] == rate
        ]
        return row["value"]

    # At each one's own keep_rate random dropping keeps as many words, to a word a text.
    for subject in ("textrank", "rules", "reliability", str(world[1])):
        own = value(subject, "keep_rate")
        assert value("random", "keep_rate", own) == pytest.approx(own, abs=4 / 341)
    assert [value(s, "usd") for s in ("rules", "dice", "reliability", "textrank")] == [
        0.25, 0.0, 0.25, 0.0,
    ]  # fmt: skip
    assert value("paid", "keep_rate") == 0.0  # it abstains, so it keeps nothing
    assert value("rules", "ms_per_chunk") > 0
    assert "best voter dice" in result.stdout
    # The student before stays in its own round.
    stored = farm.json("sql", "select distinct student, round from student_scores")
    assert {(row["student"], row["round"]) for row in stored} == {
        (world[0], 1), (world[1], 2),
    }  # fmt: skip


@pytest.mark.slow
def test_a_student_is_trained_on_each_label_at_an_equal_budget(
    farm, world, judge, sessions
):
    judge("paid")

    result = farm("eval", world[1], "--suite", "planted", "--baselines", "--students",
                  "--max-train-tokens", "1000", "--json")  # fmt: skip

    rows = json.loads(result.stdout)
    trained = {r["subject"] for r in rows if r["subject"].startswith("student:")}
    assert trained == {
        "student:rules", "student:dice", "student:paid", "student:reliability",
        "student:majority",
    }  # fmt: skip
    assert "training 5 students on 12 documents" in result.stderr
    assert "s for the other 4" in result.stderr
    # All voters kept every word, so all students learnt the same.
    f1 = {
        row["value"]
        for row in rows
        if row["subject"] in trained
        and (row["metric"], row["stratum"], row["target_keep_rate"])
        == ("f1", "all", None)
    }
    assert len(f1) == 1
    # `paid` keeps nothing here, so every rule gains; the students gain nothing.
    retained = {
        r["subject"]: r["value"] for r in rows if r["metric"] == "gain_retained"
    }
    assert retained == {"student:reliability": 0.0, "student:majority": 0.0}
    with sessions() as session:
        kept = scores.load_scores(session, 2, "baseline", metric="f1")
    assert trained <= {row.subject for row in kept}


def test_flags_that_cannot_be_are_explained(farm, world):
    assert "expected one of dense" in farm.mistake("eval", world[0], "--suite", "odd")
    assert "--rules is 'odd'" in farm.mistake("eval", world[0], "--rules", "odd")
    assert "--baselines" in farm.mistake("eval", world[0], "--students")
    assert "no student has id 99" in farm.mistake(
        "eval", world[0], "--suite", "planted", "--against", "99"
    )


def test_a_folder_is_scored_but_not_stored(farm, world, student_folder):
    folder = farm("eval", student_folder, "--suite", "planted", "--corpus", "ops")

    assert "a folder is no student of the farm" in folder.stdout
