"""Errors of people's side; each message says what was found, expected and how to fix.

ApiError
├── InvalidSettings   the environment holds a value that cannot be used
├── Unauthorized      no key came, or none that is known and not revoked
├── TooManyFailures   an address has sent too many wrong keys
├── InvalidRequest    a body is not what the route takes
├── InvalidInput      a file or an option of the command line cannot be used
├── ServerBusy        as many requests wait as a server takes
├── ServerStopping    a server is about to end
├── StackRunning      another process runs the farm of this folder
└── StackStopped      no farm runs in this folder
"""


class ApiError(Exception):
    """Anything that the API itself refuses; the message is meant for the user."""


class InvalidSettings(ApiError, ValueError):
    """A `FARM_` variable is missing or holds a value that cannot be used."""


class Unauthorized(ApiError):
    """No key came with the request, or none that the farm accepts."""


class TooManyFailures(ApiError):
    """An address has sent too many wrong keys; the right one passes later.

    Attributes:
        retry_s: seconds after which it may try again.
    """

    def __init__(self, message: str, *, retry_s: int) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class InvalidRequest(ApiError, ValueError):
    """A request's body is not what the route takes."""


class InvalidInput(ApiError, ValueError):
    """A file or an option of the command line cannot be used."""


class ServerBusy(ApiError):
    """As many requests wait as a server takes; try again later.

    Attributes:
        retry_s: seconds after which it may have room again.
    """

    def __init__(self, message: str, *, retry_s: int) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class ServerStopping(ApiError):
    """A server is about to end and takes nothing more."""


class StackRunning(ApiError):
    """Another process runs the farm of this data folder."""


class StackStopped(ApiError):
    """No farm runs in this data folder, and a command that only reads starts none."""
