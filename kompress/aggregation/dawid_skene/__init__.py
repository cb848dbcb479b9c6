"""Dawid & Skene 1979: EM for any number of classes, and as a rule of the farm."""

from kompress.aggregation.dawid_skene.em import DawidSkeneFit, fit

__all__ = ["DawidSkeneFit", "fit"]
