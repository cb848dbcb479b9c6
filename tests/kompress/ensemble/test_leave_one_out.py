"""What a voter adds: nothing for a copy or noise, mutual information for the rest."""

import numpy as np
import pytest

from kompress.aggregation.rules.stacking import Stacking
from kompress.ensemble.leave_one_out import (
    GoldVotes,
    LeaveOneOutValue,
    measure_additions,
    measure_leave_one_out,
)
from kompress.errors import InvalidVotes
from kompress.types import UNKNOWN
from tests.truth_codes import coded

NAMES = ("good", "other", "copy", "noise")


def draw(num_words=1_200):
    """Voters right at .9 and .8, a copy of the second, and a coin."""
    rng = np.random.default_rng(8)
    truth_N = rng.integers(0, 2, num_words).astype(np.uint8)
    right_NM = rng.random((num_words, 3)) < [0.9, 0.8, 0.5]
    keep_NM = (truth_N[:, None] == 1) == right_NM[:, [0, 1, 1, 2]]
    codes_NM = np.where(keep_NM, 250, 4).astype(np.uint8)
    return (
        codes_NM,
        coded(truth_N),
        np.zeros(num_words, int),
        np.arange(num_words) // 12,
    )


@pytest.fixture(scope="module")
def gains():
    found = measure_leave_one_out(
        Stacking(),
        GoldVotes.read(NAMES, draw()[0], 1.0, *draw()[1:]),
        np.random.default_rng(0),
    )
    return {gain.voter: gain for gain in found}


def test_a_voter_adds_what_the_others_cannot_say(gains):
    # Beside a voter right at .8 one at .9 adds I(t; a | b) = H(a | b) - H(a | t):
    # P(a = b) = .9 * .8 + .1 * .2 = .74, so .827 - .469 = .358 bits.
    assert gains["good"].bits == pytest.approx(0.358, abs=0.04)
    assert gains["good"].bits_low > 0.3
    # H(b | a) - H(b | t) = .827 - .722 = .105 for the other, were it alone.
    left = measure_leave_one_out(
        Stacking(), GoldVotes.read(NAMES[:2], draw()[0][:, :2], 1.0, *draw()[1:]),
        np.random.default_rng(0),
    )  # fmt: skip
    assert left[1].bits == pytest.approx(0.105, abs=0.03)


def test_a_copy_and_a_coin_add_nothing(gains):
    for name in ("other", "copy", "noise"):
        assert abs(gains[name].bits) < 0.005
        assert gains[name].bits_low < 0.005 < gains["good"].bits_low


def test_rates_are_those_on_gold(gains):
    assert gains["good"].sensitivity == pytest.approx(0.9, abs=0.03)
    assert gains["other"].specificity == pytest.approx(0.8, abs=0.03)
    assert gains["good"].num_words == 1_200
    assert gains["good"].bits_of_another > gains["other"].bits_of_another > 0


def test_additions_are_gains_of_the_panel_with_one_voter_each():
    codes_NM, *known = draw()
    panel = ("good", "noise")

    found = measure_additions(
        Stacking(),
        GoldVotes.read(
            (*panel, "other", "copy", "mute"),
            np.column_stack(
                [codes_NM[:, [0, 3, 1, 2]], np.full(len(codes_NM), 255, "u1")]
            ),
            1.0, *known,
        ),
        np.random.default_rng(0), num_panel=2,
    )  # fmt: skip

    alone = [
        measure_leave_one_out(
            Stacking(),
            GoldVotes.read(
                (*panel, name), codes_NM[:, [0, 3, column]], 1.0, *known
            ),
            np.random.default_rng(0),
        )[-1]
        for column, name in ((1, "other"), (2, "copy"))
    ]  # fmt: skip
    assert list(found) == alone
    assert found[0].bits > 0.05  # its copy is not beside it


def test_without_a_panel_nothing_is_added():
    codes_NM, *known = draw(100)

    assert measure_additions(
        Stacking(), GoldVotes.read(NAMES, codes_NM, 1.0, *known),
        np.random.default_rng(0), num_panel=0,
    ) == ()  # fmt: skip


def test_equal_seeds_give_equal_gains(gains):
    again = measure_leave_one_out(
        Stacking(),
        GoldVotes.read(NAMES, draw()[0], 1.0, *draw()[1:]),
        np.random.default_rng(0),
    )

    assert {gain.voter: gain for gain in again} == gains


def test_a_word_is_judged_by_a_fit_without_its_group():
    seen = []

    class Spy:
        """Keeps what it was fitted to; answers with the prior."""

        properties = frozenset()

        def fit(self, patterns):
            seen.append(patterns.num_words)
            return Stacking().fit(patterns)

    codes_NM, truth_N, stratum_N, _ = draw(40)
    group_N = np.repeat(["a", "b"], [10, 30])

    measure_leave_one_out(
        Spy(), GoldVotes.read(NAMES, codes_NM, 1.0, truth_N, stratum_N, group_N),
        np.random.default_rng(0),
    )  # fmt: skip

    # Two groups, two folds; all voters, then without each of four.
    assert sorted(seen) == [10] * 5 + [30] * 5


def test_too_little_gold_gives_no_interval_or_no_gain():
    codes_NM, truth_N, stratum_N, _ = draw(40)
    rng = np.random.default_rng(0)

    few = measure_leave_one_out(
        Stacking(),
        GoldVotes.read(NAMES, codes_NM, 1.0, truth_N, stratum_N, np.arange(40) // 10),
        rng,
    )
    one_group = measure_leave_one_out(
        Stacking(),
        GoldVotes.read(NAMES, codes_NM, 1.0, truth_N, stratum_N, np.zeros(40)),
        rng,
    )
    none = measure_leave_one_out(
        Stacking(),
        GoldVotes.read(
            NAMES, codes_NM, 1.0, np.full(40, UNKNOWN), stratum_N, np.arange(40)
        ),
        rng,
    )  # fmt: skip

    assert few[0].bits_low is None
    assert (one_group, none) == ((), ())


def test_who_never_voted_has_no_gain():
    codes_NM, truth_N, stratum_N, group_N = draw(120)
    codes_NM[:, 3] = 255

    found = measure_leave_one_out(
        Stacking(), GoldVotes.read(NAMES, codes_NM, 1.0, truth_N, stratum_N, group_N),
        np.random.default_rng(0),
    )  # fmt: skip

    assert [gain.voter for gain in found] == list(NAMES[:3])
    assert isinstance(found[0], LeaveOneOutValue)


def test_a_wrong_shape_is_refused():
    codes_NM, truth_N, stratum_N, group_N = draw(12)
    with pytest.raises(InvalidVotes, match="3 names"):
        GoldVotes.read(NAMES[:3], codes_NM, 1.0, truth_N, stratum_N, group_N)


@pytest.mark.parametrize(
    ("num_groups", "has_interval"), [(1, False), (4, False), (5, True)]
)
def test_who_votes_on_gold_of_few_documents_has_no_interval(num_groups, has_interval):
    codes_NM, truth_N, stratum_N, group_N = draw(240)  # 20 groups
    codes_NM[group_N >= num_groups, 0] = 255

    found = measure_leave_one_out(
        Stacking(), GoldVotes.read(NAMES, codes_NM, 1.0, truth_N, stratum_N, group_N),
        np.random.default_rng(0), num_bootstraps=50,
    )  # fmt: skip

    assert found[0].num_words == 12 * num_groups
    assert (found[0].bits_low is not None) is has_interval
    assert found[1].bits_low is not None
