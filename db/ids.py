"""Ids as people write them: decimal digits of a Postgres bigint."""

MAX_ID = 2**63 - 1
_MAX_DIGITS = len(str(MAX_ID))


def parse_id(written: str | int) -> int | None:
    """Read an id.

    Args:
        written: what a person, a path or a config gave.

    Returns:
        The id; None if no row can have it: other characters than the digits 0 to 9, or
        a number that is no positive bigint.
    """
    digits = str(written) if isinstance(written, str) else f"{written:d}"
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _MAX_DIGITS):
        return None
    number = int(digits)
    return number if 1 <= number <= MAX_ID else None
