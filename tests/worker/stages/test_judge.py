import numpy as np
import pytest

from db.queries.votes import VoteRow
from kompress.config import RoundConfig, parse_config
from tests.worker.worlds import change
from worker.panel import make_panel
from worker.stages import judge


class Pulse:
    """A heartbeat that only counts."""

    def __init__(self):
        self.num_beats = 0

    def progress(self, done, total):
        self.num_beats += 1


def paired(protocol):
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
    return judge.Inputs(
        config=config,
        seed=0,
        panel=make_panel(config.panel(), votes, strata),
        group_of={1: "g1", 2: "g2"},
        gold_codes={
            1: np.array([254, 254, 0, 0], dtype=np.uint8),
            2: np.array([254, 0], dtype=np.uint8),
        },
        histograms={},
    )


def confusions(out):
    return {
        row.rule: (
            row.num_keep_kept, row.num_keep_dropped, row.num_drop_kept,
            row.num_drop_dropped,
        )
        for row in out.rules
        if row.stratum == "all"
    }  # fmt: skip


def test_the_winning_reference_is_judged_beside_what_the_words_alone_would_give():
    out = judge.compute(None, paired("pairwise"), Pulse())

    # The reference is right on its four words; text 2 has none and no label. Of the
    # words alone, text 1 is a tie and kept, text 2 is kept: 3 right, 3 wrong.
    assert confusions(out) == {"beta": (2, 0, 0, 2), "majority": (3, 0, 3, 0)}
    assert out.weights == {("pairwise", "plain"): 1.0, ("pairwise", "all"): 1.0}
    (whole,) = [r for r in out.rules if r.rule == "beta" and r.stratum == "all"]
    # Its own balanced accuracy is 1, a's (1 + 0) / 2, b's 1/3 of recall, 2/3: 1/2.
    assert (whole.best_voter, whole.best_value) == ("pairwise", 1.0)


def test_the_winning_reference_is_one_voter_among_all_under_both():
    out = judge.compute(None, paired("both"), Pulse())

    # Text 1: it breaks every tie; text 2 is kept.
    assert confusions(out) == {"beta": (3, 0, 1, 2), "majority": (3, 0, 1, 2)}
    assert {voter for voter, _ in out.weights} == {"a", "b", "pairwise"}


def test_words_alone_know_no_winning_reference():
    out = judge.compute(None, paired("words"), Pulse())

    assert confusions(out) == {"beta": (3, 0, 3, 0), "majority": (3, 0, 3, 0)}
    assert {row.voter for row in out.voters} == {"a", "b"}


@pytest.mark.slow  # runs a loop
def test_a_corpus_without_audit_documents_is_judged_on_nothing(farm):
    farm.add_documents(20)
    change(farm.sessions, "UPDATE documents SET split = 'train' WHERE split = 'audit'")
    farm.start()

    farm.run(until="train")

    assert farm.parked() == []
    assert farm.query("SELECT stage FROM rounds") == [("train",)]
    assert farm.query("SELECT count(*) FROM rule_stats") == [(0,)]
