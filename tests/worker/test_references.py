import numpy as np
import pytest

from db.queries.candidates import CandidateRow
from kompress.types import Candidate
from worker.references import SAMPLES, as_candidate, make_field, origin_of

TEXT = "one two\nthree four"
MINE = origin_of("mine", "a" * 64)
THEIRS = origin_of("theirs", "b" * 64)


def mask(*keep):
    return np.array(keep, dtype=np.bool_)


def row(number, origin, keep_N, reference=""):
    candidate = Candidate(origin, reference or str(keep_N), keep_N)
    return CandidateRow(number, 7, candidate, None, None, None)


def test_an_origin_names_the_voter_and_its_fingerprint():
    assert MINE == "mine@aaaaaaaaaaaa"
    assert origin_of("mine", "a" * 64, SAMPLES) == "mine/samples@aaaaaaaaaaaa"


@pytest.mark.parametrize("keep", [(0, 0, 0, 0), (1, 1, 1, 1)])
def test_nothing_and_everything_are_no_references(keep):
    assert as_candidate(TEXT, mask(*keep), MINE) is None


def test_a_mask_becomes_the_reference_that_it_stands_for():
    found = as_candidate(TEXT, mask(1, 0, 0, 1), MINE, 2)

    assert (found.origin, found.replicate) == (MINE, 2)
    assert found.reference == "one\nfour"


def test_a_round_compares_its_own_and_the_uploads_in_order():
    rows = [
        row(1, "an upload", mask(0, 1, 1, 0)),
        row(2, MINE, mask(1, 0, 0, 0)),
        row(3, THEIRS, mask(0, 1, 0, 0)),
        row(4, "another@loop's", None, "rewritten"),
    ]

    # THEIRS is made by a voter that this round does not have.
    found = make_field(rows, [MINE], 9)

    assert [r.id for r in found.rows] == [2, 1, 4]
    assert found.place_of == {2: 0, 1: 1, 4: 2}
    assert found.student is None


def test_equal_masks_compete_once_and_share_their_place():
    rows = [
        row(1, "an upload", mask(1, 0, 0, 0), "one"),
        row(2, MINE, mask(1, 0, 0, 0), "one"),
        row(3, THEIRS, mask(0, 1, 0, 0)),
    ]

    found = make_field(rows, [THEIRS, MINE], 9, student=MINE)

    assert [r.id for r in found.rows] == [3, 2]
    assert found.place_of == {3: 0, 2: 1, 1: 1}
    assert found.student == 1


def test_only_so_many_compete_and_equals_of_theirs_still_count():
    rows = [
        row(1, MINE, mask(1, 0, 0, 0)),
        row(2, THEIRS, mask(0, 1, 0, 0)),
        row(3, "x", mask(0, 0, 1, 0)),
        row(4, "y", mask(1, 0, 0, 0)),
        row(5, "z", mask(1, 1, 1, 1)),
    ]

    found = make_field(rows, [MINE, THEIRS], 2)

    assert [r.id for r in found.rows] == [1, 2]
    assert found.place_of == {1: 0, 2: 1, 4: 0}
