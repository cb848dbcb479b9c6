"""What voters outside a round's panel would add to it, by votes that are stored.

W = words of all texts, M = voters
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kompress.aggregation import make_aggregator
from kompress.aggregation.learned import Learner
from kompress.aggregation.patterns import DROP, KEEP, UNKNOWN
from kompress.aggregation.replicates import pool_replicates
from kompress.config import RoundConfig, parse_config
from kompress.decisions import LeaveOneOutValue
from kompress.ensemble.leave_one_out import (
    GoldVotes,
    measure_additions,
)
from kompress.types import ABSTAIN, KEEPS_FROM

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from db.models import Round
    from kompress.types import VoteRow

# The first ones by id: enough for an interval, and a command answers in seconds.
MAX_TEXTS = 300


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Stored votes of a round's panel and of voters that could join it, on its gold.

    Attributes:
        seed: of the folds and resamples.
        learner: what weighs them.
        votes: the voters' votes, the panel's first.
        num_panel: how many are the panel's.
    """

    seed: int
    learner: Learner
    votes: GoldVotes
    num_panel: int


def read_candidates(
    session: "Session", row: "Round", panel: Sequence[str]
) -> Candidates | None:
    """Read the votes on a round's calibration gold.

    Args:
        session: the session.
        row: the round.
        panel: the names of its voters.

    Returns:
        None where no other voter has votes there.
    """
    from db.queries import diversity, gold, selections, texts, votes

    groups = {
        one.text_id: one.group_id
        for one in selections.load_selections(session, row.id)
        if one.role == "train"
    }
    known = gold.load_gold(session, sorted(groups), use="calibrate")
    text_ids = sorted(known)[:MAX_TEXTS]
    idle = diversity.load_idle_votes(session, panel, text_ids)
    names = sorted({vote.voter for rows in idle.values() for vote in rows})
    if not names:
        return None
    own = votes.load_round_votes(session, row.id, text_ids)
    strata = texts.load_strata(session, text_ids, "farm")
    everybody = (*panel, *names)
    found = {
        text_id: [*own.get(text_id, ()), *idle.get(text_id, ())] for text_id in text_ids
    }
    sizes = [known[text_id][0].codes_N.size for text_id in text_ids]
    p_WM, strength_WM = _lay_out(everybody, found, sizes)
    gold_W = np.concatenate([known[text_id][0].codes_N for text_id in text_ids])
    truth_W = np.where(gold_W >= KEEPS_FROM, KEEP, DROP)
    return Candidates(
        seed=row.id,
        learner=_learner(row.config),
        votes=GoldVotes.read(
            everybody,
            p_WM,
            strength_WM,
            np.where(gold_W == ABSTAIN, UNKNOWN, truth_W),
            np.concatenate([strata[text_id] for text_id in text_ids]),
            np.repeat([groups[text_id] for text_id in text_ids], sizes),
        ),
        num_panel=len(panel),
    )


def measure_candidates(found: Candidates) -> tuple[LeaveOneOutValue, ...]:
    """Measure each voter outside the panel on calibration gold.

    Returns:
        What each would add to all of the panel, by name.

    Source: ours; see `measure_additions`.
    """
    return measure_additions(
        found.learner,
        found.votes,
        np.random.default_rng(found.seed),
        num_panel=found.num_panel,
    )


def _lay_out(
    voters: Sequence[str],
    votes: Mapping[int, Sequence["VoteRow"]],
    sizes: Sequence[int],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give (W, M) P(keep), NaN for no vote, and the samples behind it."""
    shape = (sum(sizes), len(voters))
    p_WM, strength_WM = np.full(shape, np.nan), np.zeros(shape)
    start = 0
    for rows, size in zip(votes.values(), sizes, strict=True):
        for column, voter in enumerate(voters):
            mine = [row for row in rows if row.voter == voter]
            if mine:
                own = slice(start, start + size)
                p_WM[own, column], strength_WM[own, column] = pool_replicates(
                    np.stack([row.codes_N for row in mine]),
                    np.array([row.num_samples for row in mine]),
                )
        start += size
    return p_WM, strength_WM


def _learner(config: Mapping[str, Any]) -> Learner:
    """Give the round's rule if it learns from gold, else stacking."""
    own = parse_config(RoundConfig, dict(config)).aggregation
    rule = make_aggregator(own.rule, own.params)
    if isinstance(rule, Learner):
        return rule
    stacking: Any = make_aggregator("stacking", {})
    return stacking  # type: ignore[no-any-return]  # the registry's type is the plain rule's
