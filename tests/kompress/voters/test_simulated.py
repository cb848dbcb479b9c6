"""The simulated voter errs exactly as much as it was told to."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import VoteFailed
from kompress.must_keep import classify_words
from kompress.types import ABSTAIN, STRATA, Vote
from kompress.voters.simulated import SIMULATED
from tests.simulated_truth import simulated_truth

TEXT = " ".join(f"word{'s' * (n % 7)}" for n in range(20_000))
HASH = {"truth": "hash", "keep_share": 0.3, "seed": 5}


def keep(params, name="v", text=TEXT, replicate=0):
    ((_, vote),) = SIMULATED.load(name, params, None).vote([text], replicate=replicate)
    return vote.codes_N >= 127


def test_it_errs_by_sensitivity_and_specificity():
    params = {**HASH, "sensitivity": {"all": 0.8}, "specificity": {"all": 0.9}}
    truth_N = simulated_truth(TEXT, params)

    keep_N = keep(params)

    # Four standard errors of 6,000 and 14,000 words.
    assert truth_N.mean() == pytest.approx(0.3, abs=0.013)
    assert keep_N[truth_N].mean() == pytest.approx(0.8, abs=0.021)
    assert keep_N[~truth_N].mean() == pytest.approx(0.1, abs=0.011)


def test_it_can_be_blind_on_one_stratum():
    text = "exit 17 0xdeadbeef plainly 42 0xcafebabe"
    params = {
        "sensitivity": {"all": 1.0, "hex": 0.0},
        "specificity": {"all": 1.0},
    }
    codes_N = classify_words(text.split())

    keep_N = keep(params, text=text)

    assert keep_N.tolist() == [
        STRATA[code] not in {"plain", "hex"} for code in codes_N.tolist()
    ]
    assert "hex" in {STRATA[code] for code in codes_N.tolist()}
    assert simulated_truth(text, params).tolist() == (codes_N != 0).tolist()


@pytest.mark.parametrize("correlation", [0.0, 0.4, 1.0])
def test_two_voters_of_a_family_have_the_errors_correlation_asked_for(correlation):
    params = {**HASH, "correlation": correlation, "family": "f"}
    truth_N = simulated_truth(TEXT, params)

    errors = [keep(params, name) != truth_N for name in ("a", "b")]

    assert np.corrcoef(errors)[0, 1] == pytest.approx(correlation, abs=0.035)


def test_voters_of_other_families_or_worlds_are_independent():
    params = {**HASH, "correlation": 1.0, "family": "f"}
    truth_N = simulated_truth(TEXT, params)

    errors = [
        keep(params, "a") != truth_N,
        keep({**params, "family": "g"}, "b") != truth_N,
    ]

    assert abs(np.corrcoef(errors)[0, 1]) < 0.035
    assert (simulated_truth(TEXT, {**HASH, "seed": 6}) != truth_N).any()


def test_samples_make_a_vote_soft_and_are_counted():
    ((_, vote),) = SIMULATED.load("v", {**HASH, "samples": 5}, None).vote([TEXT])

    # k/5 of 255 cells: 0, 51, 102, 153, 204, and 1 is the last code, 254.
    assert vote.num_samples == 5
    assert set(vote.codes_N.tolist()) == {0, 51, 102, 153, 204, 254}


def test_replicates_differ_and_each_repeats_itself():
    assert (keep(HASH) == keep(HASH)).all()
    assert (keep(HASH) != keep(HASH, replicate=1)).any()
    assert (keep(HASH) != keep(HASH, name="w")).any()


def test_a_share_of_texts_fails_and_a_share_of_words_abstains():
    texts = [f"text {n}" for n in range(400)]
    some = SIMULATED.load(
        "v", {**HASH, "failure_rate": 0.25, "abstain_rate": 0.5}, None
    )

    results = [result for _, result in some.vote(texts)]

    failed = [result for result in results if isinstance(result, VoteFailed)]
    codes = np.concatenate([r.codes_N for r in results if isinstance(r, Vote)])
    assert len(failed) / 400 == pytest.approx(0.25, abs=0.09)
    assert (codes == ABSTAIN).mean() == pytest.approx(0.5, abs=0.09)
    assert "failure_rate" in str(failed[0])


def test_latency_passes_and_only_its_share_burns_a_core():
    slow = SIMULATED.load(
        "v",
        {**HASH, "latency_s": 0.05, "latency_batch_s": 0.1, "cpu_share": 0.4},
        None,
    )

    wall, burnt = time.perf_counter(), time.thread_time()
    list(slow.vote(["a", "b"]))
    wall, burnt = time.perf_counter() - wall, time.thread_time() - burnt

    assert wall >= 0.2  # .1 + 2 * .05; a busy machine takes longer
    assert 0.08 <= burnt < 0.16


@given(st.text(), st.integers(0, 3), st.integers(0, 9))
def test_perfect_voters_of_any_seed_vote_the_truth(text, replicate, seed):
    params = {
        **HASH,
        "seed": seed,
        "sensitivity": {"all": 1.0},
        "specificity": {"all": 1.0},
        "correlation": 0.5,
    }

    truth_N = simulated_truth(text, params)

    assert keep(params, text=text, replicate=replicate).tolist() == truth_N.tolist()
