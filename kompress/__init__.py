"""The method: words, votes, labels, students. Pure: no queue, no database, no HTTP.

This file imports nothing, so that a light process never loads torch by accident.
"""

# That of pyproject.toml; what a worker, the API and `farm --version` say.
VERSION = "0.2.0"
