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
