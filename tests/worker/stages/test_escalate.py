import math

import numpy as np
import pytest

from kompress.aggregation import make_aggregator
from tests.worker.inprocess import two_waves


@pytest.mark.slow  # runs a loop
def test_only_contested_documents_the_slice_and_the_audit_see_the_second_wave(farm):
    farm.add_documents(24)
    share = 0.25
    farm.start(
        voters=two_waves(),
        escalation={"share": share},
        selection={"random_slice": 0.2},
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
