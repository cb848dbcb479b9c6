"""Every rule refuses a wrong matrix, and no answer depends on the block or shard."""

import re

import numpy as np
import pytest

from kompress.aggregation import AGGREGATORS
from kompress.aggregation.learned import Learner
from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.votes import BLOCK_WORDS, read_boundary
from kompress.errors import InvalidVotes
from kompress.types import STRATA, decode_votes


@pytest.mark.parametrize(
    ("p_NM", "strength", "stratum_N", "says"),
    [
        ([0.5, 0.5], [1], [0, 0], "expected (N, M)"),
        ([[0.5], [1.5]], [1], [0, 0], "[0, 1]"),
        ([[0.5], [-0.1]], [1], [0, 0], "[0, 1]"),
        ([["a"], ["b"]], [1], [0, 0], "uint8"),
        ([[1], [0]], [1], [0, 0], "uint8"),  # whole numbers may be codes or P
        ([[0.5], [0.5]], [1, 1], [0, 0], "one a voter"),
        ([[0.5], [0.5]], [-1], [0, 0], ">= 0"),
        ([[0.5], [0.5]], [np.nan], [0, 0], ">= 0"),
        ([[0.5], [0.5]], [np.inf], [0, 0], ">= 0"),
        ([[0.5], [0.5]], ["x"], [0, 0], "expected numbers"),
        ([[0.5], [0.5]], [1], [0], "a code a word"),
        ([[0.5], [0.5]], [1], [0, len(STRATA)], "STRATA"),
        ([[0.5], [0.5]], [1], [0, -1], "STRATA"),
        ([[0.5], [0.5]], [1], [0.0, 0.0], "integer"),
    ],
)
def test_a_matrix_that_breaks_the_contract_is_refused_in_words(
    p_NM, strength, stratum_N, says
):
    with pytest.raises(InvalidVotes, match=re.escape(says)):
        AGGREGATORS["beta"]().aggregate(p_NM, strength, stratum_N)


@pytest.mark.parametrize("name", AGGREGATORS)
def test_no_words_give_an_empty_posterior(name):
    posterior = AGGREGATORS[name]().aggregate(np.zeros((0, 2)), [1, 1], [])

    assert posterior.alpha_N.shape == (0,)
    assert posterior.weight_SM.shape == (len(STRATA), 2)
    assert not posterior.weight_SM.any()


@pytest.mark.parametrize("name", AGGREGATORS)
def test_no_voters_give_the_prior(name):
    posterior = AGGREGATORS[name]().aggregate(np.zeros((3, 0)), [], [0, 0, 0])

    assert posterior.alpha_N.tolist() == posterior.beta_N.tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", AGGREGATORS)
def test_bytes_and_the_floats_they_stand_for_give_the_same(name):
    rng = np.random.default_rng(1)
    codes_NM = rng.integers(0, 256, (500, 4)).astype(np.uint8)
    stratum_N = rng.integers(0, len(STRATA), 500)

    of_codes = AGGREGATORS[name]().aggregate(codes_NM, [1, 2, 3, 4], stratum_N)
    of_floats = AGGREGATORS[name]().aggregate(
        decode_votes(codes_NM), [1, 2, 3, 4], stratum_N
    )

    assert np.array_equal(of_codes.alpha_N, of_floats.alpha_N)
    assert np.array_equal(of_codes.weight_SM, of_floats.weight_SM)


@pytest.mark.parametrize("name", AGGREGATORS)
def test_a_words_posterior_has_the_same_bits_in_any_shard(name):
    # Ten voters and a shard of one word: numpy's own sum would add in another order.
    rng = np.random.default_rng(2)
    size = BLOCK_WORDS + 100
    codes_NM = rng.integers(0, 256, (size, 10)).astype(np.uint8)
    strength_NM = rng.integers(1, 9, (size, 10))
    rule = AGGREGATORS[name]()
    if isinstance(rule, Learner):  # which learns from all of them first
        rule = rule.fit(count_patterns(codes_NM, strength_NM, np.zeros(size, int)))

    whole = rule.aggregate(codes_NM, strength_NM, np.zeros(size, int))

    for part in (slice(0, 1), slice(7, 20), slice(BLOCK_WORDS - 3, size)):
        shard = rule.aggregate(
            codes_NM[part], strength_NM[part], np.zeros(len(codes_NM[part]), int)
        )
        assert np.array_equal(shard.alpha_N, whole.alpha_N[part])
        assert np.array_equal(shard.beta_N, whole.beta_N[part])


def test_weights_are_shares_of_a_stratum():
    # Plain: 3 of 4 and 3 of 3 samples are voter 0's, 6 of 7 together. Hex: nobody.
    posterior = AGGREGATORS["beta"]().aggregate(
        [[0.9, 0.1], [0.9, np.nan], [np.nan, np.nan]], [3, 1], [0, 0, 1]
    )

    assert posterior.weight_SM[0] == pytest.approx([6 / 7, 1 / 7])
    assert posterior.weight_SM[1].tolist() == [0, 0]


def test_the_first_word_begins_a_text_whatever_is_said_of_it():
    assert read_boundary([0, 0, 3, 1], 4).tolist() == [3, 0, 3, 1]


@pytest.mark.parametrize("wrong", [[0, 4], [0], [0.0, 1.0], [-1, 0]])
def test_other_boundaries_are_refused(wrong):
    with pytest.raises(InvalidVotes, match="boundaries"):
        read_boundary(np.array(wrong), 2)
