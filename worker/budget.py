"""Read what the round before learned of the voters that a budget could buy answers of.

What is made of it: `kompress.labelling.budget`.
"""

from sqlalchemy.orm import Session

from db.queries import diversity, loops, quality, views, voters
from db.queries.jobs import JobRow
from kompress.config import RoundConfig, VoterConfig
from kompress.decisions import Decisions
from kompress.labelling.budget import BudgetTerms, make_terms
from kompress.labelling.fitting import flatten_rates
from kompress.voters import VOTERS


def load_terms(
    session: Session, job: JobRow, config: RoundConfig
) -> BudgetTerms | None:
    """Read what the round before learned; voters in quarantine are not asked.

    Returns:
        None unless that round knows every voter of the next wave.
    """
    before = loops.previous_round(session, job.loop_id, job.round)
    if before is None:
        return None
    held = loops.read_round(session, before)
    rates = flatten_rates(held.decisions.reliability)
    decided = loops.read_round(session, job.round_id).decisions
    present = [v for v in config.voters if v.name not in decided.quarantined]
    asked = [v for v in present if v.wave <= job.wave]
    following = [v for v in present if v.wave == job.wave + 1]
    known = {voter for voter, _ in rates}
    if not following or not known >= {v.name for v in following}:
        return None
    correlation = views.voter_correlation(session, job.loop, held.number)
    found = quality.load_residuals(session, before)
    return make_terms(
        asked,
        following,
        rates=rates,
        prices=diversity.voter_prices(session, job.loop, held.number),
        correlation={
            (row["voter"], row["other"]): row["error_correlation"] or 0.0
            for row in correlation
        },
        varied={v.name for v in (*asked, *following) if _varies(session, v, decided)},
        need_of={
            document: row.residual
            for document, row in found.items()
            if row.residual is not None
        },
    )


def _varies(session: Session, voter: VoterConfig, decided: Decisions) -> bool:
    """Say whether a voter's next answer may differ from the one before."""
    varies = VOTERS[voter.kind].varies
    if varies is None:
        return False
    row = voters.get_voter(session, decided.voters[voter.name])
    return varies(row.parts)
