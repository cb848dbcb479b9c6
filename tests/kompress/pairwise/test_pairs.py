import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kompress.pairwise.pairs import find_misordered, plan_pairs, student_preference


def rng():
    return np.random.default_rng(7)


def degrees(pairs, num_items):
    return np.bincount(np.array(pairs).ravel(), minlength=num_items)


def test_few_candidates_are_all_compared():
    # 2 cycles give 4 partners, and 4 candidates have only 3 others.
    found = plan_pairs(4, (), cycles=2, rng=rng())

    assert found == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def test_many_candidates_meet_a_few_others_each():
    found = plan_pairs(12, (), cycles=2, rng=rng())

    assert len(found) <= 24
    assert (degrees(found, 12) <= 4).all()
    assert (degrees(found, 12) >= 2).all()


def test_what_was_compared_stays_and_a_newcomer_finds_partners():
    known = plan_pairs(8, (), cycles=1, rng=rng())

    found = plan_pairs(9, known, cycles=1, rng=rng())

    assert set(known) < set(found)
    # Only pairs with the ninth are new, 2 * cycles of them.
    assert [8 in pair for pair in set(found) - set(known)] == [True, True]


def test_nothing_new_adds_nothing():
    known = plan_pairs(8, (), cycles=2, rng=rng())

    assert plan_pairs(8, known, cycles=2, rng=rng()) == known


def test_misordered_pairs_are_added_to_the_old_ones():
    known = plan_pairs(8, (), cycles=1, rng=rng())
    new = next((i, j) for i in range(8) for j in range(i + 1, 8) if (i, j) not in known)

    found = plan_pairs(8, known, cycles=1, rng=rng(), misordered=[new[::-1]])

    assert set(found) == {*known, new}


def test_a_student_prefers_what_agrees_with_it():
    keep_IN = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]], dtype=np.bool_)
    student_N = np.array([1, 1, 0, 0], dtype=np.bool_)

    assert student_preference(keep_IN, student_N).tolist() == [1, 0.75, 0]


def test_pairs_that_the_student_turns_round_are_found_surest_first():
    quality_I = np.array([0.9, 0.5, 0.1, np.nan])
    # It likes 2 best, then 1, then 0; nobody judged 3.
    preference_I = np.array([0.2, 0.5, 0.9, 1.0])

    # Margins: (0, 2) .7, (1, 2) .4, (0, 1) .3
    assert find_misordered(quality_I, preference_I, limit=9) == [
        (0, 2),
        (1, 2),
        (0, 1),
    ]
    assert find_misordered(quality_I, preference_I, limit=1) == [(0, 2)]


def test_a_student_that_agrees_or_ties_misorders_nothing():
    quality_I = np.array([0.9, 0.5, 0.5])

    assert find_misordered(quality_I, np.array([0.9, 0.1, 0.3]), limit=9) == []
    assert find_misordered(quality_I, np.zeros(3), limit=9) == []


@given(st.integers(2, 12), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_every_candidate_is_compared_and_no_pair_is_lost(num_items, cycles, seed):
    random = np.random.default_rng(seed)
    codes = random.choice(num_items * num_items, size=3)
    known = {
        (min(i, j), max(i, j))
        for i, j in (divmod(int(code), num_items) for code in codes)
        if i != j
    }

    found = plan_pairs(num_items, known, cycles=cycles, rng=random)

    assert known <= set(found)
    assert all(0 <= i < j < num_items for i, j in found)
    assert len(set(found)) == len(found)
    assert (degrees(found, num_items) >= 1).all()
    met = {item for pair in known for item in pair}
    wanted = min(2 * cycles, num_items - 1) if known else 1
    for item in set(range(num_items)) - met:
        assert degrees(found, num_items)[item] >= wanted
