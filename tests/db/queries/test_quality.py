"""Integers of voters and rules, and residuals."""

from dataclasses import replace

from sqlalchemy import select

from db.models import RuleStat, VoterStat
from db.queries import quality
from kompress.types import ResidualRow, RuleStatRow, VoterStatRow

ROW = VoterStatRow("rules", "all", "gold", 1, 2, 3, 4, 5, 6, [0] * 256, [1] * 256)


def test_counts_and_histograms_of_shards_add_up(session, world):
    keep_codes = [0] * 255 + [7]
    quality.add_voter_stats(session, world.round_id, [ROW])
    quality.add_voter_stats(
        session, world.round_id, [replace(ROW, keep_codes=keep_codes, num_agreed=50)]
    )

    stat = session.scalars(select(VoterStat)).one()
    assert (stat.num_keep_kept, stat.num_drop_dropped, stat.num_agreed) == (2, 8, 55)
    assert quality.load_histograms(session, world.round_id) == {
        ("rules", "all", "gold"): (keep_codes, [2] * 256)
    }


def test_fits_are_written_beside_the_counts(session, world):
    gold, without = ROW, replace(ROW, truth="leave_one_out")
    quality.add_voter_stats(session, world.round_id, [gold, without])

    quality.set_voter_fits(
        session,
        world.round_id,
        {("rules", "all"): 0.5},
        {("rules", "all", "gold"): 0.125},
    )

    stats = session.scalars(select(VoterStat).order_by(VoterStat.truth)).all()
    assert [(row.truth, row.weight, row.ece) for row in stats] == [
        ("gold", 0.5, 0.125),
        ("leave_one_out", 0.5, None),
    ]


def test_a_rules_counts_are_replaced_by_a_repetition(session, world):
    row = RuleStatRow("beta", "all", "gold", 1, 2, 3, 4)
    quality.store_rule_stats(session, world.round_id, [row])
    quality.store_rule_stats(
        session,
        world.round_id,
        [replace(row, num_keep_kept=9, best_voter="rules", difference_high=-0.5)],
    )

    stat = session.scalars(select(RuleStat)).one()
    assert (stat.num_keep_kept, stat.best_voter) == (9, "rules")
    assert (stat.difference_low, stat.difference_high) == (None, -0.5)


def test_residuals_come_back_by_document(session, world):
    a, b, _ = world.document_ids
    known = ResidualRow(0.5, 0.25, 0.01, 0.02)
    quality.store_residuals(
        session, world.round_id, {b: known, a: ResidualRow(None, 0.75)}
    )

    found = quality.load_residuals(session, world.round_id)

    assert list(found.items()) == [(a, (None, 0.75, None, None)), (b, known)]
    assert (found[a].residual, found[a].known_influence) == (0.75, None)
    assert (found[b].residual, found[b].known_influence) == (0.5, 0.01)
    assert ResidualRow(None, 0.75, None, 0.02).known_influence == 0.02


CODES = [0] * 256


def store(session, world, truth):
    voter = VoterStatRow("a", "all", truth, 9, 1, 9, 1, 0, 0, CODES, CODES)
    quality.add_voter_stats(session, world.round_id, [voter])
    rules = [
        RuleStatRow("voter(a)", "all", truth, 3, 1, 2, 6),
        RuleStatRow("beta", "all", truth, 2, 2, 2, 6),
    ]
    quality.store_rule_stats(session, world.round_id, rules)


def test_a_voter_is_no_rule_although_it_has_a_row_beside_them(session, world):
    store(session, world, "gold")

    found = quality.compare_subjects(session, world.loop_id)

    assert [(row["subject_kind"], row["subject"]) for row in found] == [
        ("voter", "a"),
        ("rule", "beta"),
    ]
    # Of the voter 9 of 10 kept, 1 of 10 dropped; of the rule 2 of 4 and 6 of 8.
    assert [row["balanced_accuracy"] for row in found] == [0.5, 0.625]


def test_against_must_keep_words_voters_count_as_they_keep_the_same_share(
    session, world
):
    store(session, world, "must_keep")

    voter, rule = quality.compare_subjects(session, world.loop_id, truth="must_keep")

    # 3 of 4 and 2 of 4 must-keep words; 5 and 4 of 12 words are kept.
    assert (voter["subject"], rule["subject"]) == ("a", "beta")
    assert (voter["recall"], rule["recall"]) == (0.75, 0.5)
    assert (voter["keep_rate"], rule["keep_rate"]) == (5 / 12, 4 / 12)
    for row in (voter, rule):
        assert row["precision"] is row["f1"] is row["balanced_accuracy"] is None


def voter(name, stratum, truth, *counts):
    return VoterStatRow(name, stratum, truth, *counts, 0, 0, CODES, CODES)


def test_voters_counts_are_those_against_a_truth(session, world):
    rows = [
        voter("b", "all", "gold", 1, 2, 3, 4),
        voter("a", "hex", "must_keep", 5, 6, 0, 0),
        voter("a", "all", "gold", 7, 0, 0, 1),
        voter("a", "all", "leave_one_out", 9, 9, 9, 9),
    ]
    quality.add_voter_stats(session, world.round_id, rows)

    found = quality.voter_counts(session, world.round_id)

    assert [(r["truth"], r["stratum"], r["voter"]) for r in found] == [
        ("gold", "all", "a"), ("gold", "all", "b"), ("must_keep", "hex", "a"),
    ]  # fmt: skip
    assert list(found[1].values())[3:] == [1, 2, 3, 4]


def test_rules_counts_come_with_the_interval_beside_their_best_voter(session, world):
    rows = [
        RuleStatRow("beta", "all", "gold", 1, 2, 3, 4, "a", 0.9, -0.2, -0.1),
        RuleStatRow("majority", "all", "gold", 4, 3, 2, 1),
    ]
    quality.store_rule_stats(session, world.round_id, rows)

    beta, majority = quality.rule_counts(session, world.round_id)

    assert (beta["difference_low"], beta["difference_high"]) == (-0.2, -0.1)
    assert (majority["num_keep_kept"], majority["difference_high"]) == (4, None)
    assert quality.rule_counts(session, world.round_id + 1) == []
