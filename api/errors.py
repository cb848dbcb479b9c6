"""Errors of people's side; each message says what was found, expected and how to fix.

ApiError
├── InvalidSettings   the environment holds a value that cannot be used
├── Unauthorized      no key came, or none that is known and not revoked
├── InvalidRequest    a body is not what the route takes
├── InvalidInput      a file or an option of the command line cannot be used
└── StackRunning      another process runs the farm of this folder
"""


class ApiError(Exception):
    """Anything that the API itself refuses; the message is meant for the user."""


class InvalidSettings(ApiError, ValueError):
    """A `FARM_` variable is missing or holds a value that cannot be used."""


class Unauthorized(ApiError):
    """No key came with the request, or none that the farm accepts."""


class InvalidRequest(ApiError, ValueError):
    """A request's body is not what the route takes."""


class InvalidInput(ApiError, ValueError):
    """A file or an option of the command line cannot be used."""


class StackRunning(ApiError):
    """Another process runs the farm of this data folder."""
