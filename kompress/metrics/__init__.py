"""Measures on counts and masks: ratios, curves, intervals. Torch-free."""
