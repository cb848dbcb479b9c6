"""Audit documents of a few texts, and what is made of them."""

from dataclasses import dataclass

import numpy as np

from kompress.config import RoundConfig, parse_config
from kompress.labelling import audit
from kompress.labelling.consensus import FittedConsensus
from kompress.types import VoteRow


@dataclass
class Case:
    """What one shard would read, and what is known of the round."""

    basis: audit.AuditBasis
    part: audit.AuditShard

    def judged(self, *, num_shards=1, max_groups=99, max_words=9_999):
        """Judge the texts, dealt to so many shards."""
        sums = audit.AuditSums(
            self.basis.config.panel(), max_groups=max_groups, max_words=max_words
        )
        for shard in range(num_shards):
            own = sorted(self.part.strata)[shard::num_shards]
            audit.add_shard(self.basis, part_of(self.part, own), sums, int)
        return audit.conclude(self.basis, sums, {})


def part_of(part, text_ids):
    """Leave the other texts out."""
    return audit.AuditShard(*(
        {text_id: found[text_id] for text_id in text_ids if text_id in found}
        for found in (part.votes, part.strata, part.group_of, part.gold_codes)
    ))  # fmt: skip


def case_of(config, votes, strata, group_of, gold_codes, *, fits=None, fallbacks=None):
    basis = audit.AuditBasis(
        fitted=FittedConsensus(config, fits or {}, fallbacks or {}),
        calibration={},
        truth="gold" if gold_codes else "must_keep",
        seed=0,
    )
    return Case(basis, audit.AuditShard(votes, strata, group_of, gold_codes))


def panel_of(
    stratum_GN, vote_GNM, *, truth_GN=None, fallbacks=None, rule="majority", fits=None
):
    """Texts of one group each; voters a, b, c … vote bytes; gold where it is given."""
    num_voters = vote_GNM.shape[2]
    names = "abcdefgh"[:num_voters]
    config = parse_config(
        RoundConfig,
        {
            "voters": [{"name": name, "kind": "simulated"} for name in names],
            "aggregation": {"rule": rule, "compare": [rule]},
        },
    )
    votes = {
        text_id: [
            VoteRow(1, names[m], 0, 1, vote_GNM[text_id, :, m].astype(np.uint8))
            for m in range(num_voters)
        ]
        for text_id in range(len(stratum_GN))
    }
    strata = {t: stratum_GN[t].astype(np.uint8) for t in range(len(stratum_GN))}
    gold = (
        {} if truth_GN is None else dict(enumerate((254 * truth_GN).astype(np.uint8)))
    )
    group_of = {t: f"g{t}" for t in range(len(stratum_GN))}
    return case_of(
        config, votes, strata, group_of, gold, fits=fits, fallbacks=fallbacks
    )
