"""Errors of the work; only here is it decided what may be tried again.

WorkError
├── Retryable      a fault outside this job: try again later, with growing delay
├── Interrupted    the job must hand itself back: drain, pause, cancel, lost lease
└── ArtifactError  an artifact is missing, altered, or cannot be written
"""


class WorkError(Exception):
    """Anything that goes wrong in a job apart from the method itself."""


class Retryable(WorkError):
    """A fault outside this job (a network, an endpoint): try again later."""


class Interrupted(WorkError):
    """The job must stop here and hand itself back; nothing is wrong with it."""


class ArtifactError(Retryable, OSError):
    """An artifact is missing, altered, or cannot be written (a full disk)."""
