"""What a round decided, stage by stage: one record, stored in `rounds.decisions`.

Invariant 6 (design §3): whatever decides what a round computes is written down. `db`
parses the record when a round is read and writes it through one function
(`loops.decide`). The key of a field in JSON is its name, so that SQL reads, for
example, `decisions -> 'diversity' -> 'n_eff'`.

A change of the shape needs a new `VERSION` and a migration that rewrites stored rounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter, ValidationError

from kompress.errors import InvalidDecisions
from kompress.types import JSON

VERSION = 2
# Sensitivity P(keep | keep) and specificity P(drop | drop).
Rate = tuple[float, float]
Rates = Mapping[str, Mapping[str, Rate]]


@dataclass(frozen=True, slots=True)
class SelectionCounts:
    """How the stage `select` drew train documents.

    Attributes:
        num_population: train documents of the pinned corpus.
        num_expected: the sum of their inclusion probabilities.
        num_selected: documents drawn.
        num_random_slice: those of the random slice.
        residuals_known: documents whose residual the round before knew.
        influences_known: documents whose influence it knew.
    """

    num_population: int
    num_expected: float
    num_selected: int
    num_random_slice: int
    residuals_known: int
    influences_known: int


@dataclass(frozen=True, slots=True)
class EvidenceTotals:
    """How much of a round's train documents could be learned from.

    Attributes:
        num_documents: train documents that the round selected.
        is_certain: each of them was sure to be selected (π = 1).
        gold_words: words of those with calibration gold.
        slice_words: words of those of the random slice.
        all_words: words of all of them.
    """

    num_documents: int
    is_certain: bool
    gold_words: int
    slice_words: int
    all_words: int


class GoldRun(NamedTuple):
    """Train texts, one after the other, with calibration gold of one origin.

    Attributes:
        origin: the first one by name that knows of the text.
        first: the lowest text id.
        last: the highest; every one of the train texts between them is meant.
    """

    origin: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class PinnedEvidence:
    """What could be learned from when the round's documents were chosen.

    Attributes:
        totals: words of the round's train documents.
        gold_runs: gold of the train texts that the round selected.
        corpus_gold_runs: gold of all train texts of its pinned corpus; None where no
            student learns from gold.
    """

    totals: EvidenceTotals
    gold_runs: tuple[GoldRun, ...]
    corpus_gold_runs: tuple[GoldRun, ...] | None


@dataclass(frozen=True, slots=True)
class PilotFinding:
    """The round's rule beside its best voter, on all words or in one stratum.

    Attributes:
        stratum: a name of `STRATA`, or `all`.
        words: words compared.
        value: the rule's balanced accuracy or recall; None where nothing can be said.
        best_voter: the voter with the best one.
        best_value: that voter's, with the rule's decision where it is silent.
        low: lower end of the rule's less the best voter's, see `BestVoterComparison`.
        high: its upper end.
        collapses: the whole interval lies below 0.
        silent: words compared of which that voter says nothing.
    """

    stratum: str
    words: int
    value: float | None = None
    best_voter: str = ""
    best_value: float | None = None
    low: float | None = None
    high: float | None = None
    collapses: bool = False
    silent: int = 0


@dataclass(frozen=True, slots=True)
class Pilot:
    """What the stage `pilot` found before money was spent.

    Attributes:
        documents: pilot documents with a vote.
        truth: `gold` or `must_keep`.
        rule: the round's.
        overall: on all words.
        strata: of the strata that could be compared.
    """

    documents: int
    truth: str
    rule: str
    overall: PilotFinding
    strata: tuple[PilotFinding, ...]

    @property
    def collapsed(self) -> tuple[PilotFinding, ...]:
        """Where the rule does worse than its best voter."""
        return tuple(one for one in (self.overall, *self.strata) if one.collapses)


@dataclass(frozen=True, slots=True)
class Spending:
    """What a budget bought for a wave.

    Attributes:
        unit: of budget and spent: `usd`, or `words` where all voters are free.
        budget: what there was to spend.
        spent: what was spent.
        gain_bits: expected bits of all calls together, weighed by the need.
        num_calls: calls by voter.
        num_replicates: calls that repeat an earlier one.
        least_bits_per_dollar: the worst bargain that was taken; None if none was paid.
    """

    unit: Literal["usd", "words"]
    budget: float
    spent: float
    gain_bits: float
    num_calls: Mapping[str, int]
    num_replicates: int
    least_bits_per_dollar: float | None


@dataclass(frozen=True, slots=True)
class Escalation:
    """Which documents the voters of a wave were asked about, and why.

    Attributes:
        num_documents: how many.
        num_gold: those whose gold counts, which every voter sees.
        threshold_bits: mean entropy of a word in the last document taken, where the
            most open ones were; None where none was taken or a budget decided.
        spending: what a budget bought, where one decided.
        asked: by shard, how many answers of each voter its documents shall have in
            all; a shard that is not in it is for the whole wave.
    """

    num_documents: int
    num_gold: int
    threshold_bits: float | None = None
    spending: Spending | None = None
    asked: Mapping[int, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a voter's votes are turned by before they are pooled.

    Attributes:
        temperature: T > 0; above 1 the voter is surer than it is right.
        strength: κ > 0, what its sample counts are multiplied by.
        num_words: words of gold behind it; 0 where there is none, and then both are 1.
    """

    temperature: float = 1.0
    strength: float = 1.0
    num_words: int = 0

    @property
    def has_gold(self) -> bool:
        """Whether anything was known to fit it to."""
        return self.num_words > 0


@dataclass(frozen=True, slots=True)
class FitSummary:
    """What the rules that learn were fitted to.

    Attributes:
        documents: `all`, or the `random_slice`: which count without gold.
        share: of the documents that count without gold.
        gold_share: of the documents with gold.
        num_words_available: words without gold, before `share`.
        num_gold_words_available: words with gold, before `gold_share`.
        rules: labels, in order.
        num_patterns: different joint votes.
        num_words: words without gold that were counted.
        num_gold_words: words with gold that were counted.
    """

    documents: Literal["all", "random_slice"]
    share: float
    gold_share: float
    num_words_available: int
    num_gold_words_available: int
    rules: tuple[str, ...]
    num_patterns: int
    num_words: int
    num_gold_words: int


@dataclass(frozen=True, slots=True)
class Fallback:
    """A stratum that one voter decides alone, and why.

    Attributes:
        voter: its name.
        aggregate: balanced accuracy of the rule on calibration gold.
        best: that of the voter, and of the rule where the voter abstains.
        low: lower end of the rule's minus the voter's, see `BestVoterComparison`.
        high: its upper end; below 0.
        words: words of gold.
    """

    voter: str
    aggregate: float
    best: float
    low: float
    high: float
    words: int


@dataclass(frozen=True, slots=True)
class ErrorSplit:
    """What the mean vote gets wrong, and which part more such voters would mend.

    Attributes:
        num_words: gold words on which every voter voted; 0 where there are none.
        error: mean squared share of voters that are wrong.
        shared_bias: squared mean error, within each stratum and truth; stays however
            many voters there are.
        shared_variance: ρσ², what the errors around that mean share; stays as well.
        own_variance: (1 - ρ)σ²/M, what averages out with more voters.
    """

    num_words: int = 0
    error: float | None = None
    shared_bias: float | None = None
    shared_variance: float | None = None
    own_variance: float | None = None

    @property
    def variance(self) -> float | None:
        """ρσ² + (1 - ρ)σ²/M."""
        if self.shared_variance is None or self.own_variance is None:
            return None
        return self.shared_variance + self.own_variance


@dataclass(frozen=True, slots=True)
class LeaveOneOutValue:
    """What one voter adds to the panel's consensus, by leaving it out.

    Attributes:
        voter: its name.
        bits: mean fall of the consensus' log-loss by its vote, in bits a gold word
            that it voted on; below 0 it does harm.
        bits_low: lower end of the 95 % interval over resampled document groups; None
            where it voted on gold of fewer than 5.
        bits_high: its upper end.
        num_words: gold words that it voted on.
        sensitivity: P(keeps | to keep) on gold, both rates under Beta(1, 1).
        specificity: P(drops | to drop).
        bits_of_another: what one more voter like it, but independent of all, would
            add to the whole panel, in bits a word.
    """

    voter: str
    bits: float
    bits_low: float | None
    bits_high: float | None
    num_words: int
    sensitivity: float
    specificity: float
    bits_of_another: float


@dataclass(frozen=True, slots=True)
class Diversity:
    """What is known about how a panel's voters differ.

    Attributes:
        voters: M names.
        truth: `gold`, or `none` where no word has a known truth.
        num_words: words with a vote.
        num_gold_words: those of known truth.
        alpha: Krippendorff's, nominal, of the sides; None where nothing is shared.
        alpha_soft: the same, interval, of P(keep).
        n_eff: independent voters that the panel is worth, in [1, M]; None where
            gold does not tell.
        n_eff_low: lower end of its 95 % interval over resampled document groups.
        n_eff_high: its upper end.
        mean_correlation: of the voters' errors, over the pairs that gold identifies.
        num_unidentified: pairs whose correlation gold does not identify; they count
            as the mean of the others.
        copies: (a, b, ρ) of pairs that are as good as one voter, by gold.
        identical: (a, b, shared words) of pairs that never voted differently, and so
            count as one voter; needs no gold.
        split: the consensus' error.
        strata: (name, words, gold words) of each stratum with votes.
        leave_one_out: what each voter adds; empty where that was not measured.
    """

    voters: tuple[str, ...]
    truth: Literal["gold", "none"]
    num_words: int
    num_gold_words: int
    alpha: float | None
    alpha_soft: float | None
    n_eff: float | None
    n_eff_low: float | None
    n_eff_high: float | None
    mean_correlation: float | None
    num_unidentified: int
    copies: tuple[tuple[str, str, float], ...]
    identical: tuple[tuple[str, str, int], ...]
    split: ErrorSplit
    strata: tuple[tuple[str, int, int], ...]
    leave_one_out: tuple[LeaveOneOutValue, ...] = ()

    @property
    def num_voters(self) -> int:
        """M."""
        return len(self.voters)

    @property
    def blind_strata(self) -> tuple[str, ...]:
        """Strata with votes and without gold: a shared error there shows nowhere."""
        return tuple(name for name, _, num_gold in self.strata if not num_gold)


@dataclass(frozen=True, slots=True)
class PredictionSummary:
    """What the next round's documents are chosen by, and how far it can be trusted.

    Attributes:
        num_measured: documents that were measured.
        predicted_by: what the others are predicted by.
        r2: share of the variance explained out of sample; None where it cannot be told.
        rank_correlation: Spearman's, out of sample; None likewise.
    """

    num_measured: int
    predicted_by: Literal["features", "mean", "nothing"]
    r2: float | None
    rank_correlation: float | None


@dataclass(frozen=True, slots=True)
class WorseText:
    """A text on which a figure fell from one student to the next."""

    text_sha256: str
    before: float
    after: float


# What students are compared by: what survives of questions and facts at the target
# keep_rate, or F1 where the gold has neither.
PromotionFigure = Literal["decisions", "f1"]


@dataclass(frozen=True, slots=True)
class PromotionTest:
    """Why a student is the best one of a loop.

    Attributes:
        outcome: `highest`: it has the highest figure, and there was no earlier one to
            beat; `better`: it beats every earlier one beyond the 95 % interval;
            `within_interval`: the highest one's lead over this earlier one may be luck;
            `too_few_groups`: the gold holds one document group, nothing can be tested;
            `untested`: there is no evaluation gold, the last one is taken;
            `no_student`: none was trained.
        top: the student with the highest figure; None where untested.
        earlier: the promoted one, where it is another.
        lead: the highest figure minus that one's.
        low: lower end of the lead's 95 % interval.
        high: its upper end.
    """

    outcome: Literal[
        "highest",
        "better",
        "within_interval",
        "too_few_groups",
        "untested",
        "no_student",
    ]
    top: str | None = None
    earlier: str | None = None
    lead: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class PromotionReport:
    """The student that a loop recommends at its end.

    Attributes:
        promoted: its id; None where none was trained.
        test: why it.
        f1_validation: F1 by student on the validation half; None where nothing was or
            should be kept.
        f1_report: its F1 on the other half.
        num_validation: texts of the validation half.
        num_report: texts of the other half.
        worse_texts: where it is worse than the student before it.
        figure: what they were compared by; F1 in loops that ended before 0.3.
        target_keep_rate: at which decisions was counted; None where it was not.
        decisions_validation: the mean of decision_pct and fact_pct at the target
            keep_rate by student on the validation half; {} where it was not counted.
        decisions_report: its own on the other half.
    """

    promoted: int | None
    test: PromotionTest
    f1_validation: Mapping[str, float | None] = field(default_factory=dict)
    f1_report: float | None = None
    num_validation: int = 0
    num_report: int = 0
    worse_texts: tuple[WorseText, ...] = ()
    figure: PromotionFigure = "f1"
    target_keep_rate: float | None = None
    decisions_validation: Mapping[str, float | None] = field(default_factory=dict)
    decisions_report: float | None = None


@dataclass(frozen=True, slots=True)
class BudgetRefusals:
    """What the loop's budget left out.

    Attributes:
        max_usd: the budget, in US dollars.
        spent_usd: spent when the last request was refused.
        refused_requests: how many, by voter.
    """

    max_usd: float
    spent_usd: float
    refused_requests: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Decisions:
    """Everything that a round decided; a stage that decided nothing leaves its default.

    Attributes:
        voters: the id of each voter and judge that the round asks, by name.
        quarantined: those that it goes on without.
        selection: how documents were drawn.
        evidence: what may be learned from, as it was then.
        pilot: the rule beside its best voter.
        escalations: by wave, from 2.
        calibration: by teacher.
        fit: what rules were fitted to.
        reliability: (sensitivity, specificity) by voter and stratum, by the round's
            rule; `all` is a stratum.
        fallback: by stratum; None without gold.
        diversity: how the voters differ.
        residual_model: how residuals were predicted.
        influence_model: how influences were.
        promotion: of the loop's last round.
        budget: what was refused for want of money.
    """

    voters: Mapping[str, int] = field(default_factory=dict)
    quarantined: tuple[str, ...] = ()
    selection: SelectionCounts | None = None
    evidence: PinnedEvidence | None = None
    pilot: Pilot | None = None
    escalations: Mapping[int, Escalation] = field(default_factory=dict)
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    fit: FitSummary | None = None
    reliability: Rates = field(default_factory=dict)
    fallback: Mapping[str, Fallback] | None = None
    diversity: Diversity | None = None
    residual_model: PredictionSummary | None = None
    influence_model: PredictionSummary | None = None
    promotion: PromotionReport | None = None
    budget: BudgetRefusals | None = None


_ADAPTER = TypeAdapter(Decisions)
_BLANK = _ADAPTER.dump_python(Decisions(), mode="json")


def as_json(made: Decisions) -> JSON:
    """Lay decisions out as they are stored; what was not decided is left out."""
    laid = _ADAPTER.dump_python(made, mode="json")
    made_only = {name: value for name, value in laid.items() if value != _BLANK[name]}
    return {"version": VERSION, **made_only}


def from_json(stored: Mapping[str, Any]) -> Decisions:
    """Read decisions as they were stored; `{}` is a round that decided nothing.

    Raises:
        InvalidDecisions: they are of another version, or do not fit the type.
    """
    if not stored:
        return Decisions()
    found = dict(stored)
    if (version := found.pop("version", None)) != VERSION:
        raise InvalidDecisions(
            f"a round's decisions have version {version!r}; expected {VERSION}: this "
            "program and the database's migrations are of different releases"
        )
    try:
        return _ADAPTER.validate_python(found)
    except ValidationError as error:
        raise InvalidDecisions(f"a round's decisions do not fit: {error}") from error
