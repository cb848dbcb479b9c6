"""Agreement beyond chance is Krippendorff's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.ensemble.agreement import krippendorff_alpha
from kompress.errors import InvalidVotes

X = np.nan
# The standard example: 3 coders, 15 units.
CODERS = np.array([
    [X, X, X, X, X, 3, 4, 1, 2, 1, 1, 3, 3, X, 3],
    [1, X, 2, 1, 3, 3, 4, 3, X, X, X, X, X, X, X],
    [X, X, 2, 1, 3, 4, 4, X, 2, 1, 1, 3, 3, X, 4],
])  # fmt: skip


@pytest.mark.parametrize(
    ("level", "alpha"), [("nominal", 0.691358), ("interval", 0.810845)]
)
def test_the_standard_example_has_its_published_alpha(level, alpha):
    assert krippendorff_alpha(CODERS.T, level) == pytest.approx(alpha, abs=5e-7)


@pytest.mark.parametrize("level", ["nominal", "interval"])
@pytest.mark.parametrize("seed", range(5))
def test_random_votes_with_holes_agree_with_the_other_implementation(level, seed):
    import krippendorff

    rng = np.random.default_rng(seed)
    votes_UM = rng.integers(0, 4, (60, 1)) + (rng.random((60, 5)) < 0.3)
    votes_UM = np.where(rng.random((60, 5)) < 0.3, np.nan, votes_UM)

    own = krippendorff_alpha(votes_UM, level)

    other = krippendorff.alpha(votes_UM.T, level_of_measurement=level)
    assert own == pytest.approx(other, abs=1e-12)


@given(st.integers(0, 2**32), st.sampled_from(["nominal", "interval"]))
def test_a_count_stands_for_as_many_units(seed, level):
    rng = np.random.default_rng(seed)
    codes_UM = rng.choice([0, 120, 254, 255], (12, 3)).astype(np.uint8)
    count_U = rng.integers(1, 4, 12)

    counted = krippendorff_alpha(codes_UM, level, count_U)

    whole = krippendorff_alpha(np.repeat(codes_UM, count_U, axis=0), level)
    if whole is None:
        assert counted is None
    else:
        assert counted == pytest.approx(whole, abs=1e-12)
        assert counted <= 1


def test_what_cannot_be_compared_has_no_alpha():
    alone = [[1.0, X], [X, 0.0]]
    always = [[1.0, 1.0], [1.0, 1.0]]

    assert krippendorff_alpha(alone) is None
    assert krippendorff_alpha(always) is None
    assert krippendorff_alpha(np.zeros((0, 3))) is None


def test_voters_that_never_differ_agree_wholly():
    assert krippendorff_alpha([[1.0, 1.0], [0.0, 0.0]]) == 1


def test_a_wrong_shape_is_refused():
    with pytest.raises(InvalidVotes, match="units by voters"):
        krippendorff_alpha([1.0, 0.0])
    with pytest.raises(InvalidVotes, match=r"expected \(2,\)"):
        krippendorff_alpha([[1.0, 0.0], [1.0, 1.0]], "nominal", [1])
