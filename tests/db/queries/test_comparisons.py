import hashlib

import pytest
from psycopg.errors import CheckViolation

from db.queries import candidates, texts, voters
from db.queries.comparisons import load_comparisons, store_comparisons
from kompress.types import Candidate, ComparisonRow, Fingerprint


@pytest.fixture
def stored(session):
    """Two texts with two references each, and two judges."""
    digests = [hashlib.sha256(content).digest() for content in (b"a b", b"c d")]
    ids = texts.store_texts(
        session,
        [
            texts.NewText(content, digest, 2)
            for content, digest in zip(("a b", "c d"), digests, strict=True)
        ],
    )
    text_ids = [ids[digest] for digest in digests]
    candidates.store_candidates(
        session,
        [
            (text_id, Candidate(origin, origin, None))
            for text_id in text_ids
            for origin in ("x", "y")
        ],
    )
    found = candidates.list_candidates(session, text_ids)
    judges = [
        voters.register_voter(session, Fingerprint(name, {}), "teacher", {})
        for name in ("strict", "mild")
    ]
    return text_ids, [[row.id for row in found[t]] for t in text_ids], judges


def test_judgments_come_back_by_text_and_judge(session, stored):
    (one, two), ((x, y), (other_x, other_y)), (strict, mild) = stored
    rows = [
        ComparisonRow(y, x, strict, 0, 0.25, 0.5, 0.25),
        ComparisonRow(x, y, strict, 0, 0.75, 0.25, 0.0),
        ComparisonRow(x, y, mild, 0, 0.0, 0.0, 1.0),
        ComparisonRow(other_x, other_y, strict, 0, 1.0, 0.0, 0.0),
    ]

    assert store_comparisons(session, rows) == 4
    # Ordered by the reference that stood first, whose ids ascend.
    assert load_comparisons(session, [one, two], [strict]) == {
        one: [rows[1], rows[0]],
        two: [rows[3]],
    }
    assert load_comparisons(session, [one], [strict, mild])[one] == [
        rows[1],
        rows[2],
        rows[0],
    ]
    assert load_comparisons(session, [two], [mild]) == {}


def test_a_judgment_is_never_replaced(session, stored):
    (one, _), ((x, y), _), (strict, _) = stored
    first = ComparisonRow(x, y, strict, 0, 0.75, 0.25, 0.0)
    store_comparisons(session, [first])

    again = ComparisonRow(x, y, strict, 0, 0.0, 1.0, 0.0)

    assert store_comparisons(session, [again]) == 0
    assert load_comparisons(session, [one], [strict]) == {one: [first]}


def test_nothing_is_compared_with_itself(session, stored):
    _, ((x, _), _), (strict, _) = stored

    with pytest.raises(CheckViolation):
        store_comparisons(session, [ComparisonRow(x, x, strict, 0, 1.0, 0.0, 0.0)])
