"""Errors of the method; each message says what was found, expected and how to fix it.

KompressError
├── InvalidText         a text cannot be stored or labelled
├── InvalidVotes        the vote matrix breaks its contract
├── InvalidConfig       a loop's, voter's or recipe's config is wrong
│   └── MissingReferences   a corpus lacks the references that a recipe trains on
├── InvalidCheckpoint   a student's folder is incomplete, altered or foreign
├── InvalidSuite        an evaluation suite cannot be read
├── InvalidReferences   a file of references cannot be read
├── InvalidSelection    documents cannot be drawn or weighed as asked
├── InvalidAnswer       what a model answered, or its stored bytes, cannot be read
├── InvalidComparisons  the counts of a pairwise fit break their contract
├── InvalidDecisions    what a round decided is stored in another shape
├── NotFitted           a rule that learns was asked before it was fitted
├── VoteFailed          one voter could not vote on one text
└── TrainingFailed      training cannot go on (a loss that is not a number)
"""


class KompressError(Exception):
    """Anything that kompress refuses; the message is meant for the user."""


class InvalidText(KompressError, ValueError):
    """A text cannot be stored or labelled (NUL, too long, not a string)."""


class InvalidVotes(KompressError, ValueError):
    """The vote matrix breaks its contract (shape, values or strengths)."""


class InvalidConfig(KompressError, ValueError):
    """A config names something unknown or holds a value out of range."""


class MissingReferences(InvalidConfig):
    """A corpus lacks references of some origins that a recipe trains on."""

    def __init__(self, message: str, origins: tuple[str, ...]) -> None:
        super().__init__(message)
        self.origins = origins


class InvalidCheckpoint(KompressError, ValueError):
    """A student's folder is incomplete, altered or made by something else."""


class InvalidSuite(KompressError, ValueError):
    """An evaluation suite cannot be read or has nothing to score."""


class InvalidReferences(KompressError, ValueError):
    """A file or folder of references cannot be read at all."""


class InvalidSelection(KompressError, ValueError):
    """Documents cannot be drawn, weighed or compared as asked."""


class InvalidAnswer(KompressError, ValueError):
    """What a model answered, or its stored bytes, cannot be read."""


class InvalidComparisons(KompressError, ValueError):
    """The counts of a pairwise fit break their contract (shape, sign, no edge)."""


class InvalidDecisions(KompressError, ValueError):
    """What a round decided is of another version, or does not fit its type."""


class NotFitted(KompressError, LookupError):
    """A rule that learns was asked for an answer before it was fitted."""


class VoteFailed(KompressError):
    """One voter could not vote on one text; a row in `failures`, never a vote.

    Attributes:
        is_transient: the text is not to blame; a later round asks again.
    """

    def __init__(self, message: str, *, is_transient: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient


class TrainingFailed(KompressError):
    """Training cannot go on; the last good checkpoint is kept."""
