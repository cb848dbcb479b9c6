"""What `farm quality` says of a round's voters together, and whom to drop or add."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from api.cli.output import format_cell, print_table, say
from api.cli.quality.sentences import (
    describe_blind,
    describe_error,
    describe_panel,
    describe_suggestions,
)
from kompress.aggregation import make_aggregator
from kompress.aggregation.learned import Learner
from kompress.config import RoundConfig, parse_config
from kompress.decisions import Diversity, LeaveOneOutValue
from kompress.ensemble.leave_one_out import GoldVotes, measure_additions
from kompress.ensemble.suggestions import Suggestions, suggest
from kompress.labelling.panel import make_panel

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from db.models import Round

# The first ones by id: enough for an interval, and a command answers in seconds.
MAX_TEXTS = 300
PANEL = (
    "round", "num_voters", "n_eff", "interval", "alpha", "num_gold_words", "error",
    "shared_bias", "shared_variance", "own_variance",
)  # fmt: skip
PAIRS = (
    "round", "voter", "other", "num_words", "agreement", "num_gold_words",
    "error_correlation",
)  # fmt: skip
OFFERS = ("round", "voter", "bits", "interval", "usd_per_million", "bits_per_dollar")


@dataclass(frozen=True, slots=True)
class PanelReport:
    """What is known of one round's panel.

    Attributes:
        round: its number.
        diversity: as the stage `fit` measured it.
        suggestions: whom to drop, whom to add.
        pairs: rows of `voter_correlation`.
        noun: what its voters are.
    """

    round: int
    diversity: Diversity
    suggestions: Suggestions
    pairs: list[dict[str, Any]]
    noun: str

    @property
    def sentences(self) -> list[str]:
        """All of it in plain words, one matter a sentence."""
        found = [
            describe_panel(self.diversity, noun=self.noun),
            describe_error(self.diversity),
            *describe_suggestions(self.suggestions, self.diversity),
            describe_blind(self.diversity),
        ]
        return [sentence for sentence in found if sentence]

    def as_json(self) -> dict[str, Any]:
        """Lay out everything for programs."""
        return {
            "round": self.round,
            "sentences": self.sentences,
            **_diversity_row(self.diversity),
            "blind_strata": list(self.diversity.blind_strata),
            "suggestions": {
                "drop": self.suggestions.drop,
                "add": self.suggestions.add,
                "sentences": list(
                    describe_suggestions(self.suggestions, self.diversity)
                ),
                "offers": [asdict(offer) for offer in self.suggestions.offers],
            },
            "pairs": self.pairs,
        }


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


@dataclass(frozen=True, slots=True)
class PanelRecord:
    """What is stored about one round's panel.

    Attributes:
        round: its number.
        diversity: as the stage `fit` measured it.
        prices: USD a word by voter, for all of the replicates that a panel asks for.
        candidates: votes of others that could join, None if nobody's.
        pairs: rows of `voter_correlation`.
        noun: what its voters are.
    """

    round: int
    diversity: Diversity
    prices: Mapping[str, float]
    candidates: Candidates | None
    pairs: list[dict[str, Any]]
    noun: str


def measured_rounds(rounds: Iterable["Round"], number: int | None) -> list["Round"]:
    """Take the rounds whose voters were compared, or the one of a number."""
    return [
        row
        for row in rounds
        if number in (None, row.number) and row.decisions.diversity
    ]


def read_panels(
    session: "Session", loop: str, rounds: Sequence["Round"]
) -> list[PanelRecord]:
    """Read what rounds of a loop decided about their panels.

    Args:
        session: the session.
        loop: the loop's name.
        rounds: some that were measured.

    Returns:
        One each, in their order; the last one with the voters that could join it now.
    """
    from db.queries import diversity, views

    found = []
    for row in rounds:
        if (measured := row.decisions.diversity) is None:
            continue
        kinds = {voter["kind"] for voter in row.config["voters"]}
        candidates = None
        if row is rounds[-1]:
            candidates = read_candidates(session, row, measured.voters)
        found.append(
            PanelRecord(
                round=row.number,
                diversity=measured,
                prices=_panel_prices(
                    diversity.voter_prices(session, loop, row.number),
                    row.config["voters"],
                ),
                candidates=candidates,
                pairs=views.voter_correlation(session, loop, row.number),
                noun="teachers" if kinds == {"teacher"} else "voters",
            )
        )
    return found


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
    known = gold.load_gold(session, sorted(groups), "calibrate", row.id)
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
            gold_W,
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


def weigh_panel(found: PanelRecord) -> PanelReport:
    """Suggest whom to drop and to add; it refits the rule and needs no session."""
    candidates = measure_candidates(found.candidates) if found.candidates else ()
    return PanelReport(
        round=found.round,
        diversity=found.diversity,
        suggestions=suggest(found.diversity, found.prices, candidates),
        pairs=found.pairs,
        noun=found.noun,
    )


def say_newest(found: Sequence[PanelReport]) -> None:
    """Print the sentences of the newest round that has any."""
    if found:
        newest = found[-1]
        say("")
        for sentence in newest.sentences:
            say(f"round {newest.round}: {sentence}")


def print_ensembles(found: Sequence[PanelReport]) -> None:
    """Print panels, what each voter adds, pairs, and the newest round's sentences."""
    if not found:
        say("no round's voters were compared yet; the stage `fit` does it")
        return
    print_table([_panel_row(one) for one in found], PANEL, title="Panels")
    offers = [row for one in found for row in _offer_rows(one)]
    if offers:
        print_table(offers, OFFERS, title="What each voter adds")
    pairs = [row for one in found for row in one.pairs]
    if pairs:
        print_table(pairs, PAIRS, title="Pairs: – where gold does not identify it")
    say_newest(found)


def _diversity_row(found: Diversity) -> dict[str, Any]:
    """Lay out what is known of a panel, in one level."""
    row = asdict(found)
    split, values = row.pop("split"), row.pop("leave_one_out")
    return {
        "num_voters": found.num_voters,
        **row,
        "num_split_words": split.pop("num_words"),
        **split,
        "variance": found.split.variance,
        "gains": values,
    }


def _panel_prices(
    prices: Mapping[str, float], voters: Iterable[Mapping[str, Any]]
) -> dict[str, float]:
    """Turn prices of one vote into what a word costs with each voter of a config."""
    replicates = {voter["name"]: voter.get("replicates", 1) for voter in voters}
    return {name: usd * replicates.get(name, 1) for name, usd in prices.items()}


def _panel_row(one: PanelReport) -> dict[str, Any]:
    found = one.diversity
    return {
        "round": one.round,
        **{name: getattr(found, name) for name in PANEL if hasattr(found, name)},
        **asdict(found.split),
        "interval": _interval(found.n_eff_low, found.n_eff_high),
    }


def _offer_rows(one: PanelReport) -> Iterable[Mapping[str, Any]]:
    for offer in one.suggestions.offers:
        price = offer.usd_per_word
        yield {
            "round": one.round,
            "voter": offer.voter,
            "bits": offer.bits,
            "interval": _interval(offer.bits_low, offer.bits_high),
            "usd_per_million": "free" if price == 0 else price and price * 1e6,
            "bits_per_dollar": offer.bits_per_dollar,
        }


def _interval(low: float | None, high: float | None) -> str | None:
    if low is None or high is None:
        return None
    return f"{format_cell(low)} to {format_cell(high)}"


def _learner(config: Mapping[str, Any]) -> Learner:
    """Give the round's rule if it learns from gold, else stacking."""
    own = parse_config(RoundConfig, dict(config)).aggregation
    rule = make_aggregator(own.rule, own.params)
    if isinstance(rule, Learner):
        return rule
    stacking: Any = make_aggregator("stacking", {})
    return stacking  # type: ignore[no-any-return]  # the registry's type is the plain rule's
