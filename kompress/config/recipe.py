"""How a student is made: its size, what it learns from, and how it is trained."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from kompress.config.values import Frozen, Positive, RuleSet, Share

MixSource = Literal[
    "silver", "corrected", "consensus", "self_label", "self_label+teacher", "gold"
]


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
            thinned until the shares hold, to a document; without any share none is.
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
    optimizer: Literal["adamw"] = "adamw"
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
