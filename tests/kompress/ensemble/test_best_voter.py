"""A rule beside its best voter: who is compared, with whom, and when not at all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.aggregation.statistics import recalls
from kompress.ensemble.best_voter import compare_with_best, first_best, is_enough
from kompress.errors import InvalidVotes


def rng():
    return np.random.default_rng(0)


def test_the_rate_that_is_compared_can_be_recall():
    # Four groups of ten words to keep: the rule keeps 5, the voters 9 and 2.
    rule_G4 = np.array([[5, 5, 0, 0]] * 4)
    voter_MG4 = np.array([[[2, 8, 0, 0]] * 4, [[9, 1, 0, 0]] * 4])

    found = compare_with_best(rule_G4, voter_MG4, rng(), rate=recalls)

    assert found is not None
    assert (found.best, found.value, found.best_value) == (1, 0.5, 0.9)
    assert (found.low, found.high) == pytest.approx((-0.4, -0.4))
    # Without a word to drop there is no balanced accuracy.
    assert compare_with_best(rule_G4, voter_MG4, rng()) is None


def test_the_best_voter_is_compared_where_it_was_not_chosen():
    # Four groups of one word to keep and one to drop; the rule is wrong on all words to
    # keep (.5). Voter g is right on group g alone, and inverts all others (0).
    right, wrong = [1, 0, 0, 1], [0, 1, 1, 0]
    rule_G4 = np.array([[0, 1, 0, 1]] * 4)
    voter_MG4 = np.array(
        [[right if g == m else wrong for g in range(4)] for m in range(4)]
    )

    found = compare_with_best(rule_G4, voter_MG4, rng())

    # Each fold is one group; the voter that is right there looks worst on the others.
    assert found is not None
    assert (found.best_value, found.value) == (0.25, 0.5)
    assert (found.low, found.high) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("groups", "of_both", "of_keep"),
    [
        ([[1, 0, 0, 1]] * 3, False, False),  # three groups
        ([[1, 0, 0, 1]] * 4, True, True),
        ([[1, 0, 0, 0]] * 3 + [[0, 0, 0, 1]] * 4, False, False),  # three with a keep
        ([[0, 1, 0, 0]] * 4 + [[0, 0, 9, 0]], False, True),  # all drops in one group
        ([[2, 0, 0, 0]] * 5, False, True),
        ([], False, False),
    ],
)
def test_a_verdict_takes_four_groups_of_each_class_it_needs(groups, of_both, of_keep):
    counts_G4 = np.array(groups, dtype=np.int64).reshape(-1, 4)

    assert is_enough(counts_G4) is of_both
    assert is_enough(counts_G4, rate=recalls) is of_keep


@pytest.mark.parametrize("lucky", [0, 1])
def test_who_leads_nowhere_else_is_not_chosen_by_its_column(lucky):
    # Four groups of two words to keep and two to drop. All keep everything (1/2), but
    # in the first group one voter is right on every word and the other wrong.
    keeps = [2, 0, 2, 0]
    rule_G4 = np.array([keeps] * 4)
    right, wrong = [[2, 0, 0, 2], *[keeps] * 3], [[0, 2, 2, 0], *[keeps] * 3]
    voters = [right, wrong] if lucky == 0 else [wrong, right]

    found = compare_with_best(rule_G4, np.array(voters), rng())

    # On the other groups both are equal, so that their mean stands for the first one:
    # one word of each two. Elsewhere the lucky one leads, and keeps everything.
    assert (found.best, found.best_value) == (lucky, 0.625)
    assert (found.low, found.high) == (0, 0)


def test_a_fold_that_holds_all_words_to_drop_is_left_out():
    # Of forty groups four hold a word to drop; they are dealt to ten folds of four.
    rule_G4 = np.array([[1, 0, 1, 0]] * 4 + [[1, 0, 0, 0]] * 36)
    voter_MG4 = np.array([[[1, 0, 0, 1]] * 4 + [[1, 0, 0, 0]] * 36])
    together = next(
        seed
        for seed in range(100_000)
        if np.unique(np.random.default_rng(seed).permutation(40)[:4] % 10).size == 1
    )

    # 1/2 beside 1, whatever is drawn.
    found = compare_with_best(rule_G4, voter_MG4, rng())
    assert (found.low, found.high) == (-0.5, -0.5)
    # No other fold tells who is best; without that one there is nothing to drop.
    assert (
        compare_with_best(rule_G4, voter_MG4, np.random.default_rng(together)) is None
    )


def test_an_interval_of_few_groups_reaches_as_far_as_t_says():
    # Recall of the rule less the voter's: +1 in one group of eight, -.7 in the others.
    # Drawn k times, that group brings it to (1.7 k - 5.6) / 8: below 0 up to k = 3. It
    # is drawn four times or more in 1.1 % of draws, within the plain 2.5 %.
    rule_G4 = np.array([[10, 0, 0, 0]] + [[3, 7, 0, 0]] * 7)
    voter_MG4 = np.array([[[0, 10, 0, 0]] + [[10, 0, 0, 0]] * 7])

    found = compare_with_best(rule_G4, voter_MG4, rng(), rate=recalls)

    assert found.low == pytest.approx(-0.7)
    assert found.high == pytest.approx((1.7 * 4 - 5.6) / 8)
    assert not found.is_below


def test_a_rule_as_good_as_its_voters_is_seldom_below_the_best_of_them():
    num_below = 0
    for seed in range(150):
        draw = np.random.default_rng(seed)
        # 50 words in each of 8 groups, half to keep; nine that are right at .8.
        keep_MG, drop_MG = draw.binomial(25, 0.8, (2, 9, 8))
        counts_MG4 = np.stack([keep_MG, 25 - keep_MG, 25 - drop_MG, drop_MG], axis=2)
        found = compare_with_best(counts_MG4[0], counts_MG4[1:], draw)
        num_below += found.is_below

    # 8 % by the docstring; by plain percentiles 14 %, 21 of 150.
    assert num_below <= 18


@given(st.data())
def test_the_order_of_voters_changes_no_interval(data):
    size = st.integers(4, 7)
    num_groups, num_voters = data.draw(size), data.draw(st.integers(1, 4))
    count = st.integers(0, 2)
    right = data.draw(
        st.lists(
            st.tuples(*[st.tuples(count, count)] * (num_voters + 1)),
            min_size=num_groups,
            max_size=num_groups,
        )
    )
    counts_MG4 = np.array(
        [[[tp, 2 - tp, 2 - tn, tn] for tp, tn in group] for group in right]
    ).transpose(1, 0, 2)
    rule_G4, voter_MG4 = counts_MG4[0], counts_MG4[1:]
    order = data.draw(st.permutations(range(num_voters)))

    one = compare_with_best(rule_G4, voter_MG4, rng())
    other = compare_with_best(rule_G4, voter_MG4[order], rng())

    assert (one.low, one.high, one.best_value) == (
        other.low,
        other.high,
        pytest.approx(other.best_value),
    )


def test_the_first_of_the_best_is_named_and_nobody_without_a_rate():
    assert first_best(np.array([np.nan, 0.3, 0.5, 0.5])) == 2
    # .5 + .8 and .6 + .7 differ in the last bit.
    assert first_best(np.array([0.6 + 0.7, 0.5 + 0.8])) == 0
    assert first_best(np.array([np.nan])) is None
    assert first_best(np.array([])) is None


def test_wrong_shapes_say_what_was_expected():
    with pytest.raises(InvalidVotes, match=r"expected \(G, 4\) and \(M, G, 4\)"):
        compare_with_best(np.ones((2, 4)), np.ones((1, 3, 4)), rng())
