import json

import pytest

from kompress.errors import InvalidConfig, VoteFailed
from kompress.types import ABSTAIN
from kompress.voters.references import (
    REFERENCES,
    fit_references,
    origin_of,
)
from kompress.voters.voter import ReferenceReader

TEXT = "the disk failed and the disk is old"
# Keeps "disk failed" and the second "disk": the earliest of the cheapest embeddings.
SHORT = "disk failed disk"


def vote(text, reference, params=None, snapshot=None):
    voter = REFERENCES.load("v", params or {}, snapshot).with_references(
        {TEXT: reference}
    )
    ((_, found),) = voter.vote([text])
    return found


def test_a_vote_keeps_what_the_reference_kept():
    found = vote(TEXT, SHORT)

    # 254 stands for keep, 0 for drop.
    assert found.codes_N.tolist() == [0, 254, 254, 0, 0, 254, 0, 0]
    assert found.num_samples == 1


def test_a_text_without_a_reference_gets_abstentions():
    assert vote("another text", SHORT).codes_N.tolist() == [ABSTAIN] * 2
    ((_, found),) = REFERENCES.load("v", {}, None).vote([TEXT])
    assert set(found.codes_N.tolist()) == {ABSTAIN}


def test_the_published_rule_keeps_more():
    found = vote(TEXT, SHORT, {"method": "bag_of_words"})

    # Both disks, "is" for its two characters; "old", "and" and "the" are longer.
    assert found.codes_N.tolist() == [0, 254, 254, 0, 0, 254, 254, 0]


def test_a_reference_that_aligns_badly_is_a_failure_that_says_so():
    found = vote(TEXT, "disk broke", {"max_variation_rate": 0.25, "origin": "c3"})

    assert isinstance(found, VoteFailed)
    assert str(found).startswith(
        "the reference of c3: variation rate 0.500 is above 0.250"
    )
    assert not isinstance(vote(TEXT, "disk broke"), VoteFailed)


def test_bounds_are_fitted_to_the_worst_of_the_corpus():
    # 20 references: the worst by variation, 5 % of 20, goes; the rest has no gap.
    pairs = [(f"{TEXT} {n}", SHORT) for n in range(19)] + [(TEXT, "disk broke")]

    snapshot = fit_references({}, "hash", pairs)

    assert json.loads(snapshot) == {
        "references": "hash",
        "max_variation_rate": 0.0,
        "max_gap": 0.0,
    }
    assert isinstance(vote(TEXT, "disk broke", snapshot=snapshot), VoteFailed)
    assert fit_references({}, "hash", pairs[::-1]) == snapshot
    published = json.loads(fit_references({"method": "bag_of_words"}, "hash", pairs))
    assert published["max_variation_rate"] == 1


def test_an_origin_without_references_is_named_with_what_to_do():
    with pytest.raises(InvalidConfig, match="add them to the corpus under this origin"):
        fit_references({"origin": "c3"}, "hash", [])


def test_other_references_origin_method_or_bound_is_another_fingerprint():
    pairs = [(TEXT, SHORT)]
    prints = [
        REFERENCES.load("v", params, fit_references(params, digest, pairs)).fingerprint
        for params, digest in [
            ({}, "one"),
            ({}, "two"),
            ({"origin": "c3"}, "one"),
            ({"method": "bag_of_words"}, "one"),
            ({"max_gap": 0.5}, "one"),
        ]
    ]

    assert all(prints.count(each) == 1 for each in prints)
    assert prints[0].parts["alignment"] == "1"


def test_references_are_given_to_a_copy():
    voter = REFERENCES.load("v", {}, None)

    told = voter.with_references({TEXT: SHORT})

    assert isinstance(voter, ReferenceReader)
    assert told.fingerprint == voter.fingerprint
    assert dict(voter.vote([TEXT]))[0].codes_N.tolist() == [ABSTAIN] * 8


def test_the_kind_says_whose_references_it_reads():
    assert origin_of({"origin": "c3"}) == "c3"
    assert REFERENCES.origin_of is origin_of
    with pytest.raises(InvalidConfig, match="its parameters are: origin"):
        origin_of({"source": "c3"})


@pytest.mark.parametrize("snapshot", [b"", b"junk", b"[]", b"{}", b'{"max_gap": "x"}'])
def test_a_foreign_snapshot_is_refused_in_words(snapshot):
    with pytest.raises(InvalidConfig, match="fit it again"):
        REFERENCES.load("v", {}, snapshot)
