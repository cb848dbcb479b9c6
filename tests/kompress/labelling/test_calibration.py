import numpy as np

from kompress.aggregation.calibration import fit_calibration
from kompress.labelling.calibration import CalibrationCounts, count_codes
from kompress.labelling.fit_data import EligibleVotes
from kompress.labelling.panel import make_panel
from kompress.types import VoteRow


def vote(voter, codes, *, replicate=0, num_samples=1):
    return VoteRow(1, voter, replicate, num_samples, np.array(codes, dtype=np.uint8))


def gold(*codes):
    return np.array(codes, dtype=np.uint8)


def eligible(votes, gold_codes):
    strata = {t: np.zeros(rows[0].codes_N.size, np.uint8) for t, rows in votes.items()}
    return EligibleVotes(votes, strata, gold_codes, frozenset(votes), {})


def test_votes_are_counted_by_code_and_truth():
    votes = {
        1: [vote("t", [7, 254, 255, 9]), vote("u", [1, 1, 1, 1])],
        2: [vote("t", [7])],
        3: [vote("u", [5])],
    }
    found = eligible(votes, {1: gold(0, 254, 254, 255), 2: gold(254), 3: gold(254)})

    counts = count_codes(make_panel(["t"], votes, found.strata), found)["t"]

    # Word 3 is an abstention, word 4 unknown, text 3 not the teacher's.
    assert counts[0, 7] == counts[1, 7] == counts[1, 254] == 1
    assert counts.sum() == 3


def test_a_vote_of_several_samples_has_a_strength_of_its_own():
    known = {1: gold(254), 2: gold(254)}
    counts = CalibrationCounts(["t", "r", "s"])

    counts.add(eligible({1: [vote("t", [7]), vote("r", [7])]}, known))
    counts.add(eligible({2: [vote("r", [7], num_samples=5)]}, known))
    # Where there is no gold, nobody looks.
    counts.add(eligible({3: [vote("s", [7], num_samples=5)]}, known))

    assert set(counts.fit()) == {"t", "s"}


def test_shards_add_up_and_words_without_gold_change_nothing():
    first = eligible({1: [vote("t", [7, 254])], 2: [vote("t", [3])]}, {1: gold(0, 254)})
    second = eligible({4: [vote("t", [9])]}, {4: gold(254)})
    counts = CalibrationCounts(["t"])

    counts.add(first)
    counts.add(second)

    expected = np.zeros((2, 256), dtype=np.int64)
    expected[0, 7] = expected[1, 254] = expected[1, 9] = 1
    assert counts.fit() == {"t": fit_calibration(expected)}
