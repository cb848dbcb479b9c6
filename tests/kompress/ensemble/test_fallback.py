from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.aggregation import make_aggregator
from kompress.decisions import Fallback
from kompress.ensemble.fallback import (
    apply_fallbacks,
    choose_fallbacks,
    fallback_columns,
)
from kompress.errors import InvalidVotes
from kompress.types import DROP, KEEP, STRATA, UNKNOWN, Posterior
from tests.truth_codes import coded

HEX, NUMBER = STRATA.index("hex"), STRATA.index("number")


def rng():
    return np.random.default_rng(0)


def decide(p_NM, stratum_N):
    """The majority's decisions."""
    ones = np.ones(p_NM.shape[1])
    return make_aggregator("majority", {}).aggregate(p_NM, ones, stratum_N).mean_N >= (
        0.5
    )


def sighted_on_one_stratum(num_words=50, num_groups=8):
    """Three voters, three strata; each is right on its own, and drops all elsewhere."""
    stratum_N = np.repeat([0, HEX, NUMBER], num_words)
    truth_N = np.tile([KEEP, DROP], len(stratum_N) // 2)
    sighted_NM = stratum_N[:, None] == np.array([0, HEX, NUMBER])
    p_NM = np.where(sighted_NM, truth_N[:, None] == KEEP, 0.0)
    group_N = np.arange(len(stratum_N)) // 2 % num_groups
    return p_NM, truth_N, stratum_N, group_N


def healthy(num_words=50, num_voters=5, seed=0):
    """Independent voters, right at .8, in two strata."""
    draw = np.random.default_rng(seed)
    stratum_N = np.repeat([0, HEX], num_words)
    truth_N = draw.integers(0, 2, 2 * num_words)
    right_NM = draw.random((2 * num_words, num_voters)) < 0.8
    p_NM = np.where(right_NM, truth_N[:, None], 1 - truth_N[:, None]).astype(float)
    return p_NM, truth_N, stratum_N, np.arange(2 * num_words) % 8


def test_where_only_one_voter_sees_it_decides():
    p_NM, truth_N, stratum_N, group_N = sighted_on_one_stratum()
    keep_N = decide(p_NM, stratum_N)

    found = choose_fallbacks(
        ("a", "b", "c"), keep_N, p_NM, coded(truth_N), stratum_N, group_N, rng()
    )

    # Two of three voters drop everything, so the majority does: (0 + 1) / 2. The
    # sighted voter is right on each word, in whatever groups are drawn.
    assert {name: asdict(own) for name, own in found.items()} == {
        stratum: {
            "voter": voter,
            "aggregate": 0.5,
            "best": 1.0,
            "low": -0.5,
            "high": -0.5,
            "words": 50,
        }
        for stratum, voter in (("plain", "a"), ("hex", "b"), ("number", "c"))
    }


def test_a_healthy_majority_stays_although_a_voter_is_luckier_here_and_there():
    lucky, fallen = 0, 0
    for seed in range(40):
        p_NM, truth_N, stratum_N, group_N = healthy(seed=seed)
        # A rule exactly as good as one of its voters, on other dice.
        keep_N = p_NM[:, 0] >= 0.5
        others_NM = p_NM[:, 1:]
        truth = truth_N[:, None] == (others_NM >= 0.5)
        lucky += (truth.mean(axis=0) > (keep_N == truth_N).mean()).any()
        fallen += len(
            choose_fallbacks(
                ("b", "c", "d", "e"),
                keep_N,
                others_NM,
                coded(truth_N),
                stratum_N,
                group_N,
                rng(),
            )
        )

    # By the point estimate alone most would fall back; 16 of 80 strata is 20 %.
    assert lucky > 25
    assert fallen < 16


@pytest.mark.parametrize("seed", range(5))
def test_a_majority_of_independent_voters_never_falls_back(seed):
    p_NM, truth_N, stratum_N, group_N = healthy(seed=seed)
    keep_N = decide(p_NM, stratum_N)
    names = ("a", "b", "c", "d", "e")

    found = choose_fallbacks(
        names, keep_N, p_NM, coded(truth_N), stratum_N, group_N, rng()
    )

    assert found == {}


@pytest.mark.parametrize(
    ("num_words", "num_groups", "is_enough"),
    [
        (50, 3, False),  # three groups of documents
        (50, 4, True),
        (8, 4, True),  # four of each in four groups
    ],
)
def test_a_few_words_or_groups_decide_nothing(num_words, num_groups, is_enough):
    p_NM, truth_N, stratum_N, group_N = sighted_on_one_stratum(num_words, num_groups)
    keep_N = decide(p_NM, stratum_N)

    found = choose_fallbacks(
        ("a", "b", "c"), keep_N, p_NM, coded(truth_N), stratum_N, group_N, rng()
    )

    assert bool(found) is is_enough


def test_words_to_keep_alone_would_elect_whoever_keeps_everything():
    p_NM, truth_N, stratum_N, group_N = sighted_on_one_stratum(100)
    keep_N = decide(p_NM, stratum_N)
    truth_N = np.where(truth_N == KEEP, KEEP, UNKNOWN)

    found = choose_fallbacks(
        ("a", "b", "c"), keep_N, p_NM, coded(truth_N), stratum_N, group_N, rng()
    )

    assert found == {}


def test_a_voter_that_abstains_is_credited_with_the_rule_there():
    p_NM, truth_N, stratum_N, group_N = sighted_on_one_stratum()
    keep_N = decide(p_NM, stratum_N)
    p_NM[:25, 0] = np.nan  # of plain words a says half
    keep_N[:25] = True

    found = choose_fallbacks(
        ("a", "b", "c"), keep_N, p_NM, coded(truth_N), stratum_N, group_N, rng()
    )

    # The first 25 words are 13 to keep and 12 to drop, and kept; of the others a is
    # right on all, and the rule drops all: (25/25 + 13/25) / 2 against twice 13/25.
    assert found["plain"].voter == "a"
    assert found["plain"].best == pytest.approx(0.76)
    assert found["plain"].aggregate == pytest.approx(0.52)


def test_two_words_to_keep_decide_nothing_however_many_groups():
    p_NM, truth_N, stratum_N, _ = sighted_on_one_stratum(4)
    keep_N = decide(p_NM, stratum_N)

    found = choose_fallbacks(
        ("a", "b", "c"), keep_N, p_NM, coded(truth_N), stratum_N, np.arange(12), rng()
    )

    assert found == {}


def test_words_to_drop_of_one_document_decide_nothing():
    # Eight documents of eight words; three words of the first are to drop. The rule
    # keeps everything: .5; a is always right.
    truth_N = np.full(64, KEEP)
    truth_N[:3] = DROP
    keep_N = np.ones(64, dtype=bool)
    p_NM = np.where(truth_N == KEEP, 1.0, 0.0)[:, None]
    one, four = np.arange(64) // 8, np.arange(64) % 8

    def find(truth_N, p_NM, group_N):
        return choose_fallbacks(
            ("a",), keep_N, p_NM, truth_N, np.zeros(64, np.uint8), group_N, rng()
        )

    assert find(truth_N, p_NM, one) == {}
    # Nor do they in three documents; but a fourth decides.
    assert find(truth_N, p_NM, four) == {}
    truth_N[3] = DROP
    found = find(truth_N, np.where(truth_N == KEEP, 1.0, 0.0)[:, None], four)
    assert (found["plain"].low, found["plain"].high) == (-0.5, -0.5)


def test_the_order_of_words_changes_nothing():
    p_NM, truth_N, stratum_N, group_N = healthy()
    keep_N = ~decide(p_NM, stratum_N)  # surely worse
    order = np.random.default_rng(5).permutation(len(truth_N))
    names = ("a", "b", "c", "d", "e")

    one = choose_fallbacks(
        names, keep_N, p_NM, coded(truth_N), stratum_N, group_N, rng()
    )
    other = choose_fallbacks(
        names,
        keep_N[order],
        p_NM[order],
        coded(truth_N[order]),
        stratum_N[order],
        group_N[order],
        rng(),
    )

    assert one == other
    assert set(one) == {"plain", "hex"}


def test_a_fallback_takes_over_its_words_and_says_so():
    # hex: b votes .9 of four draws, then abstains; plain words stay as they are.
    p_NM = np.array([[0.1, 0.9], [0.1, np.nan], [0.1, 0.9]])
    stratum_N = np.array([HEX, HEX, 0])
    strength_M = np.array([1.0, 4.0])
    before = Posterior(np.full(3, 2.0), np.full(3, 5.0), np.full((len(STRATA), 2), 0.5))

    after = apply_fallbacks(before, p_NM, strength_M, stratum_N, {HEX: 1})

    # Beta(1 + 4 * .9, 1 + 4 * .1)
    np.testing.assert_allclose(after.alpha_N, [4.6, 2, 2])
    np.testing.assert_allclose(after.beta_N, [1.4, 5, 5])
    assert after.weight_SM[HEX].tolist() == [0, 1]
    assert after.weight_SM[0].tolist() == [0.5, 0.5]
    assert before.alpha_N.tolist() == [2, 2, 2]


def test_what_was_decided_names_columns_of_the_panel_that_is_there():
    decided = {
        "hex": Fallback("b", 0.5, 1.0, -0.5, -0.5, 50),
        "plain": Fallback("gone", 0.5, 1.0, -0.5, -0.5, 50),
    }

    assert fallback_columns(decided, ("a", "b")) == {HEX: 1}


def test_no_fallback_leaves_the_very_posterior():
    before = Posterior(np.ones(1), np.ones(1), np.zeros((len(STRATA), 1)))

    assert apply_fallbacks(before, np.array([[0.5]]), [1.0], [0], {}) is before


def test_a_voter_without_samples_abstains():
    before = Posterior(np.ones(1), np.ones(1), np.zeros((len(STRATA), 1)))

    after = apply_fallbacks(before, np.array([[0.9]]), [0.0], [0], {0: 0})

    assert (after.alpha_N.tolist(), after.weight_SM[0].tolist()) == ([1], [0])


def test_byte_codes_fall_back_as_what_they_stand_for():
    # Code 254 stands for 254.5 / 255.
    before = Posterior(np.ones(1), np.ones(1), np.zeros((len(STRATA), 1)))
    codes_NM = np.array([[254]], dtype=np.uint8)

    after = apply_fallbacks(before, codes_NM, [1.0], [0], {0: 0})

    np.testing.assert_allclose(after.alpha_N, [1 + 254.5 / 255])


@given(st.data())
def test_applied_fallbacks_decide_as_their_voters_where_they_voted(data):
    size = data.draw(st.integers(1, 12))
    p = st.one_of(st.just(float("nan")), st.floats(0, 1))
    p_NM = np.array(data.draw(st.lists(st.tuples(p, p), min_size=size, max_size=size)))
    stratum_N = np.array(data.draw(st.lists(st.integers(0, 3), min_size=size,
                                            max_size=size)))  # fmt: skip
    columns = data.draw(st.dictionaries(st.integers(0, 3), st.integers(0, 1)))
    before = make_aggregator("beta", {}).aggregate(p_NM, np.ones(2), stratum_N)

    after = apply_fallbacks(before, p_NM, np.ones(2), stratum_N, columns)

    assert ((after.mean_N > 0) & (after.mean_N < 1)).all()
    for n, stratum in enumerate(stratum_N.tolist()):
        own = p_NM[n, columns[stratum]] if stratum in columns else np.nan
        if np.isnan(own):
            assert after.mean_N[n] == before.mean_N[n]
        else:
            assert after.mean_N[n] == pytest.approx((1 + own) / 3)


def test_wrong_shapes_say_what_was_expected():
    p_NM = np.ones((2, 1))
    with pytest.raises(InvalidVotes, match=r"expected \(N, M\) and \(N,\)"):
        choose_fallbacks(("a",), [True], p_NM, [KEEP, DROP], [0, 0], [0, 0], rng())
    with pytest.raises(InvalidVotes, match="words by voters"):
        apply_fallbacks(
            Posterior(np.ones(1), np.ones(1), np.ones((1, 1))), [0.5], [1], [0], {0: 0}
        )
