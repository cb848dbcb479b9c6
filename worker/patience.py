"""Wait out a database that restarts: what was computed must not be lost to it."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

LOGGER = logging.getLogger(__name__)
# How long a finished computation waits for a database that restarts.
STORE_PATIENCE_S = 60.0

T = TypeVar("T")


def patiently(title: str, write: Callable[[], T]) -> T:
    """Run a transaction; after an outage run it again.

    Args:
        title: who waits, for the log.
        write: the whole transaction; safe to repeat, for its commit may have gone
            through although its connection broke.

    Raises:
        DBAPIError: the statement is wrong, or the database stayed away too long.
    """
    give_up_at = time.monotonic() + STORE_PATIENCE_S
    while True:
        try:
            return write()
        except DBAPIError as error:
            if not is_outage(error) or time.monotonic() > give_up_at:
                raise
            LOGGER.warning("%s waits for the database: %s", title, error.orig)
            time.sleep(0.5)


def is_outage(error: DBAPIError) -> bool:
    """Tell a lost or refused connection from an error of the statement."""
    return isinstance(error, (OperationalError, InterfaceError))
