"""Corpora grow under one lock each, without a gap."""

import threading

import pytest

from db.errors import Conflict, NotFound
from db.queries import corpora, texts
from db.queries.corpora import NewDocument


def place(text_id, group="g", split="train"):
    return NewDocument(text_id, "note", f"note-{text_id}", group, split)


def test_a_corpus_is_made_once_and_keeps_its_promise_about_hosted_models(session):
    first = corpora.create_corpus(session, "logs")

    assert corpora.create_corpus(session, "logs").id == first.id
    with pytest.raises(Conflict, match="external_ok=False, asked for True"):
        corpora.create_corpus(session, "logs", external_ok=True)


def test_an_unknown_corpus_is_refused_with_what_there_is(session, world):
    with pytest.raises(NotFound, match=r"'lgos'; there are \['small'\]"):
        corpora.get_corpus(session, "lgos")


def test_appending_to_a_deleted_corpus_is_refused(session):
    with pytest.raises(NotFound, match="id 0"):
        corpora.append_documents(session, 0, [])


def test_duplicates_are_counted_and_take_no_number(session, make_text):
    ids = texts.store_texts(session, [make_text(f"{n} x") for n in range(4)])
    a, b, c, d = ids.values()
    corpus = corpora.create_corpus(session, "logs")

    # b comes twice in one upload, a twice in two.
    first = corpora.append_documents(session, corpus.id, [place(i) for i in (b, a, b)])
    second = corpora.append_documents(session, corpus.id, [place(i) for i in (d, a, c)])

    rows = corpora.documents(session, corpus.id, 99)
    assert (first, second) == ((2, 1), (2, 1))
    assert [(row.seq, row.text_id) for row in rows] == [(1, b), (2, a), (3, d), (4, c)]
    assert rows[0].num_words == 2


def test_documents_are_chosen_by_seq_split_and_id(session, world, make_text):
    ids = texts.store_texts(session, [make_text("9 held out")])
    corpora.append_documents(
        session, world.corpus_id, [place(*ids.values(), "late", "held_out")]
    )

    def seqs(*args, **kwargs):
        rows = corpora.documents(session, world.corpus_id, *args, **kwargs)
        return [row.seq for row in rows]

    assert seqs(3) == [1, 2, 3]
    assert seqs(99, split="held_out") == [4]
    assert seqs(99, document_ids=world.document_ids[1:]) == [2, 3]
    assert seqs(99, document_ids=[]) == []


def test_a_summary_adds_up(session, world):
    # Three texts of four words: "0 words of small".
    (summary,) = corpora.list_corpora(session)

    assert (summary.num_documents, summary.documents) == (3, {"train": 3})
    assert (summary.num_words, summary.last_seq) == (12, 3)


def test_an_empty_corpus_is_listed_with_nothing_in_it(session):
    corpora.create_corpus(session, "empty")

    (summary,) = corpora.list_corpora(session)
    assert (summary.num_documents, summary.documents, summary.num_words) == (0, {}, 0)


def test_a_stored_group_knows_its_split(session, world):
    found = corpora.splits_of_groups(session, world.corpus_id, ["g1", "other"])

    assert found == {"g1": "train"}


def test_numbers_have_no_gap_when_two_uploads_run_at_once(sessions, make_text):
    with sessions.begin() as session:
        corpus_id = corpora.create_corpus(session, "logs").id
        ids = texts.store_texts(session, [make_text(f"{n} x") for n in range(60)])
    shared = [place(text_id) for text_id in ids.values()]
    start = threading.Barrier(2)
    added = []

    def upload(documents):
        start.wait()
        for at in range(0, len(documents), 5):
            with sessions.begin() as session:
                chunk = documents[at : at + 5]
                added.append(corpora.append_documents(session, corpus_id, chunk)[0])

    # Both have the middle twenty, in opposite orders.
    threads = [
        threading.Thread(target=upload, args=(documents,))
        for documents in (shared[:40], shared[:19:-1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with sessions() as session:
        rows = corpora.documents(session, corpus_id, 99)
    assert sum(added) == 60
    assert [row.seq for row in rows] == list(range(1, 61))
    assert len({row.text_id for row in rows}) == 60


def test_kinds_are_counted_in_one_split(session, make_text):
    ids = texts.store_texts(session, [make_text(f"{n} x") for n in range(3)])
    a, b, c = ids.values()
    corpus = corpora.create_corpus(session, "logs")
    rows = [place(a), place(b), place(c, "h", "audit")]
    corpora.append_documents(session, corpus.id, rows)

    assert corpora.count_kinds(session, corpus.id, "train") == {"note": 2}
    assert corpora.count_kinds(session, corpus.id, "held_out") == {}
