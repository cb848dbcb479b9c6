"""What voters outside a round's panel would add to it, by votes that are stored.

W = words of all texts
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kompress.aggregation import make_aggregator
from kompress.aggregation.learned import Learner
from kompress.config import RoundConfig, parse_config
from kompress.decisions import LeaveOneOutValue
from kompress.ensemble.leave_one_out import GoldVotes, measure_additions
from kompress.labelling.fit_data import read_truth
from kompress.labelling.panel import make_panel

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from db.models import Round

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
    laid = make_panel(everybody, found, strata)
    gold_W = np.concatenate([known[text_id][0].codes_N for text_id in laid.text_ids])
    return Candidates(
        seed=row.id,
        learner=_learner(row.config),
        votes=GoldVotes.read(
            everybody,
            laid.p_WM,
            laid.strength_WM,
            read_truth(gold_W),
            laid.stratum_W,
            laid.group_words(groups).number_W,
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


def _learner(config: Mapping[str, Any]) -> Learner:
    """Give the round's rule if it learns from gold, else stacking."""
    own = parse_config(RoundConfig, dict(config)).aggregation
    rule = make_aggregator(own.rule, own.params)
    if isinstance(rule, Learner):
        return rule
    stacking: Any = make_aggregator("stacking", {})
    return stacking  # type: ignore[no-any-return]  # the registry's type is the plain rule's
