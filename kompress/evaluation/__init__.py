"""Score students on suites, with random dropping beside them."""

from kompress.evaluation.evaluate import evaluate

__all__ = ["evaluate"]
