import json
import math

import numpy as np
import pytest

from kompress.aggregation.patterns import VotePatterns, merge_patterns
from kompress.types import ABSTAIN, STRATA, UNKNOWN
from tests.worker.inprocess import two_waves
from tests.worker.learning import LEARNERS
from tests.worker.waves import (
    assert_pooled,
    cast,
    cheap_votes,
    decide,
    escalations,
    fit_first_wave,
    forced_documents,
    keep_some_gold,
    put_words,
    seen,
    text_boundaries,
    worth_of,
)
from tests.worker.worlds import change


@pytest.mark.slow  # runs a loop
def test_only_open_documents_gold_the_slice_and_the_audit_see_the_second_wave(farm):
    farm.add_documents(24)
    keep_some_gold(farm)
    farm.start(
        voters=two_waves(),
        escalation={"share": 0.25},
        selection={"random_slice": 0.2},
        aggregation={"rule": "beta"},
        shard_documents=10,
    )
    farm.run(until="escalate")
    rows = farm.query("""
        SELECT s.document_id, d.text_id, t.num_words FROM selections s
        JOIN documents d ON d.id = s.document_id JOIN texts t ON t.id = d.text_id
        ORDER BY 1
    """)
    # Of three documents each,
    for place, (_, text_id, num_words) in enumerate(rows):
        alpha, beta = [
            # the voters contradict each other: mean (1 + 1) / 4 = 1/2, sd
            # √(1/4 / 5) = .224, 1 bit;
            (254, 0),
            # one keeps, the other is silent: 2/3, √(2/9 / 4) = .236, .918 bits;
            (254, 255),
            # both keep: 3/4, √(3/16 / 5) = .194, .811 bits.
            (254, 254),
        ][place % 3]
        put_words(farm, "alpha", text_id, [alpha] * num_words)
        put_words(farm, "beta", text_id, [beta] * num_words)

    farm.run(until="train")

    assert farm.parked() == []
    forced = forced_documents(farm, 1)
    # The widest would be the next ones. A quarter of all is less than a third.
    contested = [document for document, _, _ in rows[::3]][: math.ceil(len(rows) / 4)]
    assert forced
    assert seen(farm, 1) == forced | set(contested)
    assert set(contested) - forced
    assert len(seen(farm, 1)) < len(rows)
    asked = farm.query(
        """SELECT count(*) FROM round_votes rv JOIN votes w ON w.id = rv.vote_id
           JOIN voters v ON v.id = w.voter_id WHERE v.name = 'gamma'"""
    )
    assert asked == [(len(seen(farm, 1)),)]
    decided = escalations(farm)[1]
    ((num_gold,),) = farm.query("""
        SELECT count(*) FROM selections s JOIN documents d ON d.id = s.document_id
        JOIN gold g ON g.text_id = d.text_id AND g.use = 'calibrate'
    """)
    assert decided == {
        "threshold_bits": pytest.approx(1.0),
        "num_documents": len(seen(farm, 1)),
        "num_gold": num_gold,
        "spending": None,
        "asked": {},
    }
    assert num_gold > 0


@pytest.mark.slow  # runs half a round
def test_what_voters_of_known_rates_leave_open_is_escalated_not_what_they_decide(farm):
    farm.add_documents(24)
    farm.start(
        voters=two_waves(),
        # Too little for any document: all gold tells how the first voters do.
        escalation={"share": 0.25, "gold_words": 1},
        selection={"random_slice": 0.0},
        aggregation={"rule": "reliability", "compare": []},
    )
    farm.run(until="escalate")
    rows = farm.query("""
        SELECT s.document_id, d.text_id, t.num_words, s.role
        FROM selections s JOIN documents d ON d.id = s.document_id
        JOIN texts t ON t.id = d.text_id ORDER BY 1
    """)
    rng = np.random.default_rng(0)
    # About half of the documents the voters know nothing, and gold says so. Of a word
    # there the rates leave about 1 bit; they are better known than those of the other
    # half, where votes that are right 9 times in 10 leave about half a bit.
    tossed = {document for place, (document, *_) in enumerate(rows) if place % 2}
    for document, text_id, num_words, _ in rows:
        truth_N = np.where(rng.random(num_words) < 0.4, 254, 0)
        right = 0.5 if document in tossed else 0.9
        for voter in ("alpha", "beta"):
            is_right_N = rng.random(num_words) < right
            put_words(
                farm, voter, text_id, np.where(is_right_N, truth_N, 254 - truth_N)
            )
        change(
            farm.sessions,
            "UPDATE text_strata SET codes = :codes WHERE text_id = :text_id",
            codes=bytes([2 if document in tossed else 0] * num_words),
            text_id=text_id,
        )
        change(
            farm.sessions,
            "UPDATE gold SET codes = :codes WHERE text_id = :text_id",
            codes=truth_N.astype(np.uint8).tobytes(),
            text_id=text_id,
        )

    farm.run(until="train")

    assert farm.parked() == []
    audit = {document for document, _, _, role in rows if role == "audit"}
    assert seen(farm, 1) - audit <= tossed
    assert len(seen(farm, 1) & tossed) >= math.ceil(len(rows) / 4)


COUNTED = "SELECT patterns FROM vote_patterns ORDER BY shard"


@pytest.mark.slow  # runs half a round
@pytest.mark.parametrize("gold_words", [10_000, 600])
def test_voters_of_a_later_wave_meet_the_gold_that_those_of_the_first_meet(
    farm, gold_words
):
    farm.add_documents(24)
    farm.start(
        voters=two_waves(),
        escalation={"share": 0.25, "gold_words": gold_words},
        selection={"random_slice": 0.0},
        aggregation={"rule": "reliability", "compare": []},
        shard_documents=10,
    )
    farm.run(until="train")

    assert farm.parked() == []
    counted = merge_patterns(
        [VotePatterns.from_bytes(bytes(data)) for (data,) in farm.query(COUNTED)]
    )
    known_P = counted.truth_P != UNKNOWN
    assert known_P.any()
    assert (counted.code_PM[known_P] != ABSTAIN).all()
    # All of these made documents have gold, on nearly every word.
    words_of = {
        document: sum(code != ABSTAIN for code in codes)
        for document, codes in farm.query("""
            SELECT s.document_id, g.codes FROM selections s
            JOIN documents d ON d.id = s.document_id
            JOIN gold g ON g.text_id = d.text_id WHERE s.role = 'train'
        """)
    }
    decided = escalations(farm)[1]
    num_words = int(counted.count_P[known_P].sum())
    if gold_words > sum(words_of.values()):
        assert num_words == sum(words_of.values())
        assert decided["num_gold"] == len(words_of)
        assert seen(farm, 1) >= words_of.keys()
    else:
        # A document has about 80 words: 600 are 7 or 8 of them, drawn by content.
        assert 3 <= decided["num_gold"] <= 13
        assert 40 <= num_words / decided["num_gold"] <= 120
        assert len(seen(farm, 1) & words_of.keys()) < len(words_of)


@pytest.mark.slow  # runs two halves of a round
def test_where_gold_forces_few_documents_the_share_decides_on_the_others(farm):
    farm.add_documents(24)
    shares = {"few": 0.25, "most": 0.75}
    for name, share in shares.items():
        farm.start(
            name,
            voters=two_waves(),
            # Of about 80 words that each document has: one or two, drawn by content.
            escalation={"share": share, "gold_words": 120},
            selection={"random_slice": 0.0},
            aggregation={"rule": "reliability", "compare": []},
        )
    farm.run(until="train")

    assert farm.parked() == []
    selected = farm.query("SELECT role FROM selections WHERE round_id = 1")
    num_audit = selected.count(("audit",))
    few, most = seen(farm, 1), seen(farm, 2)
    assert few < most < {d for (d,) in farm.query("SELECT id FROM documents")}
    decided = farm.query(
        "SELECT decisions #> '{escalations,2}' FROM rounds ORDER BY id"
    )
    assert decided[0][0]["num_gold"] == decided[1][0]["num_gold"] <= 5
    for share, found in zip(shares.values(), (few, most), strict=True):
        by_share = math.ceil(share * len(selected))
        forced = decided[0][0]["num_gold"] + num_audit
        assert by_share <= len(found) <= by_share + forced
        assert len(found) > forced


@pytest.mark.slow  # runs half a round
@pytest.mark.parametrize("rule", LEARNERS)
def test_a_rule_that_learns_is_fitted_to_the_first_wave(farm, rule):
    farm.add_documents(24)
    keep_some_gold(farm)
    for name, size in (("one", 500), ("many", 5)):
        farm.start(
            name,
            voters=two_waves(),
            escalation={"share": 0.25},
            selection={"random_slice": 0.0},
            aggregation={"rule": rule, "compare": [], "reliability_version": 2},
            shard_documents=size,
        )
    farm.run(until="train")

    assert farm.parked() == []
    # However the documents were cut, the same ones are contested.
    assert seen(farm, 1) == seen(farm, 2)
    rows = farm.query("""
        SELECT d.text_id, s.document_id
        FROM selections s JOIN documents d ON d.id = s.document_id
        WHERE s.round_id = 1
    """)
    learned = fit_first_wave(farm, rule)
    bits = {}
    for text_id, document in rows:
        p_NM, stratum_N = cheap_votes(farm, text_id)
        boundary_N = text_boundaries(farm, text_id)
        mean_N = learned.aggregate(p_NM, np.ones(2), stratum_N, boundary_N).mean_N
        bits[document] = -float(
            np.mean(mean_N * np.log2(mean_N) + (1 - mean_N) * np.log2(1 - mean_N))
        )
    contested = sorted(bits, key=lambda d: (-bits[d], d))[: math.ceil(len(rows) / 4)]
    assert seen(farm, 1) == forced_documents(farm, 1) | set(contested)
    assert set(contested) - forced_documents(farm, 1)


@pytest.mark.slow  # runs one round, and half of another
def test_a_later_waves_budget_buys_second_answers_of_voters_that_vary(farm):
    farm.add_documents(24)
    keep_some_gold(farm)
    voters = two_waves()
    voters[0]["max_replicates"] = 2
    farm.start(
        rounds=2,
        voters=voters,
        escalation={"share": 0.25},
        selection={"random_slice": 0.2},
        aggregation={"rule": "reliability", "compare": []},
        shard_documents=4,
    )
    farm.run(before_round=2)
    # As if gamma tossed coins: what tells most is another answer of alpha.
    decide(farm, alpha=[0.9, 0.9], beta=[0.6, 0.6], gamma=[0.5, 0.5])

    farm.run(until="train")

    assert farm.parked() == []
    decided = escalations(farm)[2]
    forced = forced_documents(farm, 2)
    bought = seen(farm, 2) - forced
    alpha = cast(farm, "alpha")
    assert bought
    assert decided["spending"]["num_calls"] == {
        "alpha": len(bought),
        "beta": 0,
        "gamma": 0,
    }
    assert decided["spending"]["num_replicates"] == len(bought)
    # Audit documents have no gold to learn from.
    assert 0 < decided["num_gold"] < len(forced)
    assert decided["num_documents"] == len(bought) + len(forced)
    assert {d for d, replicates in alpha.items() if replicates == [0, 1]} == bought
    assert {d for d, replicates in alpha.items() if replicates == [0]} == (
        alpha.keys() - bought
    )
    assert cast(farm, "gamma").keys() == forced
    assert {tuple(asked.items()) for asked in decided["asked"].values()} == {
        (("alpha", 2),), (("gamma", 1),)
    }  # fmt: skip
    # In the round before a budget could not tell, and alpha answered once.
    assert set(map(tuple, cast(farm, "alpha", 1).values())) == {(0,)}
    assert_pooled(farm, bought)


@pytest.mark.slow  # runs one round, and half of another
def test_where_a_voter_failed_no_further_answer_is_bought(farm):
    farm.add_documents(24)
    keep_some_gold(farm)
    voters = two_waves()
    voters[0]["max_replicates"] = 3
    voters[0]["params"]["failure_rate"] = 0.4
    farm.start(
        rounds=2,
        voters=voters,
        escalation={"share": 1.0},
        selection={"random_slice": 0.0},
        aggregation={"rule": "reliability", "compare": []},
    )
    farm.run(before_round=2)
    decide(farm, alpha=[0.9, 0.9], beta=[0.6, 0.6], gamma=[0.5, 0.5])

    farm.run(until="train")

    assert farm.parked() == []
    alpha = cast(farm, "alpha")
    asked = {}
    decided = escalations(farm)[2]
    for shard, document in farm.query(
        "SELECT shard, document_id FROM shard_documents WHERE round_id = 2 AND wave = 2"
    ):
        asked[document] = decided["asked"][str(shard)].get("alpha", 0)
    failed = {document for (document,) in farm.query("""
        SELECT d.id FROM failures f JOIN documents d ON d.text_id = f.text_id
        WHERE f.round_id = 1
    """)}  # fmt: skip
    again = {document for document, number in asked.items() if number}
    assert again
    assert failed
    assert not again & failed
    # What fails at its second or third answer keeps those that it has.
    assert all(alpha[document][0] == 0 for document in again)
    assert any(alpha[document] == [0, 1, 2] for document in again)
    assert any(len(alpha[document]) < asked[document] for document in again)


@pytest.mark.slow  # runs one round, and half of another
def test_once_a_round_knows_the_voters_each_is_asked_where_it_tells_most(farm):
    farm.add_documents(24)
    keep_some_gold(farm)
    delta = {**two_waves()[-1], "name": "delta"}
    farm.start(
        rounds=2,
        voters=[*two_waves(), delta],
        escalation={"share": 0.25},
        selection={"random_slice": 0.0},
        aggregation={"rule": "reliability", "compare": []},
        shard_documents=4,
    )
    farm.run(before_round=2)
    # As if gamma had turned out to be always right about plain words, and to toss
    # coins about all others; delta about all.
    coin = {stratum: [0.5, 0.5] for stratum in STRATA}
    change(
        farm.sessions,
        """UPDATE rounds SET decisions = jsonb_set(jsonb_set(decisions,
               '{reliability,gamma}', CAST(:gamma AS jsonb)),
               '{reliability,delta}', CAST(:delta AS jsonb)) WHERE number = 1""",
        gamma=json.dumps({**coin, "plain": [1.0, 1.0]}),
        delta=json.dumps(coin),
    )

    farm.run(until="train")

    assert farm.parked() == []
    first, second = escalations(farm)[1], escalations(farm)[2]["spending"]
    assert first["threshold_bits"] is not None
    assert second["unit"] == "words"
    forced = forced_documents(farm, 2)
    bought = seen(farm, 2) - forced
    value, size = worth_of(farm)
    # A quarter of the words by two voters: half of them by one.
    assert second["spent"] <= second["budget"] == sum(size.values()) / 2
    assert second["spent"] == sum(size[d] for d in bought)
    left = second["budget"] - sum(size[d] for d in bought)
    others = [value[d] for d in value if d not in bought | forced and size[d] <= left]
    # Bins of the mean are 1/64 wide.
    assert max(others, default=0) <= min(value[d] for d in bought) * 1.02
    asked = dict(
        farm.query("""
        SELECT v.name, count(*) FROM round_votes rv JOIN votes w ON w.id = rv.vote_id
        JOIN voters v ON v.id = w.voter_id WHERE rv.round_id = 2 GROUP BY v.name
    """)
    )
    assert asked["gamma"] == len(bought | forced)
    assert asked["delta"] == len(forced)
    assert asked["alpha"] > asked["gamma"]
