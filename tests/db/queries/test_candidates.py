import hashlib

import numpy as np
import pytest
from sqlalchemy import text

from db.errors import NotFound
from db.queries import candidates, corpora, texts
from kompress.types import Candidate, CandidateVerdict

CONTENTS = ["one two three", "four five", "six"]


@pytest.fixture
def corpus(session):
    digests = [hashlib.sha256(content.encode()).digest() for content in CONTENTS]
    ids = texts.store_texts(
        session,
        [
            texts.NewText(content, digest, len(content.split()))
            for content, digest in zip(CONTENTS, digests, strict=True)
        ],
    )
    held = corpora.create_corpus(session, "corpus")
    text_ids = [ids[digest] for digest in digests]
    corpora.append_documents(
        session,
        held.id,
        [
            corpora.NewDocument(text_id, f"kind{n}", f"n{n}", f"g{n}", "train")
            for n, text_id in enumerate(text_ids)
        ],
    )
    return held.id, text_ids


def mask(*keep):
    return np.array(keep, dtype=np.bool_)


def test_references_are_stored_once_and_come_back_with_their_masks(session, corpus):
    _, (one, two, six) = corpus
    rows = [
        (two, Candidate("c3", "fifth", None)),
        (one, Candidate("c3", "one three", mask(1, 0, 1))),
        (one, Candidate("c3", "two", mask(0, 1, 0), replicate=1)),
        (one, Candidate("qa", "three", mask(0, 0, 1))),
        (one, Candidate("c3", "came second", None)),
    ]

    first = candidates.store_candidates(session, rows)
    again = candidates.store_candidates(session, rows[::-1])

    assert (first, again) == (4, 0)
    found = candidates.load_candidates(session, [one, two, six], "c3")
    assert list(found) == sorted([(one, 0), (one, 1), (two, 0)])
    assert found[one, 0].reference == "one three"
    assert found[one, 0].keep_N.tolist() == [True, False, True]
    assert found[one, 1].keep_N.tolist() == [False, True, False]
    assert found[two, 0].keep_N is None
    assert candidates.load_candidates(session, [one], "nobody") == {}


def test_an_origins_digest_changes_with_any_reference_but_not_with_their_order(
    session, corpus
):
    corpus_id, (one, two, _) = corpus

    def summarize(origin="c3", max_seq=3):
        return candidates.summarize_origin(session, corpus_id, max_seq, origin)

    empty = summarize()
    candidates.store_candidates(session, [(two, Candidate("c3", "five", None))])
    second = summarize()
    candidates.store_candidates(session, [(one, Candidate("c3", "two", None))])
    both = summarize()
    for origin, rows in (("back", (one, two)), ("other", (one, two))):
        content = {one: "two", two: "five" if origin == "back" else "four"}
        candidates.store_candidates(
            session, [(row, Candidate(origin, content[row], None)) for row in rows]
        )

    assert [s.num_references for s in (empty, second, both)] == [0, 1, 2]
    assert len({empty.digest, second.digest, both.digest}) == 3
    assert summarize("back") == both
    assert summarize("other") != both
    # What came after the corpus was pinned does not count.
    assert summarize(max_seq=1).num_references == 1


def test_pairs_come_in_the_corpus_order(session, corpus):
    corpus_id, (one, two, six) = corpus
    candidates.store_candidates(
        session,
        [(text_id, Candidate("c3", "kept", None)) for text_id in (six, two, one)],
    )
    candidates.store_candidates(session, [(one, Candidate("qa", "kept", None))])

    pairs = list(candidates.iter_pairs(session, corpus_id, "c3"))

    assert pairs == [(f"kind{n}", CONTENTS[n], "kept") for n in range(3)]
    assert candidates.list_origins(session, corpus_id) == {"c3": 3, "qa": 1}
    with pytest.raises(
        NotFound, match=r"no references of origin 'x'; .*\['c3', 'qa'\]"
    ):
        list(candidates.iter_pairs(session, corpus_id, "x"))


def test_a_forgotten_text_takes_its_references_along(session, corpus):
    _, (one, *_) = corpus
    candidates.store_candidates(session, [(one, Candidate("c3", "two", None))])

    corpora.forget_text(session, external_id="n0")

    assert session.scalar(text("SELECT count(*) FROM candidates")) == 0


def test_all_references_of_a_text_are_listed_with_their_verdicts(session, corpus):
    _, (one, two, six) = corpus
    candidates.store_candidates(
        session,
        [
            (one, Candidate("b", "one", mask(1, 0, 0))),
            (one, Candidate("B", "two", mask(0, 1, 0))),
            (one, Candidate("b", "fresh", None, replicate=1)),
            (two, Candidate("b", "five", mask(0, 1))),
        ],
    )
    before = candidates.list_candidates(session, [one, two, six])
    first, second, third = before[one]

    candidates.store_verdicts(
        session,
        [
            CandidateVerdict(third.id, None, None, is_sound=False),
            CandidateVerdict(first.id, 0.75, 0.125, is_sound=True),
        ],
    )

    assert set(before) == {one, two}
    assert [row.candidate.origin for row in before[one]] == ["B", "b", "b"]
    assert (first.quality, first.quality_se, first.is_sound) == (None, None, None)
    found = candidates.list_candidates(session, [one])[one]
    assert [(r.quality, r.quality_se, r.is_sound) for r in found] == [
        (0.75, 0.125, True),
        (None, None, None),
        (None, None, False),
    ]
    assert second.candidate.keep_N.tolist() == [True, False, False]
    assert third.candidate.keep_N is None


def test_a_newer_fit_replaces_the_verdict_and_not_the_reference(session, corpus):
    _, (one, _, _) = corpus
    candidates.store_candidates(session, [(one, Candidate("b", "one", mask(1, 0, 0)))])
    (row,) = candidates.list_candidates(session, [one])[one]

    for quality in (0.25, 0.5):
        verdict = CandidateVerdict(row.id, quality, 0.125, is_sound=True)
        candidates.store_verdicts(session, [verdict])

    (found,) = candidates.list_candidates(session, [one])[one]
    assert found.quality == 0.5
    assert found.candidate.reference == "one"
