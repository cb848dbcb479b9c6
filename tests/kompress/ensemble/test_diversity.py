"""A panel's diversity: covered by its interval, and read back."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.reliability.copies import find_copies
from kompress.aggregation.rules.stacking import Stacking
from kompress.decisions import Decisions, as_json, from_json
from kompress.ensemble.diversity import measure_diversity
from kompress.errors import InvalidVotes
from kompress.types import UNKNOWN
from tests.truth_codes import coded


def draw(seed, *, num_voters=5, rho=0.35, error=0.15, num_words=400):
    """Equicorrelated errors: a word's error rate is Beta with this ρ."""
    rng = np.random.default_rng(seed)
    truth_N = rng.integers(0, 2, num_words).astype(np.uint8)
    spread = (1 - rho) / rho
    rate_N = rng.beta(error * spread, (1 - error) * spread, num_words)
    wrong_NM = rng.random((num_words, num_voters)) < rate_N[:, None]
    codes_NM = np.where((truth_N[:, None] == 1) ^ wrong_NM, 254, 0).astype(np.uint8)
    return codes_NM, truth_N, np.zeros(num_words, int), np.arange(num_words) // 20


def measure(codes_NM, truth_N, stratum_N, group_N, **options):
    names = [f"t{number}" for number in range(1, codes_NM.shape[1] + 1)]
    options = {"num_bootstraps": 100, **options}
    return measure_diversity(
        names, codes_NM, coded(truth_N), stratum_N, group_N, np.random.default_rng(1),
        **options,
    )  # fmt: skip


def test_the_interval_covers_what_correlated_voters_are_worth():
    # 5 voters at ρ = .35: 5 / (1 + 4 · .35) = 2.083. Of 40 draws a 95 % interval
    # misses 2 on average; more than 6 has a chance of .3 %.
    found = [measure(*draw(seed)) for seed in range(40)]

    covered = sum(d.n_eff_low <= 5 / 2.4 <= d.n_eff_high for d in found)
    assert covered >= 34
    assert np.mean([d.n_eff for d in found]) == pytest.approx(5 / 2.4, abs=0.1)
    assert np.mean([d.mean_correlation for d in found]) == pytest.approx(0.35, abs=0.03)


def test_near_copies_are_named():
    codes_NM, *rest = draw(0, rho=0.1, num_words=1_240)
    rng = np.random.default_rng(2)
    copied_N = rng.random(1_240) < 0.98
    codes_NM[:, 3] = np.where(copied_N, codes_NM[:, 2], codes_NM[:, 3])

    found = measure(codes_NM, *rest)

    assert [pair[:2] for pair in found.copies] == [("t3", "t4")]
    assert found.copies[0][2] > 0.8
    assert found.identical == ()


def test_without_gold_nobody_claims_to_know():
    codes_NM, truth_N, *rest = draw(0)

    found = measure(codes_NM, np.full_like(truth_N, UNKNOWN), *rest)

    assert found.truth == "none"
    assert (found.n_eff, found.n_eff_low, found.mean_correlation) == (None, None, None)
    assert found.num_unidentified == 10
    assert (found.copies, found.split.error) == ((), None)
    assert found.alpha > 0.5


def test_exact_copies_are_reported_without_gold():
    codes_NM, truth_N, *rest = draw(0)
    codes_NM[:, 4] = codes_NM[:, 3] = codes_NM[:, 1]
    codes_NM[::3, 4] = 255  # where it voted it said the same

    found = measure(codes_NM, np.full_like(truth_N, UNKNOWN), *rest)

    assert found.identical == (("t2", "t4", 400), ("t2", "t5", 266), ("t4", "t5", 266))


def test_an_exact_copy_is_worth_nothing_more():
    codes_NM, *rest = draw(0, num_voters=2, rho=0.01)
    twice = np.column_stack([codes_NM, codes_NM[:, 1]])

    alone, beside = measure(codes_NM, *rest), measure(twice, *rest)

    assert beside.n_eff == pytest.approx(alone.n_eff, abs=1e-3)
    assert beside.identical == (("t2", "t3", 400),)


@pytest.mark.parametrize(
    ("keeps", "drops", "alone", "identical"),
    [
        (6, 6, 0, (("t1", "t2", 12),)),  # the same words, however few
        (500, 0, 0, (("t1", "t2", 500),)),
        # Each voted alone as well. Of independent votes 2 · 500 · 5 / 505 = 9.9 would
        # be expected to differ, fewer than 25; 2 · 500 · 13 / 513 = 25.3 are enough.
        (500, 5, 300, ()),
        (500, 13, 300, (("t1", "t2", 513),)),
    ],
)
def test_pairs_are_identical_where_a_rule_would_count_them_as_one(
    keeps, drops, alone, identical
):
    shared = [(254, 254)] * keeps + [(0, 0)] * drops
    codes_NM = np.array(shared + [(0, 255), (255, 0)] * alone, dtype=np.uint8)
    size = len(codes_NM)

    found = measure(codes_NM, np.full(size, UNKNOWN), [0] * size, [0] * size)

    assert found.identical == identical
    copies = find_copies(count_patterns(codes_NM, np.ones(2), [0] * size))
    assert (copies == {0: 0, 1: 0}) is bool(identical)


def test_copies_of_one_voter_may_share_no_word():
    codes_NM, truth_N, *rest = draw(0, num_voters=3)
    codes_NM[:, 0] = codes_NM[:, 2] = codes_NM[:, 1]
    codes_NM[:200, 0] = codes_NM[200:, 2] = 255

    found = measure(codes_NM, np.full_like(truth_N, UNKNOWN), *rest)

    assert found.identical == (("t1", "t2", 200), ("t2", "t3", 200))


def test_flawless_voters_leave_the_question_open():
    truth_N = np.tile([0, 1], 50).astype(np.uint8)
    codes_NM = np.column_stack([truth_N * 254, truth_N * 200])

    found = measure(codes_NM, truth_N, [0] * 100, np.arange(100) // 10)

    assert (found.truth, found.n_eff, found.num_unidentified) == ("gold", None, 1)


def test_pairs_without_errors_are_counted():
    codes_NM, truth_N, *rest = draw(0, num_voters=3)
    codes_NM[:, 2] = truth_N * 250

    found = measure(codes_NM, truth_N, *rest)

    assert found.num_unidentified == 2


def test_a_copy_among_flawless_voters_does_not_stand_for_the_others():
    truth_N = np.tile([0, 1], 50).astype(np.uint8)
    codes_NM = np.tile(truth_N[:, None] * 254, 3)
    codes_NM[::9, 2] ^= 1  # another byte of the same side

    found = measure(codes_NM, truth_N, [0] * 100, np.arange(100) // 10)

    # t1 and t2 say the same, and are right: gold does not tell whether they copy each
    # other, nor what all are worth.
    assert found.identical == (("t1", "t2", 100),)
    assert (found.n_eff, found.num_unidentified) == (None, 3)
    assert found.copies == ()


def test_two_flawless_voters_do_not_count_as_one():
    # 60 words; t1 and t2 are never wrong. t3 and t4 are on three words each, apart.
    truth_N = np.tile([0, 1], 30).astype(np.uint8)
    codes_NM = np.tile(truth_N[:, None] * 254, 4)
    for word, voter in ((10, 2), (14, 2), (18, 2), (15, 3), (21, 3), (27, 3)):
        codes_NM[word, voter] = 254 - codes_NM[word, voter]

    found = measure(codes_NM, truth_N, [0] * 60, np.arange(60) // 6)

    # t3 errs on words to drop and t4 on words to keep: nothing in common, ρ = 0; the
    # other five pairs count as that one, and not one of them as 1 (which gave 3.0).
    assert found.identical == (("t1", "t2", 60),)
    assert (found.n_eff, found.num_unidentified) == (pytest.approx(4), 5)


@pytest.mark.parametrize(
    ("num_groups", "spread", "is_copy"),
    [
        (8, 1, False),  # six shared errors in one document
        (8, 4, False),
        (8, 5, True),
        (2, 2, False),
    ],
)
def test_copies_share_their_errors_in_five_documents(num_groups, spread, is_copy):
    # 400 words; t1 and t2 are wrong on twenty together, in so many documents, and t1 on
    # one of its own; t3 is on three.
    group_N = np.arange(400) // (400 // num_groups)
    truth_N = np.tile([0, 1], 200).astype(np.uint8)
    codes_NM = np.tile(truth_N[:, None] * 254, 3)
    shared_N = np.concatenate(
        [np.flatnonzero(group_N == g)[: 20 // spread] for g in range(spread)]
    )
    codes_NM[shared_N, :2] = 254 - codes_NM[shared_N, :2]
    for word, voter in ((399, 0), (130, 2), (280, 2), (345, 2)):
        codes_NM[word, voter] = 254 - codes_NM[word, voter]

    found = measure(codes_NM, truth_N, [0] * 400, group_N)

    # In 200 words of each truth both err on ten, t1 on one more: over .9 in all cases.
    assert [pair[:2] for pair in found.copies] == ([("t1", "t2")] if is_copy else [])


def test_few_documents_give_no_interval():
    codes_NM, truth_N, stratum_N, group_N = draw(0)

    found = measure(codes_NM, truth_N, stratum_N, group_N // 5)  # 4 groups

    assert found.n_eff is not None
    assert (found.n_eff_low, found.n_eff_high) == (None, None)


def test_agreement_and_strata_are_those_of_everything():
    codes_NM, truth_N, stratum_N, group_N = draw(0)
    more = np.tile(np.array([[254] * 5, [0] * 5], dtype=np.uint8), (400, 1))
    everything = count_patterns(
        np.concatenate([codes_NM, more]),
        np.ones(5),
        np.concatenate([stratum_N, np.full(800, 8)]),
        np.concatenate([coded(truth_N), np.full(800, UNKNOWN)]),
    )

    alone = measure(codes_NM, truth_N, stratum_N, group_N)
    found = measure(codes_NM, truth_N, stratum_N, group_N, everything=everything)

    assert found.alpha > alone.alpha
    assert found.strata == (("plain", 400, 400), ("path", 800, 0))
    assert (found.num_words, found.num_gold_words) == (1_200, 400)
    assert (found.blind_strata, alone.blind_strata) == (("path",), ())
    assert found.n_eff == alone.n_eff


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_what_is_stored_is_read_back(seed, num_voters):
    rng = np.random.default_rng(seed)
    codes_NM = rng.choice([0, 254, 255], (60, num_voters)).astype(np.uint8)
    truth_N, stratum_N = rng.choice([0, 1, 255], 60), rng.integers(0, 3, 60)
    found = measure(codes_NM, truth_N, stratum_N, np.arange(60) // 6, num_bootstraps=5)

    stored = json.dumps(as_json(Decisions(diversity=found)), allow_nan=False)

    assert from_json(json.loads(stored)).diversity == found
    assert found.num_voters == num_voters
    if found.n_eff is not None:
        assert 1 <= found.n_eff <= num_voters


def test_a_learner_tells_what_each_voter_adds():
    found = measure(*draw(0), learner=Stacking())

    assert [gain.voter for gain in found.leave_one_out] == list(found.voters)
    assert from_json(as_json(Decisions(diversity=found))).diversity == found


def test_one_voter_has_nobody_beside_it():
    found = measure(*draw(0, num_voters=1))

    assert (found.n_eff, found.num_unidentified) == (1, 0)


def test_names_that_do_not_fit_are_refused():
    codes_NM, truth_N, *rest = draw(0)
    with pytest.raises(InvalidVotes, match="1 names for 5 voters"):
        measure_diversity(
            ("a",), codes_NM, coded(truth_N), *rest, np.random.default_rng(0)
        )
