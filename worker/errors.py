"""Errors of the work; only here is it decided what may be tried again.

WorkError
├── Retryable      a fault outside this job: try again later, with growing delay
├── Interrupted    the job must hand itself back: drain, pause, cancel, lost lease
├── NotHere        another worker must do it: this one holds another model
├── EngineDied     the model's engine is broken: the process must restart
├── Incomplete     a document would be left without a result and without a failure
└── ArtifactError  an artifact is missing, altered, or cannot be written
"""


class WorkError(Exception):
    """Anything that goes wrong in a job apart from the method itself."""


class Retryable(WorkError):
    """A fault outside this job (a network, an endpoint): try again later."""


class Interrupted(WorkError):
    """The job must stop here and hand itself back; nothing is wrong with it."""


class NotHere(WorkError):
    """This worker cannot hold the job's model: another one, or later, must do it."""


class EngineDied(WorkError):
    """The engine in this process can answer nothing any more (CUDA, out of memory)."""


class Incomplete(WorkError):
    """A job may not end: a document of it has neither a result nor a failure."""


class ArtifactError(Retryable, OSError):
    """An artifact is missing, altered, or cannot be written (a full disk)."""
