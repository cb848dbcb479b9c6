"""The method: words, votes, labels, students. Pure: no queue, no database, no HTTP.

This file imports nothing, so that a light process never loads torch by accident.
"""
