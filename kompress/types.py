"""Value types that every layer shares. Torch-free; the database stores these bytes.

N = words of one text, M = voters, S = strata
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidVotes

RULE_SETS = ("farm", "headroom-0.42", "kompress-r0")
# A must-keep word belongs to the first category, in this order, that it matches.
CATEGORIES = (
    "hex",
    "number",
    "unit",
    "version",
    "id",
    "signal",
    "constant",
    "path",
    "flag",
    "dotted",
    "identifier",
    "formula",
    "directive",
)
# A stratum's code is its place here. `other` is never `farm`'s: it marks a word that
# only another rule set catches.
STRATA = ("plain", *CATEGORIES, "other")
PLAIN = 0
OTHER = len(STRATA) - 1

# Code c stands for P(keep) = (c + 1/2) / 255, so that neither 0 nor 1 is ever claimed.
NUM_CODES = 255
ABSTAIN = 255
# Code 127 is (127 + 1/2) / 255 = 1/2: ties keep.
KEEPS_FROM = 127
# What is true of a word, as a code: of gold, and of all that is compared with it.
DROP, KEEP, UNKNOWN = 0, NUM_CODES - 1, ABSTAIN

Split = Literal["train", "audit", "held_out"]
GoldUse = Literal["calibrate", "evaluate"]
LabelSource = Literal[
    "silver",
    "corrected",
    "consensus",
    "self_label_raw",
    "self_label",
    "self_label+teacher",
]
Definition = Literal["multiset", "substring"]
SubjectKind = Literal["student", "voter", "rule", "baseline"]

JSON = dict[str, Any]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
CodeArray = NDArray[np.uint8]

# (255,) P(keep) of each code that is a vote.
# What stands before a word: nothing (the same line), a line's end, a blank line, or the
# beginning of its text.
SAME_LINE, NEXT_LINE, BLANK_LINE, NEW_TEXT = range(4)
NUM_WITHIN = 3  # of these inside a text
P_OF_CODE: FloatArray = (np.arange(NUM_CODES) + 0.5) / NUM_CODES
# Reading a byte's P(keep) off a table is three times as fast as computing it.
_P_OF_BYTE: FloatArray = np.append(P_OF_CODE, np.nan)


def encode_votes(p_N: FloatArray) -> CodeArray:
    """Quantise P(keep) to one byte a word.

    Args:
        p_N: (N,) probabilities in [0, 1]; NaN is an abstention.

    Returns:
        (N,) codes 0..254, or 255 for an abstention.

    Raises:
        InvalidVotes: a probability lies outside [0, 1].

    Source: design §4; ours.
    """
    p_N = np.asarray(p_N, dtype=np.float64)
    missing_N = np.isnan(p_N)
    known_N = np.where(missing_N, 0.5, p_N)
    if known_N.size and (known_N.min() < 0 or known_N.max() > 1):
        raise InvalidVotes(
            f"votes lie in [{known_N.min()}, {known_N.max()}]; expected [0, 1]; "
            "clip them or pass NaN to abstain"
        )
    codes_N = np.minimum(np.floor(known_N * NUM_CODES), NUM_CODES - 1)
    return np.where(missing_N, ABSTAIN, codes_N).astype(np.uint8)


def decode_votes(codes_N: CodeArray) -> FloatArray:
    """Turn byte codes of any shape back into P(keep); 255 becomes NaN.

    Args:
        codes_N: codes 0..255 of any shape.

    Returns:
        (code + 1/2) / 255, of the same shape.

    Source: design §4; ours.
    """
    p_N: FloatArray = _P_OF_BYTE[np.asarray(codes_N, dtype=np.uint8)]
    return p_N


@dataclass(frozen=True, slots=True)
class Vote:
    """One voter's P(keep) for every word of one text.

    Attributes:
        codes_N: (N,) byte codes, see `encode_votes`.
        num_samples: how many draws the vote pools, at least 1.
    """

    codes_N: CodeArray
    num_samples: int = 1


@dataclass(frozen=True, slots=True)
class Posterior:
    """A Beta posterior of P(keep) per word.

    Attributes:
        alpha_N: (N,) pseudo-counts for keep, > 0.
        beta_N: (N,) pseudo-counts for drop, > 0.
        weight_SM: (S, M) the weight each voter had, by stratum, rows in `STRATA` order.
    """

    alpha_N: FloatArray
    beta_N: FloatArray
    weight_SM: FloatArray

    @property
    def mean_N(self) -> FloatArray:
        """(N,) posterior mean of P(keep), inside (0, 1)."""
        return self.alpha_N / (self.alpha_N + self.beta_N)

    @property
    def sd_N(self) -> FloatArray:
        """(N,) posterior standard deviation, inside (0, 0.5)."""
        total_N = self.alpha_N + self.beta_N
        return np.sqrt(self.mean_N * (1 - self.mean_N) / (total_N + 1))


@dataclass(frozen=True, slots=True)
class Label:
    """A posterior as it is stored: float16, so that every reader thresholds alike.

    Attributes:
        mean_N: (N,) float16 posterior mean.
        sd_N: (N,) float16 posterior standard deviation.
    """

    mean_N: NDArray[np.float16]
    sd_N: NDArray[np.float16]

    @property
    def keep_N(self) -> BoolArray:
        """(N,) the mask at the threshold: stored mean >= 0.5, ties keep."""
        return self.mean_N >= np.float16(0.5)


@dataclass(frozen=True, slots=True)
class Fact:
    """A planted fact: the words that a decision needs.

    Attributes:
        name: what the fact is, for example `error_line`.
        words: numbers of the words that carry it, ascending.
    """

    name: str
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Gold:
    """Known truth about one text, from planted facts and never from a must-keep rule.

    Attributes:
        origin: who knows, for example `generator/error_log-1`.
        use: `calibrate` or `evaluate`; disjoint by document group.
        codes_N: (N,) the truth of each word: `KEEP`, `DROP` or `UNKNOWN`.
        question: what a reader must decide, '' if there is none.
        facts: the planted facts; the question needs all of them.
    """

    origin: str
    use: GoldUse
    codes_N: CodeArray
    question: str = ""
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A reference that could stand for a text.

    Attributes:
        origin: who wrote it, for example `c3`.
        reference: the shortened text; may be any string without NUL.
        keep_N: (N,) which of the text's words it keeps, None where it rewrites.
        replicate: which of an origin's references of one text this is, from 0.
    """

    origin: str
    reference: str
    keep_N: BoolArray | None
    replicate: int = 0


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """A stored reference, and what the newest fit and the verifier said of it."""

    id: int
    text_id: int
    candidate: Candidate
    quality: float | None
    quality_se: float | None
    is_sound: bool | None


@dataclass(frozen=True, slots=True)
class CandidateVerdict:
    """What a fit and the verifier say of a reference; None: not judged."""

    candidate_id: int
    quality: float | None
    quality_se: float | None
    is_sound: bool


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One judge on one pair in one order.

    Attributes:
        candidate_a_id: the reference that stood first in the prompt.
        candidate_b_id: the other one, of the same text.
        voter_id: the judge.
        replicate: which of a stochastic judge's repetitions.
        p_a: P(the first is better).
        p_b: P(the second is better).
        p_tie: P(neither is).
    """

    candidate_a_id: int
    candidate_b_id: int
    voter_id: int
    replicate: int
    p_a: float
    p_b: float
    p_tie: float


@dataclass(frozen=True, slots=True)
class Document:
    """A text and its place in a corpus, before it has rows.

    Attributes:
        text: the string itself.
        kind: what produced it, for example `bash_output`.
        external_id: the caller's name for it.
        group_id: documents of one group never straddle two splits; '' lets intake
            decide by near-duplicates.
        split: '' lets intake decide by group.
        gold: known truth, if any.
        candidates: references that came with it.
    """

    text: str
    kind: str
    external_id: str
    group_id: str = ""
    split: str = ""
    gold: Gold | None = None
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """One row of `scores`, as the pure side makes it.

    Attributes:
        suite: `dense`, `agent`, `qa`, `planted`, `corpus` …; a perturbed one as
            `agent~digits`.
        stratum: a name of `STRATA`, `all`, or a kind as `kind=bash_output`.
        metric: `exact_pct`, `keep_rate`, `token_savings`, `f1`, `precision`, `recall`,
            `decision_pct`, `fact_pct`, `exact_auc`, `override_delta`; guards
            `negation_pct`, `lines_intact_pct`, `json_valid_pct`, `json_elements_pct`,
            `json_faithful_pct`, `json_broken`; on request `override_extra`,
            `override_ms`, and on perturbed suites `exact_pct_drop`, `keep_rate_drop`,
            `f1_drop`.
        value: NaN-free; None where the denominator is 0.
        n: the denominator's count (words, facts or questions).
        rule_set: which rule set named the must-keep words, '' where none did.
        definition: how survival is counted.
        override: the override's rule set, '' for none.
        target_keep_rate: None means the student's own threshold.
        step: training step for curves, 0 otherwise.
        text_sha256: hex digest for a row about one text, '' for all of them.
        ci_low: lower end of the 95 % interval, None where it was not computed.
        ci_high: upper end.
    """

    suite: str
    stratum: str
    metric: str
    value: float | None
    n: int
    rule_set: str = ""
    definition: Definition = "multiset"
    override: str = ""
    target_keep_rate: float | None = None
    step: int = 0
    text_sha256: str = ""
    ci_low: float | None = None
    ci_high: float | None = None

    def is_at(self, keep_rate: float) -> bool:
        """Whether it was measured at a fixed keep_rate, without override."""
        fixed = self.target_keep_rate
        return fixed is not None and abs(fixed - keep_rate) < 1e-9 and not self.override


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What decides a voter's votes; equal fingerprints share votes across loops.

    Attributes:
        name: the voter's name, as in `teach.<name>`.
        parts: every input: model, revision, prompt, protocol, sampling, engine, dtype,
            word and rule versions, hash of the fitted snapshot.
    """

    name: str
    parts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VoteRow:
    """A stored vote; `codes_N` is one byte a word, see `kompress.types`."""

    voter_id: int
    voter: str
    replicate: int
    num_samples: int
    codes_N: CodeArray


@dataclass(frozen=True, slots=True)
class TrainDocument:
    """A train document of a round, and what decides whether it is learned from."""

    text_id: int
    group_id: str
    sha256: bytes
    random_slice: bool


@dataclass(frozen=True, slots=True, order=True)
class CountKey:
    """What a row of `label_counts` counts, within a round."""

    source: str
    kind: str
    category: str
    rule_set: str
    rule_version: str


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """Documents and words, and how many of them were kept."""

    num_documents: int
    num_words: int
    num_kept: int
    num_must_keep: int
    num_must_keep_kept: int


@dataclass(frozen=True, slots=True)
class VoterStatRow:
    """One voter's counts in one stratum against one truth.

    Attributes:
        voter: the voter's name.
        stratum: a name of `STRATA`, or `all`.
        truth: `gold`, `leave_one_out` or `must_keep`.
        num_keep_kept: words truly kept that it kept.
        num_keep_dropped: words truly kept that it dropped.
        num_drop_kept: words truly dropped that it kept.
        num_drop_dropped: words truly dropped that it dropped.
        num_agreed: words equal to the consensus without it.
        num_compared: words compared so.
        keep_codes: 256 counts, vote codes of words truly kept.
        drop_codes: 256 counts, vote codes of words truly dropped.
    """

    voter: str
    stratum: str
    truth: str
    num_keep_kept: int
    num_keep_dropped: int
    num_drop_kept: int
    num_drop_dropped: int
    num_agreed: int
    num_compared: int
    keep_codes: list[int]
    drop_codes: list[int]


class PairRow(NamedTuple):
    """How two voters' votes fall together in one stratum, by truth; a row of SQL.

    Attributes:
        voter: stands before `other` in the panel.
        other: the other one.
        stratum: a name of `STRATA`.
        truth: `keep`, `drop` or `unknown`.
        num_both_keep: words that both keep.
        num_voter_keeps: words that only `voter` keeps.
        num_other_keeps: words that only `other` keeps.
        num_both_drop: words that both drop.
    """

    voter: str
    other: str
    stratum: str
    truth: str
    num_both_keep: int
    num_voter_keeps: int
    num_other_keeps: int
    num_both_drop: int


class ResidualRow(NamedTuple):
    """What students get wrong about a document, and what its label teaches them.

    Attributes:
        measured: the residual, where the document has a label.
        predicted: what a model of all measured ones says; None before it was fitted.
        influence: see `kompress.selection.residuals`; None for fewer than two folds.
        predicted_influence: likewise by a model.
    """

    measured: float | None
    predicted: float | None
    influence: float | None = None
    predicted_influence: float | None = None

    @property
    def residual(self) -> float | None:
        """As measured, else as predicted."""
        return self.predicted if self.measured is None else self.measured

    @property
    def known_influence(self) -> float | None:
        """As measured, else as predicted."""
        known = self.influence
        return self.predicted_influence if known is None else known


@dataclass(frozen=True, slots=True)
class RuleStatRow:
    """One aggregation rule's counts in one stratum, beside its best voter.

    Attributes:
        rule: its label, such as `beta` and `k_of_n(2)`; `beta+fallback` with the strata
            that one voter decides alone, which is then what the round's labels are;
            `voter(a)` for a voter by itself.
        stratum: a name of `STRATA`, or `all`.
        truth: `gold`, or `must_keep`: every word that is no must-keep word then counts
            as one to drop, and all rules keep as many words of each text.
        num_keep_kept: words truly kept that it kept.
        num_keep_dropped: words truly kept that it dropped.
        num_drop_kept: words truly dropped that it kept.
        num_drop_dropped: words truly dropped that it dropped.
        best_voter: the voter with the best value in the rule's place (where it is
            silent the rule decides), '' if none has one.
        best_value: balanced accuracy of that, against must-keep its recall.
        difference_low: lower end of the 95 % interval of the rule's value minus that.
        difference_high: its upper end; below 0 the rule has collapsed.
    """

    rule: str
    stratum: str
    truth: str
    num_keep_kept: int
    num_keep_dropped: int
    num_drop_kept: int
    num_drop_dropped: int
    best_voter: str = ""
    best_value: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
