"""What a loop computes, as validated, frozen data; never read from the environment.

A `LoopConfig` is stored once in `loops.config`; `LoopConfig.resolve(number)` gives the
`RoundConfig` that is stored in `rounds.config`, with the `RecipeConfig` of its student.
Unknown keys and wrong types are errors that name them.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from kompress.errors import InvalidConfig

RuleSet = Literal["farm", "headroom-0.42", "kompress-r0"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
LabelSource = Literal[
    "silver", "corrected", "consensus", "self_label", "self_label+teacher"
]
MixSource = Literal[LabelSource, "gold"]
# What the stop rule and the promotion read: gold of planted facts, and agents' texts.
GOLD_SUITE, AGENT_SUITE = "planted", "agent"
# The voter that votes by the reference which won the comparisons.
PAIRWISE = "pairwise"
# What every student is trained with: a fact of its record, no choice of its recipe.
OPTIMIZER = "adamw"
# What a loop that starts now pools by, where its rule is `reliability`.
NEWEST_RELIABILITY: Literal[2] = 2
C = TypeVar("C", bound=BaseModel)


class Frozen(BaseModel):
    """A config: unknown keys, wrong types and numbers that are none are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_vast_numbers(cls, data: Any) -> Any:
        """Refuse whole numbers of over 64 bits, which nothing here can count with."""
        if isinstance(data, dict):
            for key, value in data.items():
                if type(value) is int and not -(2**63) <= value < 2**63:
                    raise ValueError(
                        f"{key} has over 64 bits; expected a number within 64 bits"
                    )
        return data


def parse_config(model: type[C], data: dict[str, Any]) -> C:
    """Validate a config, naming every wrong key in words.

    Args:
        model: `LoopConfig`, `RoundConfig` or one of their parts.
        data: plain data, as read from TOML or JSON.

    Raises:
        InvalidConfig: one line a mistake: where, what was found, what was expected.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}; found {e['input']!r:.80}"
            if e["loc"]
            else e["msg"].removeprefix("Value error, ")
            for e in error.errors(include_url=False)
        ]
        raise InvalidConfig("\n".join(lines)) from error


class StudentConfig(Frozen):
    """The architecture: a ModernBERT of any size under one or two heads."""

    variant: Literal["dual_head", "token_head"] = "dual_head"
    quality_head: bool = False  # one more head regresses a document's quality
    num_layers: Positive = 4
    hidden_size: Positive = 128
    num_heads: Positive = 4
    intermediate_size: Positive = 256
    span_channels: Positive = 64
    vocab_size: Annotated[int, Field(ge=300, le=65_536)] = 6_000
    max_tokens: Annotated[int, Field(ge=16, le=8_192)] = 512
    local_attention: Positive = 128
    global_every: Positive = 3


# Sizes that a recipe may name: `student = "base"`. Widths of ModernBERT: Warner et al.
# 2024, table 4; the span head's of the deployed client.
SIZES: dict[str, StudentConfig] = {
    "demo": StudentConfig(),
    "base": StudentConfig(
        num_layers=22,
        hidden_size=768,
        num_heads=12,
        intermediate_size=1_152,
        span_channels=256,
        vocab_size=50_368,
    ),
    "large": StudentConfig(
        num_layers=28,
        hidden_size=1_024,
        num_heads=16,
        intermediate_size=2_624,
        span_channels=256,
        vocab_size=50_368,
    ),
}


def _named_size(value: Any) -> Any:
    """Take a size by its name; anything else is left to the model."""
    if not isinstance(value, str):
        return value
    if value not in SIZES:
        raise ValueError(
            f"no student size is called {value!r}; expected one of "
            f"{', '.join(SIZES)}, or a table of sizes"
        )
    return SIZES[value]


class MixPart(Frozen):
    """One source of training documents, and its share of the documents trained on.

    Attributes:
        source: the label source; `gold` is calibration gold of the train split.
        kinds: the documents' kinds, empty for every kind.
        voter: only documents whose `silver` or `corrected` label is this voter's; ''
            for any. A document that several parts could take counts for one alone.
        share: of all documents trained on; None takes what the others leave. Parts are
            thinned until the shares hold, to a document. If no part has a share, no
            part is thinned.
        max_documents_per_kind: at most so many of each kind, None for all.
    """

    source: MixSource
    kinds: tuple[str, ...] = ()
    voter: str = ""
    share: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    max_documents_per_kind: Positive | None = None

    @model_validator(mode="after")
    def _check(self) -> "MixPart":
        if self.voter and self.source not in ("silver", "corrected"):
            raise ValueError(
                f"a part of source {self.source!r} names the voter {self.voter!r}; "
                "only silver and corrected labels are one voter's; leave voter out"
            )
        return self


class FineTuningConfig(Frozen):
    """Which weights move.

    `full`: all; `heads`: the heads alone; `last_layers`: the heads and the last
    `num_layers` layers; `lora`: the heads and low-rank adapters on `lora_modules`.
    """

    method: Literal["full", "heads", "last_layers", "lora"] = "full"
    num_layers: Positive = 2
    lora_rank: Positive = 16
    lora_alpha: Annotated[float, Field(gt=0.0)] = 32.0
    lora_dropout: Share = 0.05
    lora_modules: tuple[str, ...] = ("Wqkv", "Wo")


class RecipeConfig(Frozen):
    """How a student is trained; stored with the student."""

    name: str = "spine"
    change: str = ""  # what sets it apart from the recipe before it, for the ladder
    student: Annotated[StudentConfig, BeforeValidator(_named_size)] = Field(
        default_factory=StudentConfig
    )
    # `scratch`, `previous` (the loop's last student), `student/ID`, a ModernBERT or
    # student folder, or a hub name.
    parent: str = "scratch"
    mix: tuple[MixPart, ...] = ()  # empty: the round's label_source on every document
    must_keep_weight: Annotated[float, Field(gt=0.0, le=100.0)] = 3.0
    must_keep_rule_set: RuleSet = "farm"
    # Of a label with a posterior: its mean or its mask, weighed by certainty or not.
    targets: Literal["soft", "hard"] = "soft"
    weigh_certainty: bool = True
    span_weight: Annotated[float, Field(ge=0.0, le=10.0)] = 0.3
    quality_weight: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    fine_tuning: FineTuningConfig = Field(default_factory=FineTuningConfig)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    epochs: Positive = 3
    fold_epochs: Positive = 2
    max_train_tokens: Positive | None = None  # of the round, folds included
    batch_tokens: Positive = 1_024  # F1 on gold .989; with 4,096 .867
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    warmup_share: Share = 0.1
    clip_norm: Annotated[float, Field(gt=0.0)] = 1.0
    max_document_weight: Annotated[float, Field(ge=1.0)] = 10.0
    held_out_share: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0  # of train groups
    evaluate_every: Positive = 100  # steps between held-out losses
    early_stop_patience: Positive | None = None  # held-out losses without a gain
    checkpoint_every: Positive = 100
    num_threads: Positive = 2
    seed: int = 0

    @model_validator(mode="before")
    @classmethod
    def _pass_over_removed(cls, data: Any) -> Any:
        """Leave out `optimizer`, which recipes stored before 0.2 name."""
        if isinstance(data, dict) and data.get("optimizer") == OPTIMIZER:
            return {key: data[key] for key in data if key != "optimizer"}
        return data

    @model_validator(mode="after")
    def _check(self) -> "RecipeConfig":
        given = [part.share for part in self.mix if part.share is not None]
        whole = len(given) == len(self.mix)
        if sum(given) > 1 + 1e-9 or (given and whole and sum(given) < 1 - 1e-9):
            raise ValueError(
                f"the mix's shares add up to {sum(given):g}; expected 1, or less if "
                "one part has no share"
            )
        if given and len(self.mix) - len(given) > 1:
            raise ValueError(
                "several parts of the mix have no share; expected at most one beside "
                "parts that have"
            )
        if self.early_stop_patience is not None and not self.held_out_share:
            raise ValueError(
                "early_stop_patience needs a held-out loss; set held_out_share, for "
                "example 0.1"
            )
        return self

    def record(self) -> dict[str, Any]:
        """Give what a student's record says of its training, as plain JSON."""
        return self.model_dump(mode="json") | {"optimizer": OPTIMIZER}


class VoterConfig(Frozen):
    """One voter of a round: a name of its own, a kind of the registry, its wave.

    Attributes:
        name: its own, among a round's voters and judges.
        kind: of the registry.
        wave: when it is asked.
        replicates: answers that every document gets of it where no budget decides.
        max_replicates: most answers that a later wave's budget may buy of it on one
            document; None: as `replicates`.
        params: the kind's.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,62}$")]
    kind: str
    wave: Positive = 1
    replicates: Positive = 1
    max_replicates: Positive | None = None
    params: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> "VoterConfig":
        if self.limit < self.replicates:
            raise ValueError(
                f"voter {self.name!r} has max_replicates {self.max_replicates} and "
                f"replicates {self.replicates}; expected max_replicates of at least "
                f"{self.replicates}: raise it, leave it out, or lower replicates"
            )
        return self

    @property
    def limit(self) -> int:
        """Most answers on one document, however they come about."""
        return self.replicates if self.max_replicates is None else self.max_replicates


class SelectionConfig(Frozen):
    """How many documents a round labels, and how their probabilities are laid.

    q is (1 - uniform_share) * r**gamma + uniform_share over the scaled size r, a
    document's residual times its influence;
    `random_slice` of the documents gets every voter whatever the waves decide.
    """

    num_documents: Positive | None = None  # None: every train document
    uniform_share: Share = 0.2
    gamma: Annotated[float, Field(ge=0.0, le=4.0)] = 1.0
    random_slice: Share = 0.1


class AggregationConfig(Frozen):
    """The rule that makes the consensus, and the rules only measured beside it.

    Before teachers are paid, every voter sees `pilot_documents` of the round, and the
    pilot warns if the rule would do worse than its best voter; 0 leaves it out.
    """

    rule: str = "reliability"
    params: dict[str, Any] = Field(default_factory=dict)
    # A loop keeps the version that it began with; those from before versions have 1.
    # `api.queue` writes the newest one into a loop that starts.
    reliability_version: Literal[1, 2] = 1
    # None: every rule that there is.
    compare: tuple[str, ...] | None = None
    pilot_documents: Annotated[int, Field(ge=0, le=200)] = 20


class EscalationConfig(Frozen):
    """Which documents the voters of wave 2 and later see.

    The `share` of the selected documents whose words are the most open: the provisional
    posterior says least about them, in bits. Once an earlier round knows these voters:
    of what asking them all about everything would cost, spent on the documents, voters
    and further answers of voters that vary, which are expected to tell most per dollar.

    In any case the random slice, the audit documents and documents with calibration
    gold, about `gold_words` of their words: whoever met gold only where others are at
    odds would look worse than they. These come on top of `share`. In a round of several
    waves no other gold counts.
    """

    share: Share = 0.5
    # A rate behind so many words has a standard error of .008 at most, in a stratum
    # with a hundredth of them .08.
    gold_words: Positive = 2**12


class PairwiseConfig(Frozen):
    """How references are compared in pairs, and which one wins.

    Attributes:
        judges: teachers of the protocol `pairwise`; each has a queue of its own.
        cycles: Hamiltonian cycles over a document's candidates: 2 * cycles comparisons
            an item in the first round; a small document's pairs are all compared.
        max_candidates: of one document; later ones are left out.
        fit: the model of a comparison.
        prior: strength of the Gaussian prior on scores, on observed edges' items only.
        max_keep_rate: a candidate that keeps a larger share cannot win.
        min_must_keep: nor one that loses a larger share of `farm`'s must-keep words.
    """

    judges: tuple[VoterConfig, ...] = ()
    cycles: Positive = 2
    max_candidates: Annotated[int, Field(ge=2, le=64)] = 16
    fit: Literal["bradley_terry", "thurstone", "davidson"] = "davidson"
    prior: Annotated[float, Field(gt=0.0)] = 1.0
    max_keep_rate: Share = 0.9
    # Gold of generated documents keeps .46 to .60 of them: at .8 the verifier refuses
    # gold itself and costs F1 .34, at .4 it costs .01 (bench_references).
    min_must_keep: Share = 0.4


class SelfLabelConfig(Frozen):
    """When a student's own compression is accepted as a label."""

    override: RuleSet = "headroom-0.42"
    # Keep this share of each text, must-keep words first; None: scores above 0.5.
    keep_rate: Share | None = None
    min_ratio: Annotated[float, Field(ge=1.0)] = 1.2
    min_chars: Annotated[int, Field(ge=0)] = 30


class EvaluationConfig(Frozen):
    """What a student is scored on."""

    suites: tuple[str, ...] = ("dense", "agent", "planted")
    rule_set: RuleSet = "farm"
    override: RuleSet = "headroom-0.42"
    keep_rates: tuple[Share, ...] = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9)
    num_bootstraps: Annotated[int, Field(ge=10, le=100_000)] = 1_000


class RoundConfig(Frozen):
    """Everything that decides one round."""

    voters: tuple[VoterConfig, ...]
    # What makes the consensus: the voters' words, the reference that won the
    # comparisons, or both, the winner as one more voter.
    protocol: Literal["words", "pairwise", "both"] = "words"
    pairwise: PairwiseConfig = Field(default_factory=PairwiseConfig)
    label_source: LabelSource = "consensus"
    selection: SelectionConfig = Field(default_factory=SelectionConfig)
    escalation: EscalationConfig = Field(default_factory=EscalationConfig)
    aggregation: AggregationConfig = Field(default_factory=AggregationConfig)
    self_label: SelfLabelConfig = Field(default_factory=SelfLabelConfig)
    recipe: RecipeConfig = Field(default_factory=RecipeConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    folds: Annotated[int, Field(ge=0, le=20)] = 2
    shard_documents: Annotated[int, Field(ge=1, le=500)] = 250

    @model_validator(mode="after")
    def _check(self) -> "RoundConfig":
        names = [voter.name for voter in self.voters]
        if not names:
            raise ValueError("a round needs at least one voter; add one to `voters`")
        if len(set(names)) != len(names):
            raise ValueError(f"voter names repeat: {names}; give each its own")
        if min(voter.wave for voter in self.voters) != 1:
            raise ValueError("no voter has wave 1; the first wave cannot be empty")
        judges = [judge.name for judge in self.pairwise.judges]
        if len({*names, *judges, PAIRWISE}) != len(names) + len(judges) + 1:
            raise ValueError(
                f"names repeat among voters {names} and judges {judges}, or one is "
                f"{PAIRWISE!r}, the name of the winning reference's votes; give each "
                "its own"
            )
        if self.protocol != "words" and not judges:
            raise ValueError(
                f"protocol {self.protocol!r} compares references, but "
                "pairwise.judges is empty; add a teacher of the protocol pairwise"
            )
        known = {"", *names}
        if foreign := [p.voter for p in self.recipe.mix if p.voter not in known]:
            raise ValueError(
                f"the mix names the voter {foreign[0]!r}; expected one of {names}"
            )
        if self.folds == 1:
            raise ValueError("one fold has no out-of-fold part; use 0 or at least 2")
        return self

    def panel(self) -> tuple[str, ...]:
        """Name the voters whose votes a round has, the winning reference's last."""
        names = tuple(voter.name for voter in self.voters)
        return names if self.protocol == "words" else (*names, PAIRWISE)

    def pilot_size(self) -> int:
        """Give the most documents of a pilot, 0 where no rule could collapse.

        A consensus of one voter, or of the winning reference alone, has no voter to be
        worse than.
        """
        is_alone = len(self.voters) == 1 or self.protocol == "pairwise"
        return 0 if is_alone else self.aggregation.pilot_documents

    def correctors(self) -> tuple[str, ...]:
        """Name the teachers that correct a student's self-label, shown as a draft."""
        return tuple(
            voter.name
            for voter in self.voters
            if voter.kind == "teacher" and voter.params.get("protocol") == "correct"
        )

    def label_sources(self) -> set[str]:
        """Name the label sources that the round needs.

        Those that it trains on, and `label_source`, that its figures speak of.
        """
        return {self.label_source, *(part.source for part in self.recipe.mix)}


class StopConfig(Frozen):
    """When a loop ends: converged, drifted or a limit; limits act between rounds."""

    max_rounds: Positive = 5
    patience: Positive = 2  # rounds without a gain
    # A figure that rises by no more than this has not gained.
    min_gain: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.01
    override_tolerance: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    target_keep_rate: Share = 0.8
    max_usd: Annotated[float, Field(ge=0.0)] | None = None
    max_seconds: Annotated[float, Field(gt=0.0)] | None = None

    def unmeasured(self, evaluation: EvaluationConfig) -> list[str]:
        """List what a loop converges by and a round does not measure, one line each.

        Nothing where a limit ends the loop before it could converge.
        """
        if self.max_rounds <= self.patience:
            return []
        without = (
            "or a stop.max_rounds of at most stop.patience, which lets a limit end the "
            "loop"
        )
        found = [
            f"evaluation.suites: found {list(evaluation.suites)}; expected {suite!r} "
            f"among them, which the loop converges by, {without}"
            for suite in (GOLD_SUITE, AGENT_SUITE)
            if suite not in evaluation.suites
        ]
        rates, target = evaluation.keep_rates, self.target_keep_rate
        if all(abs(rate - target) >= 1e-9 for rate in rates):
            found.append(
                f"evaluation.keep_rates: found {list(rates)}; expected the "
                f"stop.target_keep_rate, {target:g}, among them, {without}"
            )
        return found


class LoopConfig(Frozen):
    """A loop: the base of every round, and what single rounds change.

    `rounds[i]` holds the keys of `base` that round i+1 replaces; nested tables are
    merged key by key, lists are replaced whole. Rounds past the end of the list use
    the last entry.
    """

    seed: int = 0
    base: RoundConfig
    rounds: tuple[dict[str, Any], ...] = ()
    stop: StopConfig = Field(default_factory=StopConfig)

    @model_validator(mode="after")
    def _check_rounds(self) -> "LoopConfig":
        for number in range(1, max(1, len(self.rounds)) + 1):
            try:
                config = self.resolve(number)
            except InvalidConfig as error:
                raise ValueError(f"round {number}: {error}") from error
            wanted = config.label_sources() & {"self_label", "self_label+teacher"}
            if number == 1 and wanted:
                raise ValueError(
                    f"round 1 has label_source {min(wanted)!r}, but no student exists "
                    "before it; start with silver, corrected or consensus"
                )
            if number == 1 and config.correctors():
                raise ValueError(
                    f"round 1 has the voter {config.correctors()[0]!r} of the protocol "
                    "correct, but no student exists before it whose draft it could "
                    "correct; leave it out of base.voters and add it in a later round"
                )
        return self

    def resolve(self, number: int) -> RoundConfig:
        """Give the config of round `number`, counted from 1.

        Raises:
            InvalidConfig: the merged config is not valid; names the keys.
        """
        merged = self.base.model_dump()
        if self.rounds:
            merged = _merge(merged, self.rounds[min(number, len(self.rounds)) - 1])
        return parse_config(RoundConfig, merged)


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Merge nested tables key by key; anything else is replaced."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged
