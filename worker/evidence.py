"""Read which words of a shard its round's rules may learn from; see `labelling`.

W = words of some texts
"""

from collections.abc import Sequence

import numpy as np
from sqlalchemy.orm import Session

from db.queries import patterns, texts, votes
from kompress.aggregation.patterns import UNKNOWN
from kompress.labelling.evidence import Evidence, read_truth
from kompress.labelling.panel import make_panel
from worker.scope import Scope, load_truth, may_count


def load_evidence(
    session: Session, round_id: int, shard: int, scope: Scope, names: Sequence[str]
) -> Evidence:
    """Read one shard's documents that may be learned from.

    Args:
        session: the session.
        round_id: the round.
        shard: of the first wave, which holds all documents of the round.
        scope: of `find_scope`.
        names: voters, in the order of the columns.
    """
    rows = patterns.list_evidence(session, round_id, shard)
    why = {row.text_id: may_count(row, scope) for row in rows}
    text_ids = [text_id for text_id, reasons in why.items() if any(reasons)]
    # Forgotten texts have no row; texts without votes leave the panel.
    panel = make_panel(
        names,
        votes.load_round_votes(session, round_id, text_ids),
        texts.load_strata(session, text_ids, "farm"),
    )
    known = load_truth(session, panel.text_ids, scope)
    truths, counts = [], []
    for text_id, rows_N in panel.split(panel.stratum_W).items():
        with_gold, without_gold = why[text_id]
        truth_N = np.full(rows_N.size, UNKNOWN, dtype=np.uint8)
        if with_gold and text_id in known:
            truth_N = read_truth(known[text_id])
        truths.append(truth_N)
        counts.append((truth_N != UNKNOWN) | without_gold)
    return Evidence(
        panel=panel,
        truth_W=np.concatenate(truths) if truths else np.zeros(0, dtype=np.uint8),
        counts_W=np.concatenate(counts) if counts else np.zeros(0, dtype=np.bool_),
        group_of={row.text_id: row.group_id for row in rows},
    )
