"""What stands beside a student: methods that anybody could use instead of it."""

from kompress.evaluation.baselines.random_dropping import (
    RandomBaseline,
    evaluate_random,
)

__all__ = ["RandomBaseline", "evaluate_random"]
