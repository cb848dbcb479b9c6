"""Celery workers: hints in, fenced effects out. The truth is the `jobs` row."""
