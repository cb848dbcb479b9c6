"""The ONNX files of an export; the graph is the scoring engines' (no import circle)."""

from kompress.students.engines.onnx_graph import build_graph

__all__ = ["build_graph"]
