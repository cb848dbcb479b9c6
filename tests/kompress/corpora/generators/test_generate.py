"""Generated documents: gold is where the facts are, and no rule alone finds it."""

from collections import Counter
from hashlib import sha256
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.corpora.generators import GENERATORS, generate
from kompress.corpora.generators.composer import compose
from kompress.corpora.splits import assign_gold_use, assign_split
from kompress.errors import InvalidConfig
from kompress.must_keep import find_must_keep
from kompress.words import split_words
from tests.kompress.corpora.near_pairs import find_near_pairs

ARTICLES = {"a", "an", "the", "of", "is", "are", "was", "were", "it", "that"}


@pytest.fixture(scope="module")
def documents():
    return generate(500, 0)


def test_every_document_has_60_to_150_words_and_a_quarter_to_45_percent_of_facts(
    documents,
):
    for document in documents:
        codes_N = document.gold.codes_N
        assert (
            len(codes_N)
            == len(document.text.split())
            == len(split_words(document.text))
        )
        assert 60 <= len(codes_N) <= 150
        assert 0.25 <= (codes_N == 254).mean() <= 0.45
        assert set(codes_N.tolist()) <= {0, 254, 255}
        assert codes_N.dtype == np.uint8


def test_gold_keeps_exactly_the_words_of_the_facts(documents):
    for document in documents:
        numbers = [n for fact in document.gold.facts for n in fact.words]
        kept = np.flatnonzero(document.gold.codes_N == 254).tolist()
        assert sorted(numbers) == kept
        assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("seed", range(25))
def test_each_fact_reads_as_it_was_planted(name, seed):
    planted = GENERATORS[name](Random(seed))

    composed = compose(planted.lines)

    told: dict[str, list[str]] = {}
    for segment in (s for row in planted.lines for s in row.segments):
        if segment.role == "fact":
            told.setdefault(segment.name, []).extend(segment.text.split())
    words = composed.text.split()
    assert [fact.name for fact in composed.facts] == list(told)
    for fact in composed.facts:
        needed = [word for word in told[fact.name] if word not in ARTICLES]
        assert [words[n] for n in fact.words] == needed


def test_a_fact_on_one_line_leaves_out_only_articles_and_what_surrounds_it(documents):
    for document in documents:
        words, codes_N = document.text.split(), document.gold.codes_N
        for fact in document.gold.facts:
            if fact.name in {"change", "frame"}:
                continue
            span = range(fact.words[0], fact.words[-1] + 1)
            skipped = [n for n in span if n not in fact.words]
            # `error` of a JSON response may have its code further down.
            if document.kind == "json_response" and fact.name == "error":
                continue
            assert {words[n] for n in skipped} <= ARTICLES
            assert all(codes_N[n] == 255 for n in skipped)


def test_unknown_words_are_few(documents):
    codes = np.concatenate([d.gold.codes_N for d in documents])

    assert (codes == 255).mean() < 0.08


def test_neither_keeping_must_keep_words_nor_dropping_plain_ones_is_right(documents):
    kept = np.zeros(2)
    dropped = np.zeros(2)
    for document in documents:
        starts = {m.start for m in find_must_keep(document.text)}
        caught_N = np.array([w.start in starts for w in split_words(document.text)])
        codes_N = document.gold.codes_N
        kept += [caught_N[codes_N == 254].sum(), (codes_N == 254).sum()]
        dropped += [caught_N[codes_N == 0].sum(), (codes_N == 0).sum()]

    # Half of a fact looks like what it is, and so does a fifth of the filler: looks
    # help, as in real output, and neither rule alone gives gold.
    assert 0.47 < kept[0] / kept[1] < 0.55
    assert 0.18 < dropped[0] / dropped[1] < 0.25


def test_filler_repeats_itself_and_facts_are_told_in_more_words(documents):
    words = {"fact": Counter(), "filler": Counter()}
    for document in documents:
        for word, code in zip(
            document.text.split(), document.gold.codes_N.tolist(), strict=True
        ):
            plain = word.strip('"{}[]:,.').lower()
            if plain.isalpha() and code != 255:
                words["fact" if code == 254 else "filler"][plain] += 1

    # The share of the 50 most frequent plain words.
    share = {
        role: sum(n for _, n in counts.most_common(50)) / counts.total()
        for role, counts in words.items()
    }
    assert share["filler"] > share["fact"] + 0.2


def test_kinds_take_turns_and_gold_names_its_generator(documents):
    assert Counter(d.kind for d in documents) == dict.fromkeys(GENERATORS, 125)
    for document in documents:
        assert document.gold.origin == f"generator/{document.kind}-1"
        assert document.gold.question.endswith("?")
        assert len(document.gold.facts) >= 3


def test_use_follows_the_split_and_every_document_is_its_own_group(documents):
    assert len({d.group_id for d in documents}) == 500
    for document in documents:
        assert document.split == assign_split(document.group_id)
        assert document.gold.use == assign_gold_use(document.group_id, document.split)
    assert set(Counter(d.split for d in documents)) == {"train", "audit", "held_out"}


def test_documents_share_little_with_each_other(documents):
    assert find_near_pairs([d.text for d in documents], 0.4) == set()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 40), st.integers(0, 2**40))
def test_a_document_does_not_depend_on_how_many_are_made(num, seed):
    few, more = generate(num, seed), generate(num + 3, seed)

    for first, second in zip(few, more, strict=False):
        assert first.text == second.text
        assert first.gold.facts == second.gold.facts
        assert first.gold.codes_N.tobytes() == second.gold.codes_N.tobytes()
        assert first.group_id == second.group_id


def test_the_bytes_of_version_1_never_change():
    digest = sha256()
    for document in generate(40, 7):
        digest.update(document.text.encode() + document.gold.codes_N.tobytes())

    assert digest.hexdigest()[:16] == "13c90d5178ba3aca"


def test_another_seed_gives_other_documents():
    assert not {d.text for d in generate(8, 1)} & {d.text for d in generate(8, 2)}


def test_a_negative_number_is_refused():
    with pytest.raises(InvalidConfig, match="num is -1; expected 0 or more"):
        generate(-1, 0)
