"""What every kind of voter owes: a vote a word, for any text, always the same."""

import json
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.errors import InvalidConfig
from kompress.types import Vote
from kompress.voters import VOTERS, make_voter

CORPUS = [
    "the build failed with exit code 1",
    "the build passed with exit code 0 in 3.2 s",
    "error: cannot open /etc/app.conf: permission denied",
    "error: the build failed again",
]
# A teacher cannot vote without an engine; see test_teacher.py.
ALONE = [kind for kind in VOTERS if VOTERS[kind].needs_engine is None]
NEEDED = {"teacher": {"engine": "vllm", "model": "tiny"}}
HOSTED = {"engine": "openai", "endpoint": "here"}
# Stored votes are found by them: a new hash is a vote that is asked, and paid, again.
FINGERPRINTS = [
    ("references", {}, "4933232fbcb0"),
    ("references", {"method": "bag_of_words", "worst_gap": 0.2}, "5fbebbba1262"),
    ("salience", {}, "4206e2b4413a"),
    ("salience", {"keep_rate": 0.6}, "0bc9a91d0e47"),
    ("self_information", {}, "f1b25364bb08"),
    ("self_information", {"min_count": 1}, "4ba444669206"),
    ("syntax", {}, "00452ae9556b"),
    ("simulated", {}, "2a073193bd66"),
    ("simulated", {"truth": "hash", "samples": 5}, "4d3dabda6263"),
    ("soundness", {}, "a6db02c7d1f9"),
    ("soundness", {"signals": ["json"], "silent_p": None}, "012cb8f3a678"),
    ("teacher", {}, "58735bedde59"),
    ("teacher", {"protocol": "rewrite", "samples": 3}, "101f584cda3a"),
    ("teacher", {"protocol": "quotes", "criterion": "qa"}, "5a9d0c49be73"),
    ("teacher", {"protocol": "correct", "gpus": 2}, "06f82f4e769b"),
    ("teacher", {"protocol": "pairwise"}, "1646929d1602"),
    ("teacher", HOSTED, "7c249da282ba"),
    ("teacher", HOSTED | {"protocol": "pairwise"}, "de19fc9b0bf7"),
]


def voter(kind, corpus=CORPUS, **params):
    params = NEEDED.get(kind, {}) | params
    fit = VOTERS[kind].fit
    return make_voter("v", kind, params, fit(params, corpus) if fit else None)


@pytest.mark.parametrize("kind", ALONE)
@given(text=st.text())
@settings(max_examples=60)
def test_any_text_gets_one_code_a_word(kind, text):
    ((index, vote),) = voter(kind).vote([text])

    assert index == 0
    assert isinstance(vote, Vote)
    assert vote.codes_N.shape == (len(text.split()),)
    assert vote.codes_N.dtype == "uint8"


@pytest.mark.parametrize("kind", ALONE)
def test_strange_texts_are_safe(kind):
    texts = [
        "",
        " \n\t ",
        "\ud800 lone",  # a surrogate may come out of JSON
        "\x00 \x1c x\x85y \u2028",
        "İstanbul ŉ ß Ω 𝟘 ٣",
        "x" * 100_000,
        "-- \\ / | ^^^^ ???",
        "a " * 5_000,
    ]

    for corpus in ([], [""], texts):
        for index, vote in voter(kind, corpus).vote(texts):
            assert len(vote.codes_N) == len(texts[index].split())


@pytest.mark.parametrize("kind", ALONE)
def test_a_texts_vote_depends_on_nothing_but_the_text(kind):
    one = dict(voter(kind).vote(CORPUS))
    other = dict(voter(kind).vote(CORPUS[::-1]))

    for index in range(len(CORPUS)):
        mirrored = other[len(CORPUS) - 1 - index]
        assert one[index].codes_N.tolist() == mirrored.codes_N.tolist()


@pytest.mark.parametrize("kind", VOTERS)
def test_a_fingerprint_is_json_and_tells_what_decides_a_vote(kind):
    parts = dict(voter(kind).fingerprint.parts)

    assert voter(kind).fingerprint.name == "v"
    assert json.loads(json.dumps(parts)) == parts
    assert {"kind", "version", "words", "params"} <= set(parts)


@pytest.mark.parametrize(("kind", "params", "digest"), FINGERPRINTS)
def test_a_fingerprint_stays_what_stored_votes_are_found_by(kind, params, digest):
    parts = dict(voter(kind, **params).fingerprint.parts)
    parts.pop("snapshot", None)  # of bytes that each zlib packs otherwise

    canonical = json.dumps(parts, sort_keys=True).encode()
    assert sha256(canonical).hexdigest()[:12] == digest


@pytest.mark.parametrize("kind", ["salience", "self_information"])
def test_another_corpus_or_parameter_is_another_fingerprint(kind):
    prints = [
        voter(kind).fingerprint,
        voter(kind, CORPUS[:2]).fingerprint,
        voter(kind, keep_rate=0.6).fingerprint,
    ]

    assert all(prints.count(each) == 1 for each in prints)
    assert voter(kind).fingerprint == prints[0]


@pytest.mark.parametrize("kind", ["salience", "self_information"])
def test_a_fit_gives_the_same_bytes_for_the_same_texts_in_any_order(kind):
    fit = VOTERS[kind].fit

    assert fit({}, CORPUS) == fit({}, iter(CORPUS)) == fit({}, CORPUS[::-1])
    assert fit({}, CORPUS) != fit({}, CORPUS[:2])


@pytest.mark.parametrize("kind", ["salience", "self_information"])
def test_a_missing_or_foreign_snapshot_is_refused_in_words(kind):
    whole = VOTERS[kind].fit({}, CORPUS)
    other = {"salience": "self_information", "self_information": "salience"}[kind]

    with pytest.raises(InvalidConfig, match="fit it to the pinned corpus"):
        make_voter("v", kind, {}, None)
    for broken in (b"", b"junk", whole[: len(whole) // 2]):
        with pytest.raises(InvalidConfig, match="fit it again"):
            make_voter("v", kind, {}, broken)
    with pytest.raises(InvalidConfig, match="fit it again"):
        make_voter("v", kind, {}, VOTERS[other].fit({}, CORPUS))


def test_an_unknown_kind_is_refused_with_those_that_users_are_offered():
    # `simulated` is for drills: it runs, and is not offered.
    known = "references, salience, self_information, soundness, syntax, teacher"

    with pytest.raises(InvalidConfig, match=f"expected one of {known}$"):
        make_voter("v", "oracle", {}, None)


@pytest.mark.parametrize(
    ("kind", "params", "says"),
    [
        ("salience", {"keep_rate": 1.5}, "found 1.5"),
        ("salience", {"keep": 0.5}, "keep_rate, min_documents, max_terms"),
        ("self_information", {"keep_rate": "much"}, "found 'much'"),
        ("self_information", {"max_words": 0}, "found 0"),
        ("syntax", {"keep_rate": 0.5}, "its parameters are: none"),
        ("simulated", {"sensitivity": {"all": 0.5, "word": 0.5}}, "names strata"),
        ("simulated", {"sensitivity": {"plain": 0.5}}, "`all` for the rest"),
        ("simulated", {"samples": 0}, "found 0"),
        ("simulated", {"truth": "gold"}, "must_keep"),
        ("references", {"origin": ""}, "found ''"),
        ("references", {"method": "guess"}, "bag_of_words"),
        ("references", {"worst_gap": 1.0}, "found 1.0"),
        ("teacher", {"model": "tiny"}, "engine: Field required"),
        ("teacher", NEEDED["teacher"] | {"chunk_words": 0}, "found 0"),
        ("teacher", NEEDED["teacher"] | {"endpoint": "x"}, "has no endpoint"),
        ("teacher", {"engine": "openai", "model": "tiny"}, "needs an endpoint"),
        ("teacher", NEEDED["teacher"] | {"samples": 5, "temperature": 0}, "5 samples"),
    ],
)
def test_wrong_parameters_are_refused_with_found_and_expected(kind, params, says):
    with pytest.raises(InvalidConfig, match=says):
        VOTERS[kind].check(params)


@pytest.mark.parametrize("kind", VOTERS)
def test_only_a_teacher_has_parameters_without_which_it_is_nothing(kind):
    VOTERS[kind].check(NEEDED.get(kind, {}))
