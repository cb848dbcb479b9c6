"""Training of students. Importing this imports torch."""

from kompress.training.state import CurvePoint
from kompress.training.texts import TrainText
from kompress.training.train import TrainResult, train

__all__ = ["CurvePoint", "TrainResult", "TrainText", "train"]
