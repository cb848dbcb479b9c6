import json
import math

import numpy as np
import pytest

from kompress.aggregation import AGGREGATORS, make_aggregator
from kompress.aggregation.information import entropy_bits
from kompress.aggregation.patterns import count_patterns, merge_patterns
from kompress.types import STRATA, decode_votes
from tests.worker.inprocess import two_waves
from tests.worker.worlds import change

LEARNERS = sorted(name for name, rule in AGGREGATORS.items() if hasattr(rule, "fit"))


@pytest.mark.slow  # runs a loop
def test_only_contested_documents_the_slice_and_the_audit_see_the_second_wave(farm):
    farm.add_documents(24)
    share = 0.25
    farm.start(
        voters=two_waves(),
        escalation={"share": share},
        selection={"random_slice": 0.2},
        aggregation={"rule": "beta"},
        shard_documents=10,
    )
    farm.run(until="train")

    rows = farm.query(
        """SELECT d.text_id, s.document_id, s.random_slice OR s.role = 'audit'
           FROM selections s JOIN documents d ON d.id = s.document_id"""
    )
    forced = {document for _, document, is_forced in rows if is_forced}
    seen = {d for (d,) in farm.query(
        "SELECT document_id FROM shard_documents WHERE wave = 2")}  # fmt: skip
    width = {document: mean_sd(farm, text_id) for text_id, document, _ in rows}
    contested = sorted(width, key=lambda d: (-width[d], d))
    num_wide = math.ceil(share * len(rows))
    assert forced
    assert seen == forced | set(contested[:num_wide])
    assert len(seen) < len(rows)
    asked = farm.query(
        """SELECT count(*) FROM round_votes rv JOIN votes w ON w.id = rv.vote_id
           JOIN voters v ON v.id = w.voter_id WHERE v.name = 'gamma'"""
    )
    assert asked == [(len(seen),)]
    ((decided,),) = farm.query("SELECT decisions -> 'escalation_2' FROM rounds")
    assert decided["num_documents"] == len(seen)


def mean_sd(farm, text_id):
    """The mean deviation of a text's provisional posterior, from two voters' bytes."""
    rows = farm.query(
        """SELECT w.codes, s.codes FROM votes w JOIN voters v ON v.id = w.voter_id
           JOIN text_strata s ON s.text_id = w.text_id AND s.rule_set = 'farm'
           WHERE w.text_id = :text_id AND v.name IN ('alpha', 'beta')
           ORDER BY v.name""",
        text_id=text_id,
    )
    p_NM = np.stack([(np.frombuffer(codes, np.uint8) + 0.5) / 255 for codes, _ in rows])
    stratum_N = np.frombuffer(rows[0][1], np.uint8)
    rule = make_aggregator("beta", {})
    return float(rule.aggregate(p_NM.T, np.ones(p_NM.T.shape), stratum_N).sd_N.mean())


def seen(farm, round_id):
    """The documents of a round's second wave."""
    return {
        document
        for (document,) in farm.query(
            "SELECT document_id FROM shard_documents WHERE wave = 2 AND round_id = :r",
            r=round_id,
        )
    }


@pytest.mark.slow  # runs half a round
@pytest.mark.parametrize("rule", LEARNERS)
def test_a_rule_that_learns_is_fitted_to_the_first_wave(farm, rule):
    farm.add_documents(24)
    for name, size in (("one", 500), ("many", 5)):
        farm.start(
            name,
            voters=two_waves(),
            escalation={"share": 0.25},
            selection={"random_slice": 0.0},
            aggregation={"rule": rule, "compare": []},
            shard_documents=size,
        )
    farm.run(until="train")

    assert farm.parked() == []
    # However the documents were cut, the same ones are contested.
    assert seen(farm, 1) == seen(farm, 2)
    rows = farm.query("""
        SELECT d.text_id, s.document_id, s.role = 'audit'
        FROM selections s JOIN documents d ON d.id = s.document_id
        WHERE s.round_id = 1
    """)
    learned = fit_first_wave(farm, rule)
    width = {}
    for text_id, document, _ in rows:
        p_NM, stratum_N = cheap_votes(farm, text_id)
        posterior = learned.aggregate(p_NM, np.ones(2), stratum_N)
        width[document] = float(posterior.sd_N.mean())
    contested = sorted(width, key=lambda d: (-width[d], d))
    audit = {document for _, document, is_audit in rows if is_audit}
    assert seen(farm, 1) == audit | set(contested[: math.ceil(0.25 * len(rows))])


def fit_first_wave(farm, rule):
    """Fit a rule to the first wave's bytes on all train documents, with their gold."""
    parts = []
    for text_id, truth in farm.query("""
        SELECT d.text_id, g.codes FROM documents d
        LEFT JOIN gold g ON g.text_id = d.text_id AND g.use = 'calibrate'
        WHERE d.split = 'train'
    """):
        p_NM, stratum_N = cheap_votes(farm, text_id)
        known = [255 if t == 255 else int(t >= 127) for t in truth] if truth else None
        parts.append(count_patterns(p_NM, np.ones(2), stratum_N, known))
    return make_aggregator(rule, {}).fit(merge_patterns(parts))


def cheap_votes(farm, text_id):
    """The votes of alpha and beta on a text, and its strata."""
    rows = farm.query(
        """SELECT w.codes, s.codes FROM votes w JOIN voters v ON v.id = w.voter_id
           JOIN text_strata s ON s.text_id = w.text_id AND s.rule_set = 'farm'
           WHERE w.text_id = :text_id AND v.name IN ('alpha', 'beta')
           ORDER BY v.name""",
        text_id=text_id,
    )
    codes = [np.frombuffer(codes, np.uint8) for codes, _ in rows]
    return decode_votes(np.stack(codes, axis=1)), np.frombuffer(rows[0][1], np.uint8)


def decide(farm, **rates):
    """As if the first round had found these rates of voters."""
    for voter, rate in rates.items():
        change(
            farm.sessions,
            """UPDATE rounds SET decisions = jsonb_set(decisions,
                   ARRAY['reliability', :voter], CAST(:rates AS jsonb))
               WHERE number = 1""",
            voter=voter,
            rates=json.dumps(dict.fromkeys(STRATA, rate)),
        )


def cast(farm, voter, number=2):
    """The replicates that a round used of a voter's votes, by document."""
    rows = farm.query(
        """SELECT s.document_id, w.replicate FROM round_votes rv
           JOIN rounds r ON r.id = rv.round_id JOIN votes w ON w.id = rv.vote_id
           JOIN voters v ON v.id = w.voter_id
           JOIN documents d ON d.text_id = w.text_id
           JOIN selections s ON s.round_id = r.id AND s.document_id = d.id
           WHERE r.number = :number AND v.name = :voter ORDER BY 1, 2""",
        number=number,
        voter=voter,
    )
    found = {}
    for document, replicate in rows:
        found.setdefault(document, []).append(replicate)
    return found


@pytest.mark.slow  # runs one round, and half of another
def test_a_later_waves_budget_buys_second_answers_of_voters_that_vary(farm):
    farm.add_documents(24)
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
    ((decided,),) = farm.query(
        "SELECT decisions -> 'escalation_2' FROM rounds WHERE number = 2"
    )
    forced = {document for (document,) in farm.query("""
        SELECT document_id FROM selections
        WHERE round_id = 2 AND (random_slice OR role = 'audit')
    """)}  # fmt: skip
    bought = seen(farm, 2) - forced
    alpha = cast(farm, "alpha")
    assert bought
    assert decided["num_calls"] == {"alpha": len(bought), "beta": 0, "gamma": 0}
    assert decided["num_replicates"] == len(bought)
    assert {d for d, replicates in alpha.items() if replicates == [0, 1]} == bought
    assert {d for d, replicates in alpha.items() if replicates == [0]} == (
        alpha.keys() - bought
    )
    assert cast(farm, "gamma").keys() == forced
    assert {tuple(asked.items()) for asked in decided["voters"].values()} == {
        (("alpha", 2),), (("gamma", 1),)
    }  # fmt: skip
    # In the round before a budget could not tell, and alpha answered once.
    assert set(map(tuple, cast(farm, "alpha", 1).values())) == {(0,)}
    assert_pooled(farm, bought)


def assert_pooled(farm, bought):
    """The label of a document with two answers of alpha pools them as one voter's."""
    rows = farm.query(
        """SELECT d.id, v.name, w.codes, s.codes, b.mean FROM documents d
           JOIN votes w ON w.text_id = d.text_id JOIN voters v ON v.id = w.voter_id
           JOIN round_votes rv ON rv.vote_id = w.id AND rv.round_id = 2
           JOIN text_strata s ON s.text_id = d.text_id AND s.rule_set = 'farm'
           JOIN labels b ON b.text_id = d.text_id AND b.round_id = 2
               AND b.source = 'consensus'
           WHERE d.id = ANY(:ids) ORDER BY d.id, v.name, w.replicate""",
        ids=sorted(bought),
    )
    ((data, fallback),) = farm.query(
        """SELECT f.data, r.decisions -> 'fallback' FROM rule_fits f
           JOIN rounds r ON r.id = f.round_id
           WHERE f.round_id = 2 AND f.rule = 'reliability'"""
    )
    own = [code for code, name in enumerate(STRATA) if name not in (fallback or {})]
    learned = make_aggregator("reliability", {}).load(data)
    for document in bought:
        (first, second), (beta,) = (
            [decode_votes(np.frombuffer(row[2], np.uint8)) for row in rows
             if row[0] == document and row[1] == name]
            for name in ("alpha", "beta")
        )  # fmt: skip
        stratum_N, mean_N = next(
            (np.frombuffer(row[3], np.uint8), np.frombuffer(row[4], "<f2"))
            for row in rows
            if row[0] == document
        )
        # One answer is worth 1, two of one voter 2 / 1.5; gamma is silent.
        p_NM = np.stack([(first + second) / 2, beta, np.full(beta.size, np.nan)], 1)
        expected = learned.aggregate(p_NM, np.array([2.0, 1.0, 0.0]), stratum_N).mean_N
        # Not where one voter decides, see `kompress.aggregation.fallback`.
        pooled_N = np.isin(stratum_N, own)
        assert pooled_N.any()
        np.testing.assert_allclose(mean_N[pooled_N], expected[pooled_N], atol=2**-11)
        assert (first != second).any()


@pytest.mark.slow  # runs one round, and half of another
def test_where_a_voter_failed_no_further_answer_is_bought(farm):
    farm.add_documents(24)
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
    ((decided,),) = farm.query(
        "SELECT decisions -> 'escalation_2' FROM rounds WHERE number = 2"
    )
    for shard, document in farm.query(
        "SELECT shard, document_id FROM shard_documents WHERE round_id = 2 AND wave = 2"
    ):
        asked[document] = decided["voters"][str(shard)].get("alpha", 0)
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
    ((first, second),) = farm.query("""
        SELECT a.decisions -> 'escalation_2', b.decisions -> 'escalation_2'
        FROM rounds a, rounds b WHERE a.number = 1 AND b.number = 2
    """)
    assert "threshold_sd" in first
    assert second["unit"] == "words"
    audit = {document for (document,) in farm.query("""
        SELECT document_id FROM selections WHERE round_id = 2 AND role = 'audit'
    """)}  # fmt: skip
    bought = seen(farm, 2) - audit
    value, size = worth_of(farm)
    # A quarter of the words by two voters: half of them by one.
    assert second["spent"] <= second["budget"] == sum(size.values()) / 2
    assert second["spent"] == sum(size[d] for d in bought)
    left = second["budget"] - sum(size[d] for d in bought)
    others = [value[d] for d in value if d not in bought | audit and size[d] <= left]
    # Bins of the mean are 1/64 wide.
    assert max(others, default=0) <= min(value[d] for d in bought) * 1.02
    asked = dict(
        farm.query("""
        SELECT v.name, count(*) FROM round_votes rv JOIN votes w ON w.id = rv.vote_id
        JOIN voters v ON v.id = w.voter_id WHERE rv.round_id = 2 GROUP BY v.name
    """)
    )
    assert asked["gamma"] == len(bought | audit)
    assert asked["delta"] == len(audit)
    assert asked["alpha"] > asked["gamma"]


def worth_of(farm):
    """Bits a word of gamma's answers, and words, by document of round 2."""
    rows = farm.query("""
        SELECT d.text_id, s.document_id
        FROM selections s JOIN documents d ON d.id = s.document_id
        WHERE s.round_id = 2
    """)
    learned = fit_first_wave(farm, "reliability")
    value, size = {}, {}
    for text_id, document in rows:
        p_NM, stratum_N = cheap_votes(farm, text_id)
        mean_N = learned.aggregate(p_NM, np.ones(2), stratum_N).mean_N
        # What a sure answer tells is the word's entropy.
        value[document] = float((entropy_bits(mean_N) * (stratum_N == 0)).mean())
        size[document] = len(stratum_N)
    return value, size
