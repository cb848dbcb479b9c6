"""A rule beside its best voter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.labelling.panel import make_panel
from kompress.labelling.verdicts import (
    GOLD,
    MUST_KEEP,
    Decided,
    count_beside,
    count_groups,
    find_truth,
    in_place_of,
    of_voter,
    rule_rows,
)
from kompress.types import VoteRow


def cells(*groups):
    """(G, S, 4) TP FN FP TN of the stratum plain, a group each."""
    count_GS4 = np.zeros((len(groups), 15, 4), dtype=np.int64)
    count_GS4[:, 0] = groups
    return count_GS4


def judge(truth, rules, voters, beside=None):
    """Rows of rules whose voters voted on all words, unless it is said otherwise."""
    full = np.stack(list(voters.values()))
    return rule_rows(truth, rules, voters, beside or dict.fromkeys(rules, full), seed=0)


def row_of(rows, rule, stratum="plain"):
    (found,) = [row for row in rows if (row.rule, row.stratum) == (rule, stratum)]
    return found


@pytest.mark.parametrize(("num_drop", "has_interval"), [(3, False), (4, True)])
def test_too_few_groups_with_words_to_drop_leave_no_interval(num_drop, has_interval):
    # The voter is always right; the rule keeps everything, in six groups.
    quiet = [[5, 0, 0, 0]] * (6 - num_drop)
    voter = cells(*quiet, *[[5, 0, 0, 1]] * num_drop)
    rule = cells(*quiet, *[[5, 0, 1, 0]] * num_drop)

    plain = row_of(judge("gold", {"all_keep": rule}, {"v": voter}), "all_keep")

    # Recall 1 and specificity 0 beside 1 and 1: -1/2 in every draw.
    expected = (-0.5, -0.5) if has_interval else (None, None)
    assert (plain.difference_low, plain.difference_high) == expected
    assert plain.best_value == 1.0


@pytest.mark.parametrize(("num_groups", "high"), [(3, None), (4, -1 / 3)])
def test_must_keep_truth_needs_no_words_to_drop_but_four_groups(num_groups, high):
    rule, voter = (
        cells(*[[4, 2, 0, 0]] * num_groups),
        cells(*[[6, 0, 0, 0]] * num_groups),
    )

    plain = row_of(judge("must_keep", {"rule": rule}, {"v": voter}), "rule")

    assert plain.difference_high == (None if high is None else pytest.approx(high))


def test_the_interval_forgives_a_rule_what_only_luck_did_better():
    # Each voter is as good as the rule, but in one group of its own.
    lucky = {
        f"v{own}": cells(
            *[[4, 0, 0, 0] if g == own else [2, 2, 0, 0] for g in range(4)]
        )
        for own in range(4)
    }

    rows = judge("must_keep", {"rule": cells(*[[2, 2, 0, 0]] * 4)}, lucky)

    plain = row_of(rows, "rule")
    assert (plain.best_voter, plain.best_value) == ("v0", 10 / 16)
    # Outside a group the best are those that had no luck in it: 2 of 4, as the rule.
    assert (plain.difference_low, plain.difference_high) == (0, 0)


def test_who_votes_on_two_easy_words_takes_nothing_from_a_rule():
    # Ten groups of 200 words. `full` is right on 180 of them, the rule on 190; `few`
    # votes on two that the rule has right as well: in its place it is right on 190.
    rule = cells(*[[95, 5, 5, 95]] * 10)
    full = cells(*[[90, 10, 10, 90]] * 10)
    few = cells(*[[1, 0, 0, 1]] * 10)

    rows = judge(
        "gold",
        {"rule": rule},
        {"full": full, "few": few},
        {"rule": np.stack([full, rule])},
    )

    plain = row_of(rows, "rule")
    assert (plain.best_voter, plain.best_value) == ("few", 0.95)
    assert (plain.difference_low, plain.difference_high) == (0, 0)
    # Its own row counts its own words.
    own = row_of(rows, "voter(few)")
    assert (own.num_keep_kept, own.num_drop_dropped) == (10, 10)
    assert (own.best_value, own.difference_high) == (1.0, None)


def test_who_is_not_heard_in_a_stratum_is_not_the_best_there():
    rule = cells(*[[9, 1, 1, 9]] * 5)
    voter, silent = cells(*[[8, 2, 2, 8]] * 5), cells(*[[0, 0, 0, 0]] * 5)

    rows = judge(
        "gold",
        {"rule": rule},
        {"silent": silent, "v": voter},
        {"rule": np.stack([rule, voter])},
    )

    plain = row_of(rows, "rule")
    assert (plain.best_voter, plain.best_value) == ("v", 0.8)
    assert (plain.difference_low, plain.difference_high) == pytest.approx((0.1, 0.1))


def panel_of(codes_NM, num_texts=2):
    """Equal texts of plain words and one hex word, the first; voters a, b …"""
    codes_NM = np.asarray(codes_NM, dtype=np.uint8)
    names = "abcdefgh"[: codes_NM.shape[1]]
    votes = [VoteRow(1, name, 0, 1, codes_NM[:, m]) for m, name in enumerate(names)]
    stratum_N = np.array([1] + [0] * (len(codes_NM) - 1), dtype=np.uint8)
    ids = range(num_texts)
    return make_panel(
        tuple(names), dict.fromkeys(ids, votes), dict.fromkeys(ids, stratum_N)
    )


def test_where_a_voter_is_silent_the_rule_decides_in_its_place():
    # Three words: a keeps the first and says nothing of the others; the rule drops the
    # first and keeps the second.
    panel = panel_of([[254], [255], [255]])
    rule_W = np.array([0, 1, 0] * 2)
    rule = Decided(rule_W.astype(float), rule_W > 0, np.ones(6, dtype=bool))
    truth = find_truth(panel, dict.fromkeys((0, 1), np.array([254, 254, 0], np.uint8)))
    groups = panel.group_words({0: "g", 1: "h"})

    found_MGS4 = count_beside(panel, groups, rule, [of_voter(panel, 0)], truth)

    # Of each text two words are to keep and one is to drop: a is right on all with the
    # rule's help, the rule misses the first.
    assert found_MGS4.sum(axis=2).tolist() == [[[2, 0, 0, 1]] * 2]
    assert count_groups(panel, groups, rule, truth).sum(axis=1).tolist() == (
        [[1, 1, 0, 1]] * 2
    )


def test_the_truth_can_be_told_whatever_gold_there_is():
    # Three words, the first of them must-keep; gold keeps the second alone.
    panel = panel_of([[254], [0], [0]], num_texts=1)
    codes = {0: np.array([0, 254, 255], dtype=np.uint8)}

    def told(gold_codes, name=None):
        truth = find_truth(panel, gold_codes, name=name)
        keep_W = truth.keep_W & truth.known_W
        return truth.name, keep_W.tolist(), truth.known_W.tolist()

    by_gold = (GOLD, [False, True, False], [True, True, False])
    assert told(codes) == told(codes, GOLD) == by_gold
    # By gold that this panel has none of: nothing is known.
    assert told({}, GOLD) == (GOLD, [False] * 3, [False] * 3)
    by_must_keep = (MUST_KEEP, [True, False, False], [True] * 3)
    assert told({}) == told({}, MUST_KEEP) == told(codes, MUST_KEEP) == by_must_keep


def test_against_must_keep_a_voter_keeps_as_many_of_its_words_as_the_rule():
    # The rule keeps words 1 and 2 of four; b votes on all but the first, and likes the
    # last best. Of those three the rule keeps one, so b keeps the last alone.
    panel = panel_of([[255], [10], [20], [200]], num_texts=1)
    keep_W = np.array([True, True, False, False])
    rule = Decided(keep_W.astype(float), keep_W, np.ones(4, dtype=bool))

    found = in_place_of(panel, rule, of_voter(panel, 0), MUST_KEEP)

    assert found.keep_W.tolist() == [True, False, False, True]


def test_where_the_rule_says_nothing_nobody_is_compared():
    panel = panel_of([[254], [0]])
    heard_W = np.array([True, True, False, False])
    rule = Decided(np.ones(4), np.ones(4, dtype=bool), heard_W)

    for truth in (GOLD, MUST_KEEP):
        found = in_place_of(panel, rule, of_voter(panel, 0), truth)
        assert found.heard_W.tolist() == heard_W.tolist()


@given(st.data())
def test_voters_in_a_rules_place_are_compared_on_the_rules_words(data):
    byte = st.sampled_from([0, 100, 200, 254, 255])
    codes_NM = data.draw(
        st.lists(st.tuples(byte, byte), min_size=1, max_size=6).filter(
            lambda rows: any(one != 255 for row in rows for one in row)
        )
    )
    keep_N = data.draw(
        st.lists(st.booleans(), min_size=len(codes_NM), max_size=len(codes_NM))
    )
    panel = panel_of(codes_NM)
    keep_W = np.array(keep_N * 2)
    rule = Decided(keep_W.astype(float), keep_W, np.ones(keep_W.size, dtype=bool))
    truth = find_truth(panel, {})
    groups = panel.group_words({0: "g", 1: "g"})
    voters = [of_voter(panel, m) for m in range(2)]

    beside_MGS4 = count_beside(panel, groups, rule, voters, truth)

    own_GS4 = count_groups(panel, groups, rule, truth)
    for one_GS4 in beside_MGS4:
        # As many words of each class, and as many kept.
        for cut in ([0, 1], [2, 3]):
            assert one_GS4[:, :, cut].sum() == own_GS4[:, :, cut].sum()
        assert one_GS4[:, :, [0, 2]].sum() == own_GS4[:, :, [0, 2]].sum()
