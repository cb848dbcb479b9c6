"""One word's posterior, worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.aggregation.reliability.likelihood import Believed, FamilyLikelihood, Pool
from kompress.aggregation.reliability.quantile_bins import cut_bins
from kompress.aggregation.reliability.tables import Tables
from kompress.errors import InvalidVotes
from kompress.types import STRATA

S = len(STRATA)
YES_NO = cut_bins(np.array([0, 254], np.uint8), np.ones(2))


def coin(column, true_keeps, keeps, true_drops, drops, copies=()):
    """Make a voter of known counts: keeps of words to keep, drops of words to drop."""
    alpha = np.array([[drops, true_drops - drops], [true_keeps - keeps, keeps]])
    tables = Tables.known(np.tile(alpha.astype(float), (S, 1, 1)))
    return Believed.of((column, *copies), YES_NO, tables)


def pool(*voters, odds=1.0, num_voters=None):
    families = tuple(FamilyLikelihood((voter,), None) for voter in voters)
    size = num_voters or len(voters)
    return Pool(size, np.full(S, np.log(odds)), families, np.ones(size))


def aggregate(made, votes, strength=None, stratum=0):
    votes = np.array([votes], dtype=np.uint8)
    strength = np.ones(votes.shape[1]) if strength is None else np.array(strength)
    return made.aggregate(votes, strength, np.array([stratum]))


def test_one_vote_moves_the_prior_by_its_likelihood_ratio():
    # Keeps 80 of 100 to keep and 30 of 100 to drop; prevalence 1 : 3.
    made = pool(coin(0, 100, 80, 100, 70), odds=1 / 3)

    kept = aggregate(made, [254]).mean_N[0]
    dropped = aggregate(made, [0]).mean_N[0]

    # Odds 1/3 * 80/30 = 8/9 and 1/3 * 20/70 = 2/21.
    assert np.isclose(kept, 8 / 17)
    assert np.isclose(dropped, 2 / 23)


def test_votes_multiply_and_disagreement_widens():
    made = pool(*[coin(m, 1e6, 8e5, 1e6, 8e5) for m in range(3)])

    agreed = aggregate(made, [254, 254, 254])
    split = aggregate(made, [254, 254, 0])

    # Odds 4^3 = 64, and 4.
    assert np.isclose(agreed.mean_N[0], 64 / 65)
    assert np.isclose(split.mean_N[0], 4 / 5)
    # e = ln 4; V = (3e² - 9e²/4) / 3 = e²/4, and (3e² - e²/4) / 3 = 11e²/12.
    e2 = np.log(4) ** 2
    assert np.isclose(agreed.alpha_N[0], 65 / (e2 / 4), rtol=1e-4)
    assert np.isclose(split.beta_N[0], (5 / 4) / (11 * e2 / 12), rtol=1e-4)


def test_what_is_not_known_about_a_voter_widens():
    known = aggregate(pool(coin(0, 1e6, 8e5, 1e6, 8e5)), [254])
    unknown = aggregate(pool(coin(0, 10, 8, 10, 8)), [254])

    assert np.isclose(known.mean_N[0], unknown.mean_N[0])
    assert unknown.sd_N[0] > 1.2 * known.sd_N[0]


def test_between_yes_and_no_a_vote_counts_in_parts():
    made = pool(coin(0, 100, 80, 100, 80))

    halfway = aggregate(made, [127]).mean_N[0]
    three_quarters = aggregate(made, [190]).mean_N[0]

    # From ln 1/4 at code 0 to ln 4 at 254, on a straight line: 190/254 of the way.
    assert np.isclose(halfway, 1 / 2)
    assert np.isclose(np.log(three_quarters / (1 - three_quarters)),
                      np.log(4) * (2 * 190 / 254 - 1))  # fmt: skip


def test_five_samples_count_as_one_and_two_thirds():
    made = pool(coin(0, 100, 80, 100, 80))

    five = aggregate(made, [254], strength=[5]).mean_N[0]

    assert np.isclose(five / (1 - five), 4 ** (5 / 3))


def test_half_a_vote_is_half_way_to_no_vote():
    made = pool(coin(0, 1e6, 8e5, 1e6, 8e5), coin(1, 1e6, 8e5, 1e6, 8e5))

    half = aggregate(made, [254, 255], strength=[0.5, 1])
    halves = aggregate(made, [254, 254], strength=[0.5, 0.5])

    # Odds 4^½ = 2: half of 2/3 and half of 1/2. e = ln 4, V = e²/2 as for a whole
    # vote, α + β is half of (3 + 3/2) / V and half of 2.
    total = 1 + 2.25 / (np.log(4) ** 2 / 2)
    assert np.isclose(half.alpha_N[0], 7 / 12 * total, rtol=1e-4)
    assert np.isclose(half.beta_N[0], 5 / 12 * total, rtol=1e-4)
    # Together one usual vote: odds 4, and V = (2e² - 4e²/3) / 2 = e²/3.
    assert np.isclose(halves.mean_N[0], 4 / 5)
    assert np.isclose(halves.alpha_N[0], 5 / (np.log(4) ** 2 / 3), rtol=1e-4)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 999), st.integers(1, 999), st.integers(0, 255)),
        min_size=1,
        max_size=4,
    ),
    st.floats(1e-12, 1),
)
def test_fewer_samples_never_make_surer_than_usual_or_than_no_vote(voters, samples):
    made = pool(*[coin(m, 1e3, a, 1e3, b) for m, (a, b, _) in enumerate(voters)])
    votes = [vote for _, _, vote in voters]

    usual, faint, none = (
        aggregate(made, votes, strength=[strength] * len(votes))
        for strength in (1, samples, 1e-15)
    )

    # Beta(1, 1) has 1/√12; split strong votes are less sure than that.
    least = min(usual.sd_N[0], 12**-0.5)
    assert faint.sd_N[0] >= least - 1e-12
    assert np.allclose([none.alpha_N, none.beta_N], 1, atol=1e-4)
    assert abs(faint.mean_N[0] - 0.5) <= abs(usual.mean_N[0] - 0.5) + 1e-12


def test_silence_says_nothing_and_no_vote_is_the_prior_of_all():
    made = pool(coin(0, 100, 80, 100, 80), coin(1, 100, 90, 100, 90), odds=9)

    one = aggregate(made, [254, 255])
    none = aggregate(made, [255, 255])

    assert np.isclose(one.mean_N[0], 36 / 37)
    assert (none.alpha_N[0], none.beta_N[0]) == (1, 1)
    assert not none.weight_SM.any()


def test_a_vote_without_samples_is_silence():
    made = pool(coin(0, 100, 80, 100, 80), coin(1, 100, 90, 100, 90))

    one = aggregate(made, [254, 255])
    other = aggregate(made, [254, 0], strength=[1, 0])

    assert np.array_equal(one.alpha_N, other.alpha_N)


def test_a_copy_stands_in_where_the_first_is_silent():
    made = pool(coin(0, 100, 80, 100, 80, copies=(1,)), num_voters=2)

    both = aggregate(made, [254, 254])
    second = aggregate(made, [255, 254])

    assert np.isclose(both.mean_N[0], 4 / 5)
    assert np.array_equal(both.alpha_N, second.alpha_N)
    assert both.weight_SM[0].tolist() == [0.5, 0.5]


def test_copies_that_differ_at_last_meet_halfway_however_many_agree():
    two = pool(coin(0, 100, 80, 100, 80, copies=(1,)), num_voters=2)
    four = pool(coin(0, 100, 80, 100, 80, copies=(1, 2, 3)), num_voters=4)

    split = aggregate(two, [254, 0])
    outvoted = aggregate(four, [254, 0, 0, 255])

    # Halfway between the codes 0 and 254 a vote says nothing.
    assert np.isclose(split.mean_N[0], 1 / 2)
    assert np.array_equal(outvoted.alpha_N, split.alpha_N)


def test_a_family_that_always_votes_as_one_is_one_voter():
    # State "each for itself" has weight 1e-9; leaning, every member follows.
    def follower(column):
        voter = coin(column, 100, 50, 100, 50)
        leaning = [
            Tables.known(np.tile([[1e-6, 1e6]] * 2, (S, 1, 1))),
            Tables.known(np.tile([[1e6, 1e-6]] * 2, (S, 1, 1))),
        ]
        return Believed.of(voter.columns, YES_NO, voter.tables, tuple(leaning))

    # Leans to keeping on 80 of 100 words to keep, on 20 of 100 to drop.
    states = np.array([[1e-7, 20, 80], [1e-7, 80, 20]])
    family = FamilyLikelihood(
        tuple(follower(m) for m in range(3)), Tables.known(np.tile(states, (S, 1, 1)))
    )
    made = Pool(3, np.zeros(S), (family,), np.ones(3))

    kept = aggregate(made, [254, 254, 254])

    assert np.isclose(kept.mean_N[0], 4 / 5, atol=1e-6)
    assert np.allclose(family.tempering_S, 1 / 3, atol=1e-6)
    assert np.allclose(family.keep_ST(family.voters[0])[0], [0.2, 0.8])


def test_a_family_that_is_silent_adds_nothing_to_another_voters_word():
    def member(column):
        voter = coin(column, 100, 80, 100, 80)
        leaning = (Tables(np.full((2, 2), 0.5)), Tables(np.full((2, 2), 0.5)))
        return Believed.of(voter.columns, YES_NO, voter.tables, leaning)

    # The states' priors differ by truth: heard of nobody, they must not be read.
    states = Tables(np.array([[0.5, 0.1, 0.4], [0.2, 0.7, 0.1]]))
    family = FamilyLikelihood((member(1), member(2)), states)
    single = FamilyLikelihood((coin(0, 100, 80, 100, 80),), None)
    made = Pool(3, np.zeros(S), (single, family), np.ones(3))

    found = aggregate(made, [254, 255, 255])
    alone = aggregate(pool(coin(0, 100, 80, 100, 80)), [254])

    assert np.array_equal(found.alpha_N, alone.alpha_N)
    assert np.array_equal(found.beta_N, alone.beta_N)


def test_a_bump_of_a_better_than_chance_voter_is_smoothed():
    # Three bins; the middle one has few words and seems to say drop.
    bins = cut_bins(np.array([10, 140, 250], np.uint8), np.ones(3))
    alpha = np.array([[80.0, 4, 20], [20, 1, 80]])
    made = Believed.of((0,), bins, Tables.known(np.tile(alpha, (S, 1, 1))))

    assert (np.diff(made.ratio_SC[0, :255]) >= 0).all()


def test_another_panel_is_refused():
    with pytest.raises(InvalidVotes, match="of 2 voters; this fit knows 1"):
        aggregate(pool(coin(0, 10, 8, 10, 8)), [254, 0])
