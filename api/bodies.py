"""The size that a request's body says it has."""

from starlette.datastructures import Headers

# What a greater number says is said by this one: far over every limit.
_HUGE = 2**63
_MAX_DIGITS = 19


def stated_size(headers: Headers) -> int:
    """Read Content-Length in bytes; 0 where it is absent or no number."""
    stated = headers.get("content-length", "")
    if not (stated.isascii() and stated.isdecimal()):
        return 0
    return int(stated) if len(stated) <= _MAX_DIGITS else _HUGE
