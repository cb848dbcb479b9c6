import pytest

PAIRS = [
    # Three numbers, of which 7 is lost; a flag, lost.
    {"text": "7 of 12 then 12 with --fast", "reference": "12 then 12", "kind": "a"},
    {"text": "see /etc/app.conf first", "reference": "see /etc/app.conf", "kind": "b"},
]


@pytest.fixture
def corpus(farm, ndjson):
    farm("corpus", "add", "ops", ndjson(*PAIRS), "--references", "c3")
    return farm


def test_losses_are_shown_by_category_with_both_shares(corpus):
    rows = corpus.json("corpus", "losses", "ops", "--rule-set", "farm")

    found = {
        row["category"]: (row["must_keep"], row["lost"], row["of_all"])
        for row in rows
        if row["kind"] == "all"
    }
    # Five must-keep words: three numbers, a flag and a path; two are lost.
    assert found == {
        "all": (5, 2, pytest.approx(2 / 5)),
        "number": (3, 1, pytest.approx(1 / 5)),
        "path": (1, 0, 0),
        "flag": (1, 1, pytest.approx(1 / 5)),
    }
    (number,) = [r for r in rows if (r["kind"], r["category"]) == ("a", "number")]
    assert number["of_category"] == pytest.approx(1 / 3)
    assert number["of_all"] == pytest.approx(1 / 4)


def test_the_table_names_its_rule_set_and_shows_kinds_on_request(corpus):
    plain = corpus("corpus", "losses", "ops").stdout
    wide = corpus("corpus", "losses", "ops", "--by-kind", "--origin", "c3").stdout

    assert "must-keep words of rule set farm" in plain
    assert len(wide.splitlines()) > len(plain.splitlines())


def test_mistakes_are_named(corpus):
    assert "there are ['c3']" in corpus.mistake(
        "corpus", "losses", "ops", "--origin", "x"
    )
    assert "no corpus is named" in corpus.mistake("corpus", "losses", "other")
    assert "found rule set 'x'" in corpus.mistake(
        "corpus", "losses", "ops", "--rule-set", "x"
    )


def test_a_corpus_without_references_says_how_to_add_them(farm, ndjson):
    farm("corpus", "add", "bare", ndjson({"text": "one"}))

    assert "--references" in farm("corpus", "losses", "bare").stdout
