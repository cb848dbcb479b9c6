"""One module a stage: load, compute, store."""
