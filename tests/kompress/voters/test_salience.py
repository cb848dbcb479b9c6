"""The salience voter keeps topics and drops what a Q&A compressor drops."""

from itertools import pairwise

from kompress.types import decode_votes
from kompress.voters.salience import SALIENCE, fit

# "the" is in every document, "volcano" in two of four.
CORPUS = [
    "the volcano erupted near the village",
    "the volcano is near the coast",
    "the mayor of the village spoke",
    "the market is in the village",
]


def votes(text, **params):
    ((_, vote),) = SALIENCE.load("s", params, fit(params, CORPUS)).vote([text])
    return dict(zip(text.split(), decode_votes(vote.codes_N), strict=True))


def test_rarer_terms_are_more_salient():
    # idf = log(5 / (1 + df)): volcano df 2 .51, village df 3 .22, the df 4 0.
    p = votes("the village volcano")

    assert p["volcano"] > p["village"] > p["the"]


def test_it_is_blind_to_numbers_flags_ids_and_one_off_words():
    # Its blind strata. Each stands before the topic, so only salience drops it.
    text = "4711 0x7f3a v1.2.3 30ms req-42 --force SIGKILL_X not village volcano"

    p = votes(text, keep_rate=0.2)

    assert [word for word, keep in p.items() if keep >= 0.5] == ["village", "volcano"]


def test_a_number_is_noise_however_well_the_corpus_knows_it():
    # As a term "7" would be the rarer one: in two documents, "coast" in three.
    corpus = ["7 the", "7 the", "the coast", "the coast", "the coast"]

    ((_, vote),) = SALIENCE.load("s", {}, fit({}, corpus)).vote(["7 coast"])

    assert decode_votes(vote.codes_N)[1] > 0.5 > decode_votes(vote.codes_N)[0]


def test_a_terms_spelling_does_not_matter():
    p = votes("VOLCANO! the (village) the,")

    assert p["VOLCANO!"] > 0.5
    assert p["(village)"] > p["the"]


def test_a_repeated_term_is_more_salient():
    # idf of "near" is log(5/3) = .51, of "village" log(5/4) = .22; three times
    # "village" is (1 + log 3) * .22 = .47, ten times (1 + log 10) * .22 = .74.
    thrice = votes("near " + "village " * 3)
    often = votes("near " + "village " * 10)

    assert thrice["near"] > 0.9
    assert often["near"] < 0.1


def test_a_text_of_numbers_alone_keeps_its_share_from_the_front():
    p = list(votes("1 2 3 4 5 6 7 8 9 10").values())

    assert all(a >= b for a, b in pairwise(p))
    assert sum(keep >= 0.5 for keep in p) in {5, 6}


def test_the_vocabulary_keeps_the_commonest_terms_within_its_limit():
    # Only "the" fits, and it is worth nothing: the order decides.
    p = votes("volcano the", max_terms=1)

    assert p["volcano"] > p["the"]
    assert votes("the volcano", max_terms=1)["the"] > 0.5
