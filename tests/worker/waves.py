"""Rounds of two waves: what the voters of the first said, and who saw the second."""

import json
import zlib
from dataclasses import replace

import numpy as np

from db.queries.texts import load_texts
from kompress.aggregation import make_aggregator
from kompress.aggregation.chain.texts import gather_texts
from kompress.aggregation.patterns import count_patterns, merge_patterns
from kompress.boundaries import boundaries_of
from kompress.ensemble.information import entropy_bits
from kompress.types import STRATA, UNKNOWN, decode_votes, encode_votes
from tests.worker.worlds import change

# Documents that every voter sees, whatever the posterior says of them; of those with
# gold all, as they are while they have fewer words of it than `escalation.gold_words`.
FORCED = """
    SELECT s.document_id FROM selections s JOIN documents d ON d.id = s.document_id
    WHERE s.round_id = :round_id AND (s.random_slice OR s.role = 'audit' OR EXISTS (
        SELECT FROM gold g WHERE g.text_id = d.text_id AND g.use = 'calibrate'
    ))
"""


def forced_documents(farm, round_id):
    return {d for (d,) in farm.query(FORCED, round_id=round_id)}


def keep_some_gold(farm):
    """Leave every sixth text its calibration gold."""
    change(
        farm.sessions, "DELETE FROM gold WHERE use = 'calibrate' AND text_id % 6 > 0"
    )


def put_words(farm, voter, text_id, codes_N):
    """Put other votes into a voter's mouth."""
    change(
        farm.sessions,
        """UPDATE votes SET codes = :codes WHERE text_id = :text_id
           AND voter_id = (SELECT id FROM voters WHERE name = :voter)""",
        codes=np.asarray(codes_N, dtype=np.uint8).tobytes(),
        text_id=text_id,
        voter=voter,
    )


def seen(farm, round_id):
    """The documents of a round's second wave."""
    return {
        document
        for (document,) in farm.query(
            "SELECT document_id FROM shard_documents WHERE wave = 2 AND round_id = :r",
            r=round_id,
        )
    }


def escalations(farm):
    """What was decided about the second wave, by round."""
    found = farm.query("SELECT number, decisions #> '{escalations,2}' FROM rounds")
    return dict(found)


def fit_first_wave(farm, rule, **params):
    """Fit a rule to the first wave's bytes on all train documents, with all their gold.

    A round of two waves learns from about `escalation.gold_words` of it: the same fit
    only while there is less gold than that.
    """
    parts = []
    for text_id, group, truth in farm.query("""
        SELECT d.text_id, d.group_id, g.codes FROM documents d
        LEFT JOIN gold g ON g.text_id = d.text_id AND g.use = 'calibrate'
        WHERE d.split = 'train'
    """):
        p_NM, stratum_N = cheap_votes(farm, text_id)
        unknown_N = np.full(stratum_N.size, UNKNOWN, dtype=np.uint8)
        known_N = np.frombuffer(truth, np.uint8) if truth else unknown_N
        counted = count_patterns(p_NM, np.ones(2), stratum_N, known_N)
        number = np.uint32(zlib.crc32(group.encode()))
        texts = gather_texts(
            encode_votes(p_NM),
            stratum_N,
            known_N,
            text_boundaries(farm, text_id),
            np.full(stratum_N.size, number, dtype=np.uint32),
        )
        parts.append(replace(counted, texts=texts))
    return make_aggregator(rule, params).fit(merge_patterns(parts))


def text_boundaries(farm, text_id):
    """What stands before each word of a text."""
    with farm.sessions() as session:
        return boundaries_of(load_texts(session, [text_id])[text_id])


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
        # Not where one voter decides, see `kompress.ensemble.fallback`.
        pooled_N = np.isin(stratum_N, own)
        assert pooled_N.any()
        np.testing.assert_allclose(mean_N[pooled_N], expected[pooled_N], atol=2**-11)
        assert (first != second).any()


def worth_of(farm):
    """Bits a word of gamma's answers, and words, by document of round 2.

    By all gold in the tables, as `fit_first_wave` reads it.
    """
    rows = farm.query("""
        SELECT d.text_id, s.document_id
        FROM selections s JOIN documents d ON d.id = s.document_id
        WHERE s.round_id = 2
    """)
    learned = fit_first_wave(farm, "reliability", version=1)
    value, size = {}, {}
    for text_id, document in rows:
        p_NM, stratum_N = cheap_votes(farm, text_id)
        boundary_N = text_boundaries(farm, text_id)
        mean_N = learned.aggregate(p_NM, np.ones(2), stratum_N, boundary_N).mean_N
        # What a sure answer tells is the word's entropy.
        value[document] = float((entropy_bits(mean_N) * (stratum_N == 0)).mean())
        size[document] = len(stratum_N)
    return value, size
