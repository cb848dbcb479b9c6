"""The self-information voter keeps what the corpus does not foretell."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.types import decode_votes
from kompress.voters.self_information import (
    SELF_INFORMATION,
    SelfInformation,
    SelfInformationParams,
    fit,
)

# A log in which failure is what always happens.
CORPUS = [f"job {n} failed with an error and did not restart" for n in range(20)] + [
    "job 3 finished with a warning about clock skew",
    "clock skew was corrected by the operator",
]
VOTER = SELF_INFORMATION.load("i", {}, fit({}, CORPUS))
SCORER = SelfInformation(SelfInformationParams(), fit({}, CORPUS))


def votes(text, **params):
    ((_, vote),) = SELF_INFORMATION.load("i", params, fit(params, CORPUS)).vote([text])
    return dict(zip(text.split(), decode_votes(vote.codes_N), strict=True))


def test_what_was_never_seen_is_kept_and_what_always_follows_is_not():
    p = votes("job 99 failed with turbulence an error")

    assert p["turbulence"] > 0.5
    assert p["with"] < 0.5


def test_it_is_blind_to_words_that_are_frequent_yet_vital():
    # Its blind stratum: every log fails, so "failed", "error" and "not" say nothing.
    text = "job 77 failed with an error and did not restart after moonrise"

    p = votes(text, keep_rate=0.4)

    assert p["failed"] < 0.5
    assert p["error"] < 0.5
    assert p["not"] < 0.5
    assert p["moonrise"] > 0.5


def test_the_same_word_is_less_surprising_where_it_is_expected():
    expected = SCORER.information("clock skew")[1]
    unexpected = SCORER.information("operator skew")[1]

    assert expected < unexpected


def test_an_unseen_word_of_a_common_shape_is_less_surprising_than_a_strange_one():
    # "5" … "19" were seen once each, so a number is what job is followed by.
    number = SCORER.information("job 4711")[1]
    strange = SCORER.information("job =>?!")[1]

    assert number < strange


def test_a_rare_words_probability_is_shared_among_its_shape():
    # All three words are seen once, so the vocabulary is their shape alone, V = 2 with
    # the unknown. Unigram (3 + 1/2) / 4 = .875; at the start, bigram (1 + .875) / 2 =
    # .9375, trigram (1 + .9375) / 2 = .96875, shared by three words and the next one.
    rare = SelfInformation(SelfInformationParams(), fit({}, ["a1 b2 c3"]))

    assert rare.information("z9") == pytest.approx([np.log(4 / 0.96875)])


@given(st.text())
def test_information_is_positive_and_finite(text):
    information_N = SCORER.information(text)

    assert (information_N > 0).all()
    assert (information_N < 1e3).all()


@pytest.mark.slow
def test_it_votes_on_at_least_100_000_words_a_second():
    texts = [" ".join(CORPUS)] * 200
    num_words = sum(len(text.split()) for text in texts)

    start = time.process_time()
    list(VOTER.vote(texts))

    assert num_words / (time.process_time() - start) > 100_000
