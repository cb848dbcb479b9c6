"""Simulated corpora whose truth is known, each with its Bayes-optimal posterior.

`python -m benchmarks.worlds` scores every rule of the registry in every world.
"""

from benchmarks.worlds.draws import Draw, Panel, Segment, World
from benchmarks.worlds.registry import WORLDS

__all__ = ["WORLDS", "Draw", "Panel", "Segment", "World"]
