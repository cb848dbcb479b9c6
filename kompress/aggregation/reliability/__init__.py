"""The default rule: votes weighed by how far each voter can be believed."""

from kompress.aggregation.reliability.rule import Reliability

__all__ = ["Reliability"]
