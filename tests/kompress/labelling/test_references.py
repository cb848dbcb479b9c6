import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import PAIRWISE, RoundConfig, VoterConfig, parse_config
from kompress.labelling.references import (
    MAX_SAMPLES,
    SAMPLES,
    as_candidate,
    choose_competing,
    consensus_origin,
    count_replicates,
    find_winner_quality,
    nominate_samples,
    nominate_votes,
    order_origins,
    origin_of,
)
from kompress.types import Candidate, CandidateRow, VoteRow, encode_votes

TEXT = "one two\nthree four"
MINE = origin_of("mine", "a" * 64)
THEIRS = origin_of("theirs", "b" * 64)
WORDS = "one two three"
DIGESTS = {1: "a" * 64, 2: "b" * 64, 3: "c" * 64}


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
    found = choose_competing(rows, [MINE], 9)

    assert [r.id for r in found.rows] == [2, 1, 4]
    assert found.place_of == {2: 0, 1: 1, 4: 2}
    assert found.student is None


def test_equal_masks_compete_once_and_share_their_place():
    rows = [
        row(1, "an upload", mask(1, 0, 0, 0), "one"),
        row(2, MINE, mask(1, 0, 0, 0), "one"),
        row(3, THEIRS, mask(0, 1, 0, 0)),
    ]

    found = choose_competing(rows, [THEIRS, MINE], 9, student=MINE)

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

    found = choose_competing(rows, [MINE, THEIRS], 2)

    assert [r.id for r in found.rows] == [1, 2]
    assert found.place_of == {1: 0, 2: 1, 4: 0}


def vote(voter_id, voter, p, *, replicate=0, num_samples=1):
    codes_N = encode_votes(np.array(p, dtype=np.float64))
    return VoteRow(voter_id, voter, replicate, num_samples, codes_N)


def nominated(*rows):
    return {
        c.origin: (c.replicate, c.reference)
        for c in nominate_votes(WORDS, list(rows), DIGESTS)
    }


def test_a_voter_nominates_what_it_keeps_at_one_half():
    assert nominated(vote(1, "v", [0.9, 0.2, 0.6])) == {
        "v@aaaaaaaaaaaa": (0, "one three")
    }


def test_replicates_are_pooled_and_their_number_is_the_replicate():
    rows = [
        vote(1, "v", [0.9, 0.4, 0.4], num_samples=1),
        # (1 * .4 + 3 * .6) / 4 = .55 keeps the last word, (.4 + 3 * .2) / 4 not.
        vote(1, "v", [0.9, 0.2, 0.6], replicate=1, num_samples=3),
    ]

    assert nominated(*rows) == {"v@aaaaaaaaaaaa": (1, "one three")}


@pytest.mark.parametrize(
    ("cast", "usual", "number"),
    [((), 2, 2), ((0,), 2, 2), ((0, 1, 2), 2, 3), ((2,), 1, 3)],
)
def test_samples_are_read_of_usual_answers_and_of_those_that_a_budget_bought(
    cast, usual, number
):
    voter = VoterConfig(name="v", kind="teacher", replicates=usual)
    rows = [vote(1, "v", [0.9], replicate=replicate) for replicate in cast]

    assert count_replicates([*rows, vote(2, "w", [0.9], replicate=9)], voter) == number


def test_abstained_words_are_not_kept_and_pure_abstention_nominates_nothing():
    rows = [vote(1, "v", [0.9, np.nan, 0.1]), vote(2, "w", [np.nan] * 3)]

    assert nominated(*rows) == {"v@aaaaaaaaaaaa": (0, "one")}


def test_a_voter_that_keeps_everything_or_nothing_nominates_nothing():
    assert nominated(vote(1, "v", [0.9] * 3), vote(2, "w", [0.1] * 3)) == {}


def test_winners_and_strangers_nominate_nothing():
    rows = [vote(3, PAIRWISE, [1, 0, 0]), vote(9, "stranger", [1, 0, 0])]

    assert nominated(*rows) == {}


def test_samples_are_numbered_by_their_answer_and_useless_ones_are_left_out():
    keeps = [mask(1, 0, 0, 0), mask(1, 1, 1, 1), mask(0, 1, 0, 1)]

    found = nominate_samples(TEXT, keeps, "t/samples@x", 2)

    assert [(c.replicate, c.reference) for c in found] == [
        (2 * MAX_SAMPLES, "one"),
        (2 * MAX_SAMPLES + 2, "two\nfour"),
    ]


def test_origins_are_ordered_from_voters_to_the_oldest_student():
    config = parse_config(RoundConfig, {"voters": [{"name": "v", "kind": "syntax"}]})

    found = order_origins({"v": "a" * 64}, config, ["c" * 64, "d" * 64])

    assert found == [
        "v@aaaaaaaaaaaa",
        consensus_origin({"v": "a" * 64}, config),
        "student@cccccccccccc",
        "v/samples@aaaaaaaaaaaa",
        "student@dddddddddddd",
    ]


def test_the_quality_of_a_text_is_that_of_its_winner():
    def judged(number, keep_N, quality):
        candidate = Candidate(f"o{number}", "r", keep_N)
        return CandidateRow(number, 7, candidate, quality, 0.1, is_sound=True)

    rows = [
        judged(1, mask(1, 0, 0), 0.9),
        judged(2, mask(0, 1, 0), 0.4),
        judged(3, None, 0.8),
    ]
    winner = vote(3, PAIRWISE, [0, 1, 0])

    assert find_winner_quality(rows, [vote(1, "v", [1, 0, 0]), winner]) == (0.4, 0.1)
    assert find_winner_quality(rows, [vote(1, "v", [1, 0, 0])]) is None
    assert find_winner_quality(rows[:1], [winner]) is None


@given(
    st.lists(st.lists(st.booleans(), min_size=4, max_size=4), max_size=12),
    st.integers(1, 6),
)
def test_different_references_compete_and_no_more_than_allowed(keeps, limit):
    rows = [row(n, f"o{n}", mask(*keep)) for n, keep in enumerate(keeps)]

    found = choose_competing(rows, [], limit)

    masks = {tuple(r.candidate.keep_N.tolist()) for r in found.rows}
    usable = {tuple(keep) for keep in keeps if any(keep) and not all(keep)}
    assert len(masks) == len(found.rows) == min(limit, len(usable))
    for number, place in found.place_of.items():
        assert keeps[number] == found.rows[place].candidate.keep_N.tolist()
