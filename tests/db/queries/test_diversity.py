"""Pairs, prices and diagrams in SQL are those of kompress."""

import dataclasses

import numpy as np
import pytest
from sqlalchemy import text

from db.models import Round
from db.queries import (
    diversity,
    labels,
    loops,
    quality,
    records,
    views,
    voters,
)
from db.queries import votes as votes_of
from kompress.aggregation.pair_rows import pair_rows
from kompress.aggregation.pairs import error_correlation, sides_of
from kompress.aggregation.patterns import count_patterns
from kompress.ensemble.diversity import measure_diversity
from kompress.types import (
    UNKNOWN,
    CountKey,
    Fingerprint,
    LabelCounts,
    Vote,
    VoterStatRow,
)
from tests.oracles.reliability_diagram import reliability_diagram
from tests.truth_codes import coded


@pytest.fixture
def votes():
    """200 words of three voters, the third errs alone; half of them have gold."""
    rng = np.random.default_rng(5)
    truth_N = rng.integers(0, 2, 200).astype(np.uint8)
    stratum_N = rng.integers(0, 3, 200)
    shared_N = rng.random(200) < 0.3
    wrong_NM = np.stack([shared_N, shared_N ^ (rng.random(200) < 0.1),
                         rng.random(200) < 0.2], axis=1)  # fmt: skip
    codes_NM = np.where(truth_N[:, None] ^ wrong_NM, 254, 0).astype(np.uint8)
    codes_NM[rng.random((200, 3)) < 0.1] = 255
    truth_N = coded(truth_N)
    truth_N[100:] = UNKNOWN
    return codes_NM, truth_N, stratum_N


def store_pairs(session, round_id, codes_NM, truth_N, stratum_N):
    patterns = count_patterns(codes_NM, [1, 1, 1], stratum_N, truth_N)
    rows = pair_rows(("a", "b", "c"), patterns)
    diversity.store_voter_pairs(session, round_id, rows)


def test_correlation_in_sql_is_that_of_the_votes(session, world, votes):
    codes_NM, truth_N, stratum_N = votes

    store_pairs(session, world.round_id, *votes)

    found = views.voter_correlation(session, "small", 1)
    expected_MM = error_correlation(*sides_of(codes_NM), truth_N, stratum_N)
    by_pair = {(row["voter"], row["other"]): row for row in found}
    assert list(by_pair) == [("a", "b"), ("a", "c"), ("b", "c")]
    for (a, b), row in by_pair.items():
        m, n = "abc".index(a), "abc".index(b)
        assert row["error_correlation"] == pytest.approx(expected_MM[m, n], abs=1e-12)
        both_N = (codes_NM[:, [m, n]] != 255).all(axis=1)
        equal_N = codes_NM[both_N, m] == codes_NM[both_N, n]
        assert row["num_words"] == both_N.sum()
        assert row["agreement"] == pytest.approx(equal_N.mean())
        assert row["num_gold_words"] == both_N[:100].sum()
    assert by_pair["a", "b"]["error_correlation"] > 0.5


def test_without_gold_the_correlation_of_errors_is_null(session, world, votes):
    codes_NM, truth_N, stratum_N = votes

    store_pairs(
        session, world.round_id, codes_NM, np.full_like(truth_N, 255), stratum_N
    )

    for row in views.voter_correlation(session, "small", 1):
        assert row["error_correlation"] is None
        assert row["num_gold_words"] == 0
        assert row["agreement"] > 0


@pytest.mark.parametrize("flawless", [0, 1])
def test_a_voter_without_errors_has_no_correlation(session, world, votes, flawless):
    codes_NM, truth_N, stratum_N = (part[:100] for part in votes)
    codes_NM = codes_NM.copy()
    codes_NM[:, flawless] = truth_N

    store_pairs(session, world.round_id, codes_NM, truth_N, stratum_N)

    (row, *_) = views.voter_correlation(session, "small", 1)
    assert (row["voter"], row["other"]) == ("a", "b")
    assert row["error_correlation"] is None
    assert row["num_gold_words"] > 50


def test_a_repetition_replaces_all_pairs_of_a_round(session, world, votes):
    codes_NM, truth_N, _ = votes
    store_pairs(session, world.round_id, *votes)

    # The second time there is one stratum only: no row of the others may stay.
    store_pairs(session, world.round_id, codes_NM, truth_N, np.zeros(200, int))

    strata = session.scalars(text("SELECT DISTINCT stratum FROM voter_pairs")).all()
    assert strata == ["plain"]


def test_a_rounds_diversity_is_read_from_its_decision(session, world, votes):
    codes_NM, truth_N, stratum_N = votes
    group_N = np.arange(200) // 10
    measured = measure_diversity(
        ("a", "b", "c"), codes_NM, truth_N, stratum_N, group_N,
        np.random.default_rng(0), num_bootstraps=50,
    )  # fmt: skip
    assert views.ensemble_diversity(session, "small") == []

    loops.decide(
        session,
        world.round_id,
        lambda made: dataclasses.replace(made, diversity=measured),
    )

    (row,) = views.ensemble_diversity(session, "small", 1)
    assert (row["num_voters"], row["truth"]) == (3, "gold")
    assert row["n_eff"] == measured.n_eff
    assert (row["n_eff_low"], row["n_eff_high"]) == (
        measured.n_eff_low, measured.n_eff_high,
    )  # fmt: skip
    assert row["alpha"] == measured.alpha
    assert row["num_gold_words"] == measured.num_gold_words
    assert row["error"] == pytest.approx(row["shared_bias"] + row["variance"])
    assert row["variance"] == pytest.approx(
        row["shared_variance"] + row["own_variance"]
    )


def test_a_diagram_in_sql_is_that_of_the_histogram(session, world):
    rng = np.random.default_rng(3)
    keep, drop = rng.integers(0, 9, (2, 256))
    keep[40:80] = drop[40:80] = 0  # a bin without a vote
    row = VoterStatRow(
        "a", "all", "gold", 1, 1, 1, 1, 0, 0, keep.tolist(), drop.tolist()
    )
    must = VoterStatRow("a", "all", "must_keep", 1, 1, 0, 0, 0, 0, [1] * 256, [0] * 256)
    quality.add_voter_stats(session, world.round_id, [row, must])

    gold, must_keep = views.voter_quality(session, "small", 1)

    expected = reliability_diagram(np.array([drop, keep]))
    assert [(b["stated"], b["observed"], b["n"]) for b in gold["diagram"]] == [
        (b.stated, b.observed, b.n) for b in expected
    ]
    assert gold["diagram"][2] == {"stated": None, "observed": None, "n": 0}
    assert must_keep["diagram"] is None


def test_idle_votes_are_those_of_newest_voters_outside_the_panel(session, world):
    first, second = world.text_ids[:2]
    ids = [
        voters.register_voter(session, Fingerprint(name, parts), "salience", {})
        for name, parts in (("idle", {}), ("idle", {"model": "new"}), ("own", {}))
    ]
    vote = Vote(np.array([254, 0, 254, 0], dtype=np.uint8), num_samples=3)
    for voter_id in ids:
        rows = [(text_id, 0, vote) for text_id in (first, second)]
        votes_of.store_votes(session, world.round_id, voter_id, rows)

    found = diversity.load_idle_votes(session, ("own",), [first])

    assert list(found) == [first]
    (row,) = found[first]
    assert (row.voter, row.voter_id, row.num_samples) == ("idle", ids[1], 3)
    assert row.codes_N.tolist() == [254, 0, 254, 0]


@dataclasses.dataclass(frozen=True)
class Till:
    """Rounds that ask voters about texts of 10 words each, and pay for what is new."""

    session: object
    text_ids: list[int]
    add_job: object

    def register(self, name, model="large", **parts):
        """A voter; `model=None` for one that asks no model."""
        parts |= {"model": {"model": model}} if model else {}
        return voters.register_voter(
            self.session, Fingerprint(name, parts), "teacher", {}
        )

    def ask(self, world, bought, *, known=None, stage="teach"):
        """Let a round ask: number of new texts and USD by voter, and of stored ones.

        It writes down what a round does: who was asked, votes, costs, label counts.
        """
        session, known = self.session, known or {}
        decided = {voters.get_voter(session, v).name: v for v in {**bought, **known}}
        loops.decide(
            session,
            world.round_id,
            lambda made: dataclasses.replace(made, voters={**made.voters, **decided}),
        )
        for name, voter_id in decided.items():
            num_new, usd = bought.get(voter_id, (0, 0.0))
            num_known = known.get(voter_id, 0)
            job_id = self.add_job(session, world, stage, voter=name)
            records.add_cost(session, job_id, 1, "seconds", 1.0, 1.0)
            records.add_cost(session, job_id, 1, "usd", usd, usd)
            texts = self.text_ids[: num_known + num_new]
            vote = Vote(np.zeros(10, dtype=np.uint8))
            rows = [(text_id, 0, vote) for text_id in texts[num_known:]]
            votes_of.store_votes(session, world.round_id, voter_id, rows)
            votes_of.link_votes(session, world.round_id, voter_id, texts, 1)
            num_words = 10 * len(texts)
            counted = {
                CountKey(name, "all", "all", "farm", "2"): LabelCounts(
                    1, num_words, 1, 1, 1
                )
            }
            labels.add_label_counts(session, world.round_id, counted)


@pytest.fixture
def till(session, build_world, add_job):
    return Till(session, build_world(session, 10, name="shop").text_ids, add_job)


@pytest.fixture
def later(session, world):
    """The loop's rounds 2 and 3."""
    config = dict(session.get(Round, world.round_id).config)
    return [
        dataclasses.replace(
            world, round_id=loops.create_round(session, world.loop_id, n, config).id
        )
        for n in (2, 3)
    ]


def test_a_votes_price_is_what_asking_spent_by_the_words_of_its_votes(
    session, world, till
):
    t1, rule = till.register("t1"), till.register("rule", model=None)
    judge = till.register("judge", model="judge")

    till.ask(world, {t1: (2, 0.75), rule: (2, 0.0)})
    # Comparing references is no voting.
    till.ask(world, {judge: (0, 9.0)}, stage="compare")

    prices = diversity.voter_prices(session, "small", 1)
    assert prices == {"rule": 0.0, "t1": 0.75 / 20}


def test_a_round_that_finds_answers_stored_changes_no_price(
    session, world, later, till
):
    t1 = till.register("t1")
    till.ask(world, {t1: (4, 8.0)})
    first = diversity.voter_prices(session, "small", 1)

    till.ask(later[0], {}, known={t1: 4})
    second = diversity.voter_prices(session, "small", 2)
    # Ten dollars for five texts, however many of them the third round found.
    till.ask(later[1], {t1: (1, 2.0)}, known={t1: 4})
    third = diversity.voter_prices(session, "small", 3)

    assert first == second == {"t1": 8.0 / 40}
    assert third == {"t1": 10.0 / 50}


def test_replicates_are_bought_one_by_one(session, world, till):
    t1 = till.register("t1")
    till.ask(world, {t1: (1, 2.0)})
    vote = Vote(np.zeros(10, dtype=np.uint8))
    again = [(till.text_ids[0], replicate, vote) for replicate in (1, 2, 3)]

    votes_of.store_votes(session, world.round_id, t1, again)

    # One text, four votes of ten words each.
    assert diversity.voter_prices(session, "small", 1) == {"t1": 2.0 / 40}


def test_another_loop_knows_what_this_one_paid(session, world, build_world, till):
    t1 = till.register("t1")
    till.ask(world, {t1: (4, 8.0)})
    other = build_world(session, 1, name="other")

    till.ask(other, {t1: (1, 1.0)}, known={t1: 4})

    assert diversity.voter_prices(session, "other", 1) == {"t1": 9.0 / 50}


def test_a_second_name_of_the_same_requests_is_not_free(session, world, till):
    t1, twin = till.register("t1"), till.register("twin")

    # Both are asked about two texts; whoever comes first pays.
    till.ask(world, {t1: (2, 3.0), twin: (2, 0.0)})

    prices = diversity.voter_prices(session, "small", 1)
    assert prices == {"t1": 3.0 / 20, "twin": 3.0 / 20}


def test_a_name_is_priced_by_what_the_round_asked_under_it(session, world, later, till):
    """Round 1: a dear model. 2: its answers, read anew. 3: a model that is free."""
    dear = till.register("t1")
    reread = till.register("t1", version="2")
    free = till.register("t1", model="local")
    till.ask(world, {dear: (2, 6.0)})
    till.ask(later[0], {reread: (2, 0.0)})
    till.ask(later[1], {free: (2, 0.0)})

    found = [diversity.voter_prices(session, "small", n) for n in (1, 2, 3)]

    assert found == [{"t1": 6.0 / 20}, {"t1": 6.0 / 20}, {"t1": 0.0}]
    # A loop that never asked it means the newest of its name.
    assert diversity.voter_prices(session, "nobody's", 1) == {"t1": 0.0}


def test_who_paid_and_never_voted_has_no_price(session, world, till):
    mute, idle = till.register("mute"), till.register("idle", model="other")

    till.ask(world, {mute: (0, 5.0), idle: (0, 0.0)})

    assert diversity.voter_prices(session, "small", 1) == {"idle": 0.0}


def test_who_could_not_join_a_panel_is_not_idle(session, world):
    kinds = {
        "pairwise": ("pairwise", {}),
        "corrector": ("teacher", {"protocol": "correct"}),
        "echo": ("references", {"origin": "student@0123456789ab"}),
        "banned": ("salience", {}),
        "teacher": ("teacher", {}),
        "reader": ("references", {"origin": "references"}),
    }
    vote = Vote(np.array([254, 0, 254, 0], dtype=np.uint8))
    text_id = world.text_ids[0]
    for name, (kind, params) in kinds.items():
        voter_id = voters.register_voter(session, Fingerprint(name, {}), kind, params)
        votes_of.store_votes(session, world.round_id, voter_id, [(text_id, 0, vote)])
    voters.quarantine(session, "banned", on=True)

    found = diversity.load_idle_votes(session, (), [text_id])

    assert [row.voter for row in found[text_id]] == ["reader", "teacher"]
