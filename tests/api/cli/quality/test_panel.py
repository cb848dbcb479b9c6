"""`farm quality` says what voters are worth together, whom to drop, what is blind."""

from dataclasses import replace

import numpy as np
import pytest

from db.models import Job, Round
from db.queries import (
    corpora,
    diversity,
    gold,
    labels,
    loops,
    records,
    selections,
    voters,
    votes,
)
from kompress.aggregation.pair_rows import pair_rows
from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.rules.stacking import Stacking
from kompress.decisions import Decisions
from kompress.ensemble.diversity import measure_diversity
from kompress.types import UNKNOWN, CountKey, Fingerprint, Gold, LabelCounts, Vote
from tests.truth_codes import coded

NAMES = ("t1", "t2", "t3")
NUM_WORDS = 20


def draw(num_words):
    """t1 and t2 are right at .9 and .8, t3 copies t2; a fourth at .85 is idle."""
    rng = np.random.default_rng(4)
    truth_N = rng.integers(0, 2, num_words).astype(np.uint8)
    right_NM = rng.random((num_words, 3)) < [0.9, 0.8, 0.85]
    keep_NM = (truth_N[:, None] == 1) == right_NM[:, [0, 1, 1, 2]]
    codes_NM = np.where(keep_NM, 250, 4).astype(np.uint8)
    codes_NM[::40, 2] = 254 - codes_NM[::40, 2]  # a near copy
    return codes_NM, coded(truth_N)


def register(session, name):
    return voters.register_voter(
        session, Fingerprint(name, {"model": name}), "salience", {}
    )


def cast(session, round_id, voter_id, documents, codes_N):
    """Let a voter vote on documents, the first words of all."""
    rows = [
        (document.text_id, 0, Vote(codes_N[n * NUM_WORDS : (n + 1) * NUM_WORDS].copy()))
        for n, document in enumerate(documents)
    ]
    votes.store_votes(session, round_id, voter_id, rows)


@pytest.fixture
def panel(farm, ndjson, sessions):
    """A loop of three paid teachers whose first round was measured on 60 documents."""
    documents = [
        {"id": f"d{n}", "kind": "log", "split": "train",
         "text": f"{n:03d} " + "word " * (NUM_WORDS - 1)}
        for n in range(60)
    ]  # fmt: skip
    farm("corpus", "add", "ops", ndjson(*documents))
    farm("loop", "start", "ops", "--name", "mine")
    with sessions.begin() as session:
        loop = loops.get_loop(session, "mine")
        (first,) = loops.rounds_of(session, loop.id)
        first.config = {**first.config, "voters": [
            {"name": name, "kind": "teacher", "params": {}} for name in NAMES
        ]}  # fmt: skip
        found = corpora.documents(session, loop.corpus_id, 60)
        codes_NM, truth_N = draw(60 * NUM_WORDS)
        group_N = np.repeat(np.arange(60), NUM_WORDS)
        stratum_N = np.tile([2] + [0] * (NUM_WORDS - 1), 60)
        truth_N[stratum_N == 2] = UNKNOWN  # nobody has gold of numbers
        measured = measure_diversity(
            NAMES, codes_NM[:, :3], truth_N, stratum_N, group_N,
            np.random.default_rng(0), learner=Stacking(), num_bootstraps=200,
        )  # fmt: skip
        loops.decide(session, first.id, lambda made: replace(made, diversity=measured))
        patterns = count_patterns(codes_NM[:, :3], [1, 1, 1], stratum_N, truth_N)
        diversity.store_voter_pairs(session, first.id, pair_rows(NAMES, patterns))
        prices = {"t1": 0.5, "t2": 0.5, "t3": 0.25}
        ids = {name: register(session, name) for name in NAMES}
        loops.decide(session, first.id, lambda made: replace(made, voters=ids))
        for name, usd in prices.items():
            job = Job(round_id=first.id, stage="teach", voter=name, queue="cpu")
            session.add(job)
            session.flush()
            records.add_cost(session, job.id, 1, "usd", usd, usd)
            own_N = codes_NM[:, NAMES.index(name)]
            cast(session, first.id, ids[name], found[:50], own_N)  # 1,000 words
        labels.add_label_counts(session, first.id, {
            CountKey(source, "all", "all", "farm", "2"):
                LabelCounts(60, 1_000, 500, 9, 9)
            for source in (*NAMES, "consensus")
        })  # fmt: skip
    return "mine", measured, found, codes_NM, truth_N


def test_the_newest_round_is_put_into_sentences(farm, panel):
    loop, measured, *_ = panel

    said = farm("quality", loop).stdout

    assert (
        f"round 1: 3 teachers, worth {measured.n_eff:.1f} independent ones "
        f"({measured.n_eff_low:.1f} to {measured.n_eff_high:.1f}, on 1,140 gold words);"
        " t2 and t3 are near copies"
    ) in said
    # t2 costs twice as much as its copy and neither adds anything.
    assert "round 1: drop t2, the least per dollar" in said
    assert "beside its copy t3; the interval covers zero" in said
    assert "it saves $500.00 a million words" in said
    assert "round 1: add one more voter: one as good as t1" in said
    assert "in number nobody has gold: if all voters err alike there" in said
    assert f"squared error on 1,140 gold words is {measured.split.error:.4f}" in said


def test_a_row_of_one_source_says_nothing_of_the_panel(farm, panel):
    assert "independent ones" not in farm("quality", "--source", "t1").stdout


def test_programs_get_all_of_it(farm, panel):
    loop, measured, *_ = panel

    (row,) = farm.json("quality", loop, "--by", "ensemble")

    assert row["round"] == 1
    assert row["n_eff"] == pytest.approx(measured.n_eff)
    assert row["blind_strata"] == ["number"]
    assert row["suggestions"]["drop"] == "t2"
    assert [offer["voter"] for offer in row["suggestions"]["offers"]][-1] == "t1"
    assert row["suggestions"]["offers"][-1]["usd_per_word"] == pytest.approx(0.0005)
    assert [(p["voter"], p["other"]) for p in row["pairs"]] == [
        ("t1", "t2"), ("t1", "t3"), ("t2", "t3"),
    ]  # fmt: skip
    assert row["pairs"][2]["error_correlation"] > 0.8
    assert row["sentences"][0].startswith("3 teachers, worth")
    assert farm.json("quality", loop, "--by", "ensemble", "--round", "2") == []


def test_people_get_tables(farm, panel):
    said = farm("quality", "--by", "ensemble").stdout

    for title in ("Panels", "What each voter adds", "Pairs"):
        assert title in said
    assert "500.000" in said or "500" in said
    wrong = farm.mistake("quality", "--by", "ensemble", "--source", "t1")
    assert "a panel is all of its voters" in wrong


def test_without_a_measured_round_nothing_is_claimed(farm, panel, sessions):
    with sessions.begin() as session:
        row = session.get(Round, 1)
        row.decisions = Decisions()

    assert "were compared yet" in farm("quality", "--by", "ensemble").stdout
    assert "independent ones" not in farm("quality").stdout


def test_an_idle_voter_with_stored_votes_is_weighed(farm, panel, sessions):
    loop, _, found, codes_NM, truth_N = panel
    with sessions.begin() as session:
        row = loops.rounds_of(session, loops.get_loop(session, loop).id)[0]
        selections.store_selections(
            session, row.id, [(doc.id, "train", False, 1.0) for doc in found]
        )
        other = loops.create_round(session, row.loop_id, 2, dict(row.config))
        for n, document in enumerate(found):
            own = slice(n * NUM_WORDS, (n + 1) * NUM_WORDS)
            known_N = truth_N[own]
            known = Gold("test", "calibrate", known_N.astype(np.uint8))
            gold.store_gold(session, [(document.text_id, known)])
        for m, name in enumerate((*NAMES, "idle")):
            # The idle voter voted in another round.
            round_id = other.id if name == "idle" else row.id
            cast(session, round_id, register(session, name), found, codes_NM[:, m])

    (first,) = farm.json("quality", loop, "--by", "ensemble", "--round", "1")

    assert first["suggestions"]["add"] == "idle"
    assert "add idle, whose votes are stored" in first["suggestions"]["sentences"][1]

    with sessions.begin() as session:
        loops.decide(session, 2, lambda made: replace(made, diversity=panel[1]))
    first, second = farm.json("quality", loop, "--by", "ensemble")

    # Whom to add is asked of the newest round that is shown; it has no gold here.
    assert (first["round"], second["round"]) == (1, 2)
    assert {row["suggestions"]["add"] for row in (first, second)} == {"t1"}


def test_a_voter_that_gives_several_votes_a_word_costs_as_many(farm, panel, sessions):
    loop, *_ = panel
    with sessions.begin() as session:
        row = session.get(Round, 1)
        first, *others = row.config["voters"]
        row.config = {**row.config, "voters": [{**first, "replicates": 3}, *others]}

    (found,) = farm.json("quality", loop, "--by", "ensemble")

    prices = {o["voter"]: o["usd_per_word"] for o in found["suggestions"]["offers"]}
    assert prices == pytest.approx({"t1": 0.0015, "t2": 0.0005, "t3": 0.00025})
