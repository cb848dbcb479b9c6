"""Which lines of a failed run explain the failure: gold from people, and its figures.

Torch-free. Lines in, figures out: nothing here knows where a score comes from.
"""
