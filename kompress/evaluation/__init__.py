"""Score students on suites, with random dropping beside them."""

from kompress.evaluation.evaluate import evaluate
from kompress.evaluation.evaluate_all import evaluate_all

__all__ = ["evaluate", "evaluate_all"]
