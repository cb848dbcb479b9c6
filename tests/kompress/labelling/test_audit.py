import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from kompress.aggregation import make_aggregator
from kompress.aggregation.patterns import count_patterns
from kompress.config import RoundConfig, parse_config
from kompress.errors import NotFitted
from kompress.types import DROP, KEEP, STRATA, VoteRow
from tests.kompress.labelling.audits import Case, case_of, panel_of
from tests.worker.pilots import SIGHTED, each_sighted_on_one_stratum


def paired(protocol, *, has_gold=True):
    """Two voters and a winning reference on two texts of one group each.

    Text 1 is keep, keep, drop, drop: the reference is right, a keeps all, b drops all.
    Text 2 is keep, drop and without a winner: a and b keep it.
    """
    config = parse_config(
        RoundConfig,
        {
            "voters": [{"name": n, "kind": "simulated"} for n in ("a", "b")],
            "protocol": protocol,
            "pairwise": {"judges": [{"name": "j", "kind": "teacher"}]},
            "aggregation": {"rule": "beta", "compare": ["majority", "beta"]},
        },
    )

    def vote(voter, *codes):
        return VoteRow(1, voter, 0, 1, np.array(codes, dtype=np.uint8))

    votes = {
        1: [
            vote("a", 254, 254, 254, 254),
            vote("b", 0, 0, 0, 0),
            vote("pairwise", 254, 254, 0, 0),
        ],
        2: [vote("a", 254, 254), vote("b", 254, 254)],
    }
    strata = {1: np.zeros(4, dtype=np.uint8), 2: np.zeros(2, dtype=np.uint8)}
    gold = {
        1: np.array([254, 254, 0, 0], dtype=np.uint8),
        2: np.array([254, 0], dtype=np.uint8),
    }
    group_of = {1: "g1", 2: "g2"}
    return case_of(config, votes, strata, group_of, gold if has_gold else {})


def confusions(out):
    return {
        row.rule: (
            row.num_keep_kept, row.num_keep_dropped, row.num_drop_kept,
            row.num_drop_dropped,
        )
        for row in out.rules
        if row.stratum == "all" and not row.rule.startswith("voter(")
    }  # fmt: skip


def test_the_winning_reference_is_judged_beside_what_the_words_alone_would_give():
    out = paired("pairwise").judged()

    # The reference is right on its four words; text 2 has none and no label. Of the
    # words alone, text 1 is a tie and kept, text 2 is kept: 3 right, 3 wrong.
    assert confusions(out) == {"beta": (2, 0, 0, 2), "majority": (3, 0, 3, 0)}
    assert out.weights == {("pairwise", "plain"): 1.0, ("pairwise", "all"): 1.0}
    (whole,) = [r for r in out.rules if r.rule == "beta" and r.stratum == "all"]
    # Its own balanced accuracy is 1, a's (1 + 0) / 2, b's 1/3 of recall, 2/3: 1/2.
    assert (whole.best_voter, whole.best_value) == ("pairwise", 1.0)


def test_the_winning_reference_is_one_voter_among_all_under_both():
    out = paired("both").judged()

    # Text 1: it breaks every tie; text 2 is kept.
    assert confusions(out) == {"beta": (3, 0, 1, 2), "majority": (3, 0, 1, 2)}
    assert {voter for voter, _ in out.weights} == {"a", "b", "pairwise"}


def test_words_alone_know_no_winning_reference():
    out = paired("words").judged()

    assert confusions(out) == {"beta": (3, 0, 3, 0), "majority": (3, 0, 3, 0)}
    assert {row.voter for row in out.voters} == {"a", "b"}


def found_of(out, rule, stratum):
    (row,) = [r for r in out.rules if (r.rule, r.stratum) == (rule, stratum)]
    return row


def test_a_majority_of_voters_that_each_see_one_stratum_collapses_in_each():
    out = each_sighted_on_one_stratum(panel_of).judged()

    for stratum, voter in zip(SIGHTED, "abc", strict=True):
        row = found_of(out, "majority", stratum)
        # It drops all 64 words, 32 of them rightly; the sighted voter is always right.
        assert (row.num_keep_kept, row.num_drop_dropped) == (0, 32)
        assert (row.best_voter, row.best_value) == (voter, 1.0)
        assert (row.difference_low, row.difference_high) == (-0.5, -0.5)


def test_the_round_s_own_labels_stand_beside_its_rule_where_voters_decide_alone():
    columns = {STRATA.index(name): m for m, name in enumerate(SIGHTED)}

    out = each_sighted_on_one_stratum(panel_of, fallbacks=columns).judged()

    for stratum in SIGHTED:
        own = found_of(out, "majority+fallback", stratum)
        assert (own.num_keep_kept, own.num_drop_dropped) == (32, 32)
        assert (own.difference_low, own.difference_high) == (0, 0)
        assert found_of(out, "majority", stratum).num_keep_kept == 0
    assert out.weights["b", "hex"] == 1.0
    assert out.weights["a", "hex"] == 0.0


def test_every_voter_is_a_row_of_its_own_that_cannot_collapse():
    out = each_sighted_on_one_stratum(panel_of).judged()

    for stratum in SIGHTED:
        for voter, sighted in zip("abc", SIGHTED, strict=True):
            row = found_of(out, f"voter({voter})", stratum)
            assert row.num_keep_kept == (32 if stratum == sighted else 0)
            assert row.num_drop_dropped == 32
            assert (row.difference_low, row.difference_high) == (None, None)
            assert row.best_value == 1.0


def test_a_healthy_panel_does_not_collapse():
    rng = np.random.default_rng(3)
    stratum_GN = rng.integers(0, 3, (20, 60))
    truth_GN = rng.integers(0, 2, (20, 60))
    right_GNM = rng.random((20, 60, 5)) < 0.85
    vote_GNM = 254 * np.where(right_GNM, truth_GN[:, :, None], 1 - truth_GN[:, :, None])

    with_gold = panel_of(stratum_GN, vote_GNM, truth_GN=truth_GN).judged()
    without = panel_of(stratum_GN, vote_GNM).judged()

    for out, truth in ((with_gold, "gold"), (without, "must_keep")):
        rows = [row for row in out.rules if row.rule == "majority"]
        assert {row.truth for row in rows} == {truth}
        assert all(row.difference_high is None or row.difference_high >= 0
                   for row in rows)  # fmt: skip


def without_gold():
    """Two texts whose words are must-keep (M) or plain (p): M p M p and p M p p.

    One vote to drop drops a word. a keeps the first word of each, b all, and c finds a
    plain word best and says nothing of the second text.
    """
    stratum_GN = np.array([[1, 0, 1, 0], [0, 1, 0, 0]])
    vote_GNM = np.array(
        [
            [[254, 250, 200], [0, 240, 254], [0, 230, 20], [0, 220, 230]],
            [[254, 254, 255], [0, 254, 255], [0, 254, 255], [0, 254, 255]],
        ]
    )
    found = panel_of(stratum_GN, vote_GNM)
    any_drop = found.basis.config.aggregation.model_copy(
        update={"rule": "k_of_n", "params": {"k": 1}, "compare": ()}
    )
    config = found.basis.config.model_copy(update={"aggregation": any_drop})
    fitted = replace(found.basis.fitted, config=config)
    return Case(replace(found.basis, fitted=fitted), found.part)


def test_without_gold_each_keeps_as_many_words_of_a_text_as_the_consensus():
    # Of each text the first word is kept: k = 1/4.
    out = without_gold().judged()

    def counts(rule, stratum="all"):
        row = found_of(out, rule, stratum)
        return (
            row.num_keep_kept, row.num_keep_dropped, row.num_drop_kept,
            row.num_drop_dropped,
        )  # fmt: skip

    # a: the first word of both, one must-keep word of three.
    assert counts("voter(a)") == (1, 2, 1, 4)
    # b would keep all eight; one of four is its best, and in a tie the earlier one.
    assert counts("voter(b)") == (1, 2, 1, 4)
    # c finds a plain word best; of text 1 it said nothing.
    assert counts("voter(c)") == (0, 2, 1, 1)
    whole = found_of(out, "voter(c)", "all")
    assert (whole.truth, whole.best_voter) == ("must_keep", "a")
    assert whole.best_value == pytest.approx(1 / 3)
    # Plain words have no recall, and so no best voter; their keep_rate is told.
    plain = found_of(out, "voter(a)", "plain")
    assert (plain.num_drop_kept, plain.num_drop_dropped) == (1, 4)
    assert (plain.best_voter, plain.best_value) == ("", None)
    assert out.voters == []


def test_without_gold_a_rule_can_collapse_too():
    # Twelve texts M M M p p p p: a, b and c keep another must-keep word each and plain
    # ones, d all must-keep words. The majority (two of four) keeps the first word and
    # three plain ones.
    text_NM = 254 * np.array(
        [
            [1, 0, 0, 1],
            [0, 0, 0, 1],
            [0, 0, 0, 1],
            [1, 1, 1, 0],
            [1, 1, 1, 0],
            [1, 1, 1, 0],
            [0, 0, 0, 0],
        ]
    )
    stratum_GN = np.tile([1, 1, 1, 0, 0, 0, 0], (12, 1))
    out = panel_of(stratum_GN, np.tile(text_NM, (12, 1, 1))).judged()

    row = found_of(out, "majority", "all")
    # k = 4/7. d keeps all three and, of equal scores, the first plain word.
    assert (row.best_voter, row.best_value) == ("d", 1.0)
    assert (row.num_keep_kept, row.num_keep_dropped) == (12, 24)
    assert row.difference_high == pytest.approx(1 / 3 - 1)


def test_without_gold_a_text_without_a_winning_reference_has_no_keep_rate():
    out = paired("pairwise", has_gold=False).judged()

    # Text 1 alone: the reference keeps two of four, and so do all.
    for rule in ("beta", "majority", "voter(a)", "voter(b)", "voter(pairwise)"):
        row = found_of(out, rule, "all")
        assert (row.num_drop_kept, row.num_drop_dropped) == (2, 2)


def test_a_rule_that_learns_is_judged_by_what_it_learned():
    # Everywhere a says the truth and b and c its opposite, and calibration gold of
    # other texts has shown it.
    truth_GN = np.tile([1, 0], (8, 6))
    inverted = np.array([False, True, True])
    vote_GNM = 254 * (truth_GN[:, :, None] != inverted)
    known = count_patterns(
        np.tile([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], (50, 1)),
        np.ones(3),
        np.zeros(100, dtype=int),
        np.tile([KEEP, DROP], 50),
    )
    fitted = make_aggregator("stacking", {}).fit(known)

    out = panel_of(
        np.zeros((8, 12)),
        vote_GNM,
        truth_GN=truth_GN,
        rule="stacking",
        fits={"stacking": fitted},
    ).judged()

    assert confusions(out) == {"stacking": (48, 0, 0, 48)}


def test_a_rule_that_learns_never_learns_from_what_it_is_judged_by():
    case = each_sighted_on_one_stratum(panel_of, rule="stacking")

    with pytest.raises(NotFitted, match="expected one of the stage fit"):
        case.judged()


def soft_panel(num_texts, num_words, *, has_gold=True, num_groups=None):
    """Eight soft voters on random texts, in groups of several where told."""
    rng = np.random.default_rng(5)
    shape = num_texts, num_words
    truth_GN = rng.integers(0, 2, shape)
    noise_GNM = rng.integers(-99, 99, (*shape, 8))
    found = panel_of(
        rng.integers(0, 9, shape),
        np.clip(127 + 60 * (2 * truth_GN[:, :, None] - 1) + noise_GNM, 0, 254),
        truth_GN=truth_GN if has_gold else None,
        rule="inverse_variance",
    )
    if num_groups:
        for text_id in found.part.group_of:
            found.part.group_of[text_id] = f"g{text_id % num_groups}"
    return found


@pytest.mark.parametrize("has_gold", [True, False])
def test_no_cut_into_shards_changes_a_bit(has_gold):
    case = soft_panel(12, 30, has_gold=has_gold, num_groups=6)
    if has_gold:
        # A shard without any gold is judged by gold all the same: by no word.
        case.part.gold_codes.pop(0)
        case.part.gold_codes.pop(6)
    whole = case.judged()

    assert len(whole.rules) == 90
    assert whole.weights["a", "all"] > 0
    for num_shards in (2, 6, 12, 13):
        assert case.judged(num_shards=num_shards) == whole
    # Groups thrown together, and a sample of words to weigh the voters by.
    few = case.judged(max_groups=4, max_words=100)
    assert case.judged(num_shards=6, max_groups=4, max_words=100) == few
    assert counts_of(few) == counts_of(whole)
    assert few.weights != whole.weights


def counts_of(out):
    return [
        (row.rule, row.stratum, row.num_keep_kept, row.num_drop_kept)
        for row in out.rules
    ]


def peak_bytes(case, num_shards):
    """The most that judging held beside what it read."""
    tracemalloc.start()
    case.judged(num_shards=num_shards, max_words=1_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.slow  # judges 40,000 words
def test_what_is_held_does_not_grow_with_the_documents():
    few, many = (soft_panel(num, 200, num_groups=20) for num in (50, 200))

    # What is imported or cached first is not theirs.
    peak_bytes(few, 5)

    # Of shards of ten texts.
    assert peak_bytes(many, 20) < 1.1 * peak_bytes(few, 5)
    # In one piece it would hold more.
    assert peak_bytes(many, 1) > 2 * peak_bytes(few, 1)
