from collections import Counter

import numpy as np
import pytest
from sqlalchemy import text

from api.errors import InvalidRequest
from api.intake import ingest
from db.queries import corpora, gold
from kompress.corpora.lines import BadLine
from kompress.errors import InvalidText
from kompress.must_keep import classify_words
from kompress.types import Candidate, Document, Gold

# 40 words; one changed in the middle changes 3 of 38 shingles on either side, so that
# 35 of 41 are shared: 0.85.
WORDS = [f"word{number}" for number in range(40)]


def make(content, name="a", **more):
    return Document(text=content, kind="log", external_id=name, **more)


def rows(sessions, corpus="c"):
    with sessions() as session:
        corpus_id = corpora.get_corpus(session, corpus).id
        return corpora.documents(session, corpus_id, max_seq=10**9)


def changed(place):
    return " ".join([*WORDS[:place], "other", *WORDS[place + 1 :]])


def test_the_same_documents_twice_add_nothing(sessions):
    documents = [make("one two"), make("three four", "b"), make("one two", "c")]

    first = ingest(sessions, "c", documents)
    second = ingest(sessions, "c", documents)

    assert (first.added, first.duplicates) == (2, 1)
    assert (second.added, second.duplicates) == (0, 3)
    assert [(row.seq, row.external_id) for row in rows(sessions)] == [
        (1, "a"),
        (2, "b"),
    ]


def test_bad_lines_are_counted_and_good_ones_kept(sessions):
    lines = [BadLine(1, "not JSON"), make("one two"), BadLine(3, "no text")]

    report = ingest(sessions, "c", lines)

    assert (report.added, report.num_bad) == (1, 2)
    assert [line.number for line in report.bad] == [1, 3]


def test_only_the_first_bad_lines_are_held(sessions):
    report = ingest(sessions, "c", (BadLine(n, "no text") for n in range(1, 2_502)))

    assert report.num_bad == 2_501
    assert [report.bad[0].number, report.bad[-1].number] == [1, 1_000]


def test_strata_are_stored_for_every_rule_set(sessions):
    ingest(sessions, "c", [make("exit code 137 is_bad but fine")])

    with sessions() as session:
        stored = {
            row.rule_set: row
            for row in session.execute(text("SELECT * FROM text_strata"))
        }
    words = ["exit", "code", "137", "is_bad", "but", "fine"]
    assert set(stored) == {"farm", "headroom-0.42", "kompress-r0"}
    for rule_set, row in stored.items():
        codes_N = classify_words(words, rule_set)
        assert bytes(row.codes) == codes_N.tobytes()
        assert row.num_must_keep == np.count_nonzero(codes_N)
        assert sum(row.num_words) == 6


@pytest.mark.parametrize("batch", [1, 500])  # found in Postgres, or within the batch
def test_near_duplicates_share_a_group_and_so_a_split(sessions, batch):
    documents = [make(" ".join(WORDS)), make(changed(20), "b"), make("else", "c")]

    ingest(sessions, "c", documents, batch=batch)

    first, near, other = rows(sessions)
    assert (near.group_id, near.split) == (first.group_id, first.split)
    assert other.group_id != first.group_id


@pytest.mark.parametrize("batch", [1, 500])
def test_texts_that_share_half_are_not_near_duplicates(sessions, batch):
    half = " ".join(WORDS[:20] + [f"new{number}" for number in range(20)])

    ingest(sessions, "c", [make(" ".join(WORDS)), make(half, "b")], batch=batch)

    assert len({row.group_id for row in rows(sessions)}) == 2


def test_groups_do_not_depend_on_the_batch(sessions):
    documents = [make(changed(n), str(n)) for n in range(0, 40, 2)]
    documents += [make(f"{changed(n)} {'tail ' * n}", f"t{n}") for n in range(12)]

    for batch in (1, 7, 500):
        ingest(sessions, f"c{batch}", documents, batch=batch)

    found = [[row.group_id for row in rows(sessions, f"c{n}")] for n in (1, 7, 500)]
    assert found[0] == found[1] == found[2]


def test_a_stated_group_stays_whole_whatever_split_its_members_state(sessions):
    documents = [
        make("one two", group_id="g", split="audit"),
        make("three four", "b", group_id="g", split="train"),
        make("five six", "c", group_id="g"),
    ]

    report = ingest(sessions, "c", documents, batch=2)

    assert report.num_moved == 1
    assert Counter(row.split for row in rows(sessions)) == {"audit": 3}


def test_gold_is_used_as_its_split_says(sessions):
    truth = Gold("generator/x-1", "evaluate", np.array([254, 0], dtype=np.uint8))
    documents = [
        make("one two", gold=truth, split="train"),
        make("three four", "b", gold=truth, split="held_out"),
    ]

    ingest(sessions, "c", documents)

    with sessions() as session:
        stored = gold.load_gold(session, [row.text_id for row in rows(sessions)])
    assert [stored[row.text_id][0].use for row in rows(sessions)] == [
        "calibrate",
        "evaluate",
    ]


def test_gold_of_another_length_is_refused(sessions):
    truth = Gold("generator/x-1", "evaluate", np.array([254], dtype=np.uint8))

    with pytest.raises(InvalidText, match="1 codes, its text 2 words"):
        ingest(sessions, "c", [make("one two", gold=truth)])


def test_what_was_stored_before_a_fault_stays_stored(sessions):
    def broken():
        yield make("one two")
        yield make("three four", "b")
        raise OSError("the line broke")

    with pytest.raises(OSError, match="the line broke"):
        ingest(sessions, "c", broken(), batch=1)

    assert [row.external_id for row in rows(sessions)] == ["a", "b"]


def test_a_corpus_name_that_no_url_takes_is_refused(sessions):
    with pytest.raises(InvalidRequest, match="corpus name"):
        ingest(sessions, "../x", [make("one two")])


def with_reference(content, reference, origin="c3", name="a"):
    candidate = Candidate(origin, reference, None)
    return make(content, name, candidates=(candidate,))


def test_references_are_stored_whether_or_not_their_document_is_new(sessions):
    ingest(sessions, "c", [make("one two")])

    first = ingest(
        sessions,
        "c",
        [
            with_reference("one two", "one"),
            with_reference("three four", "four"),
            with_reference("three four", "three", "qa"),
            with_reference("three four", "came second"),
            make("plain"),
        ],
    )
    again = ingest(sessions, "c", [with_reference("one two", "another")])

    # The three four of another origin is one reference more, the last one is not.
    assert (first.added, first.duplicates, first.num_references) == (2, 3, 3)
    assert (again.added, again.num_references) == (0, 0)
    with sessions() as session:
        stored = session.execute(
            text("SELECT origin, reference FROM candidates ORDER BY reference")
        ).all()
    assert stored == [("c3", "four"), ("c3", "one"), ("qa", "three")]


def test_kinds_that_are_mostly_giant_words_are_named(sessions):
    script = "x" * 65 + " short"  # 65 of 70 characters
    report = ingest(
        sessions,
        "c",
        [
            Document(script, "script", "a"),
            Document("y" * 64 + " words", "log", "b"),
            # One of 2,000 characters is no matter.
            Document("word " * 500 + "z" * 70, "text", "c"),
        ],
    )

    assert report.giant == pytest.approx({"script": 65 / 70})
