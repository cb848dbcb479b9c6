"""Forgetting a text takes all that hangs on it, and names who saw it."""

import numpy as np
import pytest
from sqlalchemy import text

from db.errors import NotFound
from db.queries import corpora, gold, labels, students, texts, votes
from kompress.types import Gold, Label, Vote

HANGS_ON_TEXTS = (
    "texts",
    "text_strata",
    "documents",
    "document_bands",
    "gold",
    "votes",
    "round_votes",
    "labels",
)


def count(session):
    return {
        table: session.scalar(text(f"SELECT count(*) FROM {table}"))
        for table in HANGS_ON_TEXTS
    }


def fill(session, world):
    codes_N = np.zeros(4, dtype=np.uint8)
    half_N = np.full(4, 0.5, dtype=np.float16)
    rows = [(text_id, 0, Vote(codes_N)) for text_id in world.text_ids]
    votes.store_votes(session, world.round_id, world.voter_id, rows)
    label = Label(half_N, half_N)
    labels.store_labels(
        session, world.round_id, "silver", dict.fromkeys(world.text_ids, label)
    )
    bands = {text_id: [text_id] for text_id in world.text_ids}
    corpora.add_bands(session, world.corpus_id, bands)
    for text_id in world.text_ids:
        gold.store_gold(session, [(text_id, Gold("ann", "calibrate", codes_N))])


def student(world, seed, text_ids, parent=None):
    return students.NewStudent(
        world.round_id,
        "tiny",
        seed,
        "silver",
        "a",
        "c",
        "m",
        text_ids,
        1,
        1,
        parent_id=parent,
    )


def test_everything_about_the_text_goes_and_nothing_else(session, world):
    fill(session, world)

    report = corpora.forget_text(session, sha256=world.digests[1])

    assert (report.texts, report.documents, report.students) == (1, 1, [])
    assert count(session) == dict.fromkeys(HANGS_ON_TEXTS, 2)
    rows = corpora.documents(session, world.corpus_id, 99)
    assert [row.seq for row in rows] == [1, 3]


def test_students_that_saw_it_are_named_with_their_descendants(session, world):
    a, b, c = world.text_ids
    saw = students.store_student(session, student(world, 0, [c, a]))
    child = students.store_student(session, student(world, 1, [b], saw))
    grandchild = students.store_student(session, student(world, 2, [b], child))
    students.store_student(session, student(world, 3, [b, c]))

    report = corpora.forget_text(session, sha256=world.digests[0])

    assert [(row.id, row.direct) for row in report.students] == [
        (saw, True),
        (child, False),
        (grandchild, False),
    ]
    assert (report.students[0].loop, report.students[0].round) == ("small", 1)


def test_a_name_means_every_text_of_that_name_within_its_corpus(
    session, world, make_text
):
    ids = texts.store_texts(session, [make_text("5 more")])
    other = corpora.create_corpus(session, "other")
    place = corpora.NewDocument(*ids.values(), "note", "note-1", "g", "train")
    corpora.append_documents(session, other.id, [place])

    report = corpora.forget_text(session, external_id="note-1", corpus_id=other.id)

    assert report.texts == 1
    assert texts.load_texts(session, list(ids.values())) == {}
    assert corpora.forget_text(session, external_id="note-1").texts == 1


def test_an_unknown_text_is_refused(session, world):
    with pytest.raises(NotFound, match="'note-9'"):
        corpora.forget_text(session, external_id="note-9")
