"""Score students on suites, with random dropping beside them."""

from kompress.evaluation.evaluate import evaluate, evaluate_all

__all__ = ["evaluate", "evaluate_all"]
