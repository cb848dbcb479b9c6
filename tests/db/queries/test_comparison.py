from db.queries import comparison, quality
from kompress.types import RuleStatRow, VoterStatRow

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

    found = comparison.compare_subjects(session, world.loop_id)

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

    voter, rule = comparison.compare_subjects(session, world.loop_id, truth="must_keep")

    # 3 of 4 and 2 of 4 must-keep words; 5 and 4 of 12 words are kept.
    assert (voter["subject"], rule["subject"]) == ("a", "beta")
    assert (voter["recall"], rule["recall"]) == (0.75, 0.5)
    assert (voter["keep_rate"], rule["keep_rate"]) == (5 / 12, 4 / 12)
    for row in (voter, rule):
        assert row["precision"] is row["f1"] is row["balanced_accuracy"] is None
