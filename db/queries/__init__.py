"""Queries: a function each; session first, returns values, never commits."""
