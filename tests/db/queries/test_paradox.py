from db.queries import paradox, quality
from kompress.types import RuleStatRow, VoterStatRow

EMPTY = [0] * 256


def voter(name, stratum, truth, *counts):
    return VoterStatRow(name, stratum, truth, *counts, 0, 0, EMPTY, EMPTY)


def test_voters_counts_are_those_against_a_truth(session, world):
    rows = [
        voter("b", "all", "gold", 1, 2, 3, 4),
        voter("a", "hex", "must_keep", 5, 6, 0, 0),
        voter("a", "all", "gold", 7, 0, 0, 1),
        voter("a", "all", "leave_one_out", 9, 9, 9, 9),
    ]
    quality.add_voter_stats(session, world.round_id, rows)

    found = paradox.voter_counts(session, world.round_id)

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

    beta, majority = paradox.rule_counts(session, world.round_id)

    assert (beta["difference_low"], beta["difference_high"]) == (-0.2, -0.1)
    assert (majority["num_keep_kept"], majority["difference_high"]) == (4, None)
    assert paradox.rule_counts(session, world.round_id + 1) == []
