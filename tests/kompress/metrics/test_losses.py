import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.labels import count_must_keep
from kompress.metrics.losses import tabulate_losses

PAIRS = [
    # farm: three numbers (12 twice), one flag; the reference has one 12 and the flag.
    ("bash_output", "took 12 of 12 then 7 with --fast", "took 12 with --fast"),
    # one number and one path, both lost.
    ("file_read", "line 3 of /etc/app.conf is odd", "line is odd"),
]
WORDS = st.lists(st.sampled_from(["12", "-v", "/a/b", "MAX", "word"]), max_size=8)


def test_losses_are_counted_by_category_and_kind_with_both_shares():
    rows = {
        (row.kind, row.category): row
        for row in tabulate_losses(PAIRS, rule_sets=("farm",))
    }

    # All: 4 + 2 must-keep words; two numbers of the first, both words of the second.
    whole = rows["all", "all"]
    assert (whole.num_must_keep, whole.num_kept, whole.num_lost) == (6, 2, 4)
    assert whole.share_of_all == whole.share_of_category == pytest.approx(4 / 6)
    # Three of four numbers: 3/6 of all must-keep words (the published share), 3/4.
    number = rows["all", "number"]
    assert (number.num_must_keep, number.num_lost) == (4, 3)
    assert number.share_of_all == pytest.approx(3 / 6)
    assert number.share_of_category == pytest.approx(3 / 4)
    # Shares of a kind are of the kind's own words.
    assert rows["bash_output", "number"].share_of_all == pytest.approx(2 / 4)
    assert rows["file_read", "path"].share_of_category == 1
    assert rows["bash_output", "flag"].num_lost == 0
    assert ("file_read", "flag") not in rows


def test_every_rule_set_has_rows_of_its_own():
    rows = tabulate_losses(iter(PAIRS))

    assert [
        row.rule_set for row in rows if (row.kind, row.category) == ("all",) * 2
    ] == [
        "farm",
        "headroom-0.42",
        "kompress-r0",
    ]


def test_a_kind_called_all_is_counted_once():
    (whole, _) = tabulate_losses([("all", "took 12", "took")], rule_sets=("farm",))

    assert whole.num_must_keep == 1


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), WORDS, WORDS), max_size=5))
def test_kinds_and_categories_add_up(pairs):
    given_pairs = [(kind, " ".join(t), " ".join(r)) for kind, t, r in pairs]

    rows = tabulate_losses(given_pairs, rule_sets=("farm",))

    expected = sum(
        total - kept
        for _, text, reference in given_pairs
        for total, kept in [count_must_keep(text, reference)["all"]]
    )
    for wanted in (
        lambda row: row.kind == "all" and row.category == "all",
        lambda row: row.kind != "all" and row.category == "all",
        lambda row: row.kind == "all" and row.category != "all",
    ):
        assert sum(row.num_lost for row in rows if wanted(row)) == expected


@given(st.sampled_from(["farm", "headroom-0.42", "kompress-r0"]), WORDS, WORDS)
def test_a_text_counts_as_it_does_by_itself(rule_set, words, kept):
    text, reference = " ".join(words), " ".join(kept)

    rows = tabulate_losses([("a", text, reference)], rule_sets=(rule_set,))

    counts = count_must_keep(text, reference, rule_set)
    assert {
        row.category: (row.num_must_keep, row.num_kept)
        for row in rows
        if row.kind == "a"
    } == {category: count for category, count in counts.items() if count[0]}
