import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kompress.labelling.counting import LabelCounter
from kompress.types import RULE_SETS, CountKey, LabelCounts

NUMBER, UNIT = 2, 3  # places in STRATA


def codes(*found):
    return dict.fromkeys(RULE_SETS, np.array(found, dtype=np.uint8))


VERSIONS = {"farm": "2", "headroom-0.42": "0.42.0+2", "kompress-r0": "r0+2"}


def mask(text):
    return np.array([mark == "1" for mark in text], dtype=bool)


def farm(counter, source="silver"):
    return {
        (key.kind, key.category): counts
        for key, counts in counter.rows().items()
        if key.source == source and key.rule_set == "farm"
    }


def test_words_are_counted_by_kind_and_category():
    counter = LabelCounter()

    counter.add("silver", "log", mask("101"), codes(0, NUMBER, NUMBER), VERSIONS)
    counter.add("silver", "diff", mask("01"), codes(0, UNIT), VERSIONS)

    # log: 3 words, 2 kept (plain, number), 2 must-keep, 1 of them kept
    # diff: 2 words, 1 kept (unit), 1 must-keep, kept
    assert farm(counter) == {
        ("all", "all"): LabelCounts(2, 5, 3, 3, 2),
        ("all", "plain"): LabelCounts(2, 2, 1, 0, 0),
        ("all", "number"): LabelCounts(1, 2, 1, 2, 1),
        ("all", "unit"): LabelCounts(1, 1, 1, 1, 1),
        ("log", "all"): LabelCounts(1, 3, 2, 2, 1),
        ("log", "plain"): LabelCounts(1, 1, 1, 0, 0),
        ("log", "number"): LabelCounts(1, 2, 1, 2, 1),
        ("diff", "all"): LabelCounts(1, 2, 1, 1, 1),
        ("diff", "plain"): LabelCounts(1, 1, 0, 0, 0),
        ("diff", "unit"): LabelCounts(1, 1, 1, 1, 1),
    }


def test_abstained_words_leave_a_voters_denominators():
    counter = LabelCounter()

    counter.add(
        "alpha", "log", mask("110"), codes(0, NUMBER, 0), VERSIONS, known_N=mask("011")
    )

    assert farm(counter, "alpha")["all", "all"] == LabelCounts(1, 2, 1, 1, 1)


def test_a_voter_that_abstained_from_all_words_counts_no_document():
    counter = LabelCounter()

    counter.add("alpha", "log", mask("11"), codes(0, 0), VERSIONS, known_N=mask("00"))

    assert counter.rows() == {}


def test_a_text_without_words_is_a_document():
    counter = LabelCounter()

    counter.add("alpha", "log", mask(""), codes(), VERSIONS, known_N=mask(""))

    assert farm(counter, "alpha") == {
        ("all", "all"): LabelCounts(1, 0, 0, 0, 0),
        ("log", "all"): LabelCounts(1, 0, 0, 0, 0),
    }


def test_each_rule_set_has_its_own_must_keep_words():
    counter = LabelCounter()
    by_rule_set = codes(0, 0) | {"farm": np.array([0, NUMBER], dtype=np.uint8)}

    counter.add("silver", "log", mask("01"), by_rule_set, VERSIONS)

    rows = counter.rows()
    own = rows[CountKey("silver", "all", "all", "farm", "2")]
    other = rows[CountKey("silver", "all", "all", "kompress-r0", "r0+2")]
    assert (own.num_must_keep, other.num_must_keep) == (1, 0)
    assert own.num_words == other.num_words == 2


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 14), st.booleans()), max_size=6), max_size=5
    )
)
def test_categories_sum_to_all(documents):
    counter = LabelCounter()
    for words in documents:
        keep_N = np.array([keep for _, keep in words], dtype=bool)
        counter.add(
            "silver", "log", keep_N, codes(*[code for code, _ in words]), VERSIONS
        )

    rows = farm(counter)

    parts = [c for (kind, name), c in rows.items() if kind == "log" and name != "all"]
    if documents:
        whole = rows["log", "all"]
        assert whole == rows["all", "all"]
        assert whole.num_documents == len(documents)
        for field in ("num_words", "num_kept", "num_must_keep", "num_must_keep_kept"):
            assert getattr(whole, field) == sum(getattr(p, field) for p in parts)


def test_texts_that_other_versions_of_the_rules_classified_are_counted_apart():
    counter = LabelCounter()
    older = VERSIONS | {"farm": "1"}

    counter.add("silver", "log", mask("1"), codes(NUMBER), VERSIONS)
    counter.add("silver", "log", mask("10"), codes(NUMBER, NUMBER), older)

    rows = counter.rows()
    new, old = (rows[CountKey("silver", "all", "all", "farm", v)] for v in ("2", "1"))
    assert (new.num_must_keep, new.num_must_keep_kept) == (1, 1)
    assert (old.num_must_keep, old.num_must_keep_kept) == (2, 1)
