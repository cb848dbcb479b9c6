import numpy as np
import pytest

from kompress.config import PAIRWISE, VoterConfig
from kompress.types import VoteRow, encode_votes
from worker.stages.nominate import count_replicates, nominate_votes

TEXT = "one two three"
DIGESTS = {1: "a" * 64, 2: "b" * 64, 3: "c" * 64}


def vote(voter_id, voter, p, *, replicate=0, num_samples=1):
    codes_N = encode_votes(np.array(p, dtype=np.float64))
    return VoteRow(voter_id, voter, replicate, num_samples, codes_N)


def found(*rows):
    return {
        c.origin: (c.replicate, c.reference)
        for c in nominate_votes(TEXT, list(rows), DIGESTS)
    }


def test_a_voter_nominates_what_it_keeps_at_one_half():
    assert found(vote(1, "v", [0.9, 0.2, 0.6])) == {"v@aaaaaaaaaaaa": (0, "one three")}


def test_replicates_are_pooled_and_their_number_is_the_replicate():
    rows = [
        vote(1, "v", [0.9, 0.4, 0.4], num_samples=1),
        # (1 * .4 + 3 * .6) / 4 = .55 keeps the last word, (.4 + 3 * .2) / 4 not.
        vote(1, "v", [0.9, 0.2, 0.6], replicate=1, num_samples=3),
    ]

    assert found(*rows) == {"v@aaaaaaaaaaaa": (1, "one three")}


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

    assert found(*rows) == {"v@aaaaaaaaaaaa": (0, "one")}


def test_a_voter_that_keeps_everything_or_nothing_nominates_nothing():
    assert found(vote(1, "v", [0.9] * 3), vote(2, "w", [0.1] * 3)) == {}


def test_winners_and_strangers_nominate_nothing():
    rows = [vote(3, PAIRWISE, [1, 0, 0]), vote(9, "stranger", [1, 0, 0])]

    assert found(*rows) == {}
