import json

import numpy as np
import pytest

from db.queries import voters, votes
from kompress.types import STRATA, Fingerprint, Label, Vote
from tests.worker.worlds import change
from worker.stages.aggregate import correct, stat_rows


def test_must_keep_words_are_forced_with_certainty():
    label = Label(
        np.array([0.25, 0.125, 0.75], dtype=np.float16),
        np.array([0.5, 0.25, 0.125], dtype=np.float16),
    )

    corrected = correct(label, np.array([0, 2, 3], dtype=np.uint8))

    assert corrected.mean_N.tolist() == [0.25, 1, 1]
    assert corrected.sd_N.tolist() == [0.5, 0, 0]
    assert corrected.mean_N.dtype == corrected.sd_N.dtype == np.float16
    assert label.mean_N.tolist() == [0.25, 0.125, 0.75]


def test_counts_are_laid_out_by_stratum_and_for_all():
    cells_S4 = np.zeros((len(STRATA), 4), dtype=np.int64)
    cells_S4[0] = [1, 2, 3, 4]
    cells_S4[2] = [10, 0, 0, 1]
    codes_S2C = np.zeros((len(STRATA), 2, 256), dtype=np.int64)
    codes_S2C[0, 0, 7] = 5
    codes_S2C[2, 1, 9] = 6

    rows = {
        row.stratum: row for row in stat_rows("a", "leave_one_out", cells_S4, codes_S2C)
    }

    # Strata without a word have no row.
    assert set(rows) == {"all", "plain", "number"}
    whole = rows["all"]
    assert (whole.num_keep_kept, whole.num_keep_dropped) == (11, 2)
    assert (whole.num_drop_kept, whole.num_drop_dropped) == (3, 5)
    # Agreed: kept and to keep, dropped and to drop, 11 + 5 of 21.
    assert (whole.num_agreed, whole.num_compared) == (16, 21)
    assert (whole.drop_codes[7], whole.keep_codes[9]) == (5, 6)
    assert (rows["plain"].num_agreed, rows["number"].num_agreed) == (5, 11)


def test_agreement_is_with_the_other_voters_only():
    cells_S4 = np.ones((len(STRATA), 4), dtype=np.int64)
    codes_S2C = np.zeros((len(STRATA), 2, 256), dtype=np.int64)

    rows = stat_rows("a", "gold", cells_S4, codes_S2C)

    assert {(row.num_agreed, row.num_compared) for row in rows} == {(0, 0)}


def let_win(farm):
    """A reference won for every other text: it keeps each second word, from the first.

    Returns:
        Its mask by text.
    """
    rows = farm.query("""
        SELECT DISTINCT v.text_id, octet_length(v.codes) FROM votes v
        ORDER BY v.text_id
    """)[::2]
    with farm.sessions.begin() as session:
        voter_id = voters.register_voter(session, Fingerprint("pairwise"), "chosen", {})
        cast = {}
        for text_id, num_words in rows:
            codes_N = np.where(np.arange(num_words) % 2 == 0, 254, 0).astype(np.uint8)
            cast[text_id] = (codes_N == 254).tolist()
            votes.store_votes(session, 1, voter_id, [(text_id, 0, Vote(codes_N))])
    change(
        farm.sessions,
        "UPDATE rounds SET config = config || CAST(:more AS jsonb)",
        more=json.dumps(
            {
                "protocol": "pairwise",
                "pairwise": {"judges": [{"name": "j", "kind": "teacher"}]},
            }
        ),
    )
    return cast


@pytest.mark.slow  # runs half a round
def test_the_winning_reference_alone_is_the_consensus_and_all_are_counted(farm):
    farm.add_documents(20)
    # The protocol changes after the fit: a rule that learned knows other columns.
    farm.start(aggregation={"rule": "beta", "compare": ["majority"]})
    farm.run(until="aggregate")
    won = let_win(farm)

    farm.run(until="train")

    assert farm.parked() == []
    labels = farm.query("SELECT text_id, mean FROM labels WHERE source = 'consensus'")
    assert {
        text_id: (np.frombuffer(mean, dtype=np.float16) >= 0.5).tolist()
        for text_id, mean in labels
    } == won
    counted = dict(
        farm.query("""
            SELECT source, num_documents FROM label_counts
            WHERE kind = 'all' AND category = 'all' AND rule_set = 'farm'
        """)
    )
    assert counted["consensus"] == counted["pairwise"] == len(won)
    assert counted["alpha"] > len(won)
    # Its own words have nobody to be compared with; the others are compared with it.
    compared = farm.query("""
        SELECT DISTINCT voter FROM voter_stats WHERE truth = 'leave_one_out'
    """)
    assert sorted(compared) == [("alpha",), ("beta",), ("gamma",)]
