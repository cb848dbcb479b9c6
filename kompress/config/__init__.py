"""What a loop computes, as validated, frozen data; never read from the environment.

Unknown keys and wrong types are errors that name them.
"""

from kompress.config.loop import (
    PAIRWISE,
    AggregationConfig,
    EscalationConfig,
    EvaluationConfig,
    LabelSource,
    LoopConfig,
    PairwiseConfig,
    RoundConfig,
    SelectionConfig,
    SelfLabelConfig,
    StopConfig,
    VoterConfig,
)
from kompress.config.recipe import (
    SIZES,
    FineTuningConfig,
    MixPart,
    MixSource,
    RecipeConfig,
    StudentConfig,
)
from kompress.config.values import (
    Positive,
    RuleSet,
    Share,
    parse_config,
)

__all__ = [
    "PAIRWISE",
    "SIZES",
    "AggregationConfig",
    "EscalationConfig",
    "EvaluationConfig",
    "FineTuningConfig",
    "LabelSource",
    "LoopConfig",
    "MixPart",
    "MixSource",
    "PairwiseConfig",
    "Positive",
    "RecipeConfig",
    "RoundConfig",
    "RuleSet",
    "SelectionConfig",
    "SelfLabelConfig",
    "Share",
    "StopConfig",
    "StudentConfig",
    "VoterConfig",
    "parse_config",
]
