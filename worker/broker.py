"""A Redis transport that outlives what is no message.

Whoever reaches Redis can push anything to a queue. kombu reads it in the worker's main
process, and an error there ends the process with all its slots. Here it is dropped and
logged: a hint that was lost with it is sent again.
"""

import logging
from collections.abc import Callable
from functools import partial
from queue import Empty
from typing import Any

from kombu import transport
from kombu.transport.redis import Channel, Transport

LOGGER = logging.getLogger(__name__)
# What reading a broken message raises; what a broken connection raises is none of them.
BROKEN = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


class TolerantChannel(Channel):
    """Reads the next message, or drops it."""

    def _brpop_read(self, **options: Any) -> Any:
        return self._read_or_drop(partial(super()._brpop_read, **options))

    def _receive_one(self, c: Any) -> Any:
        return self._read_or_drop(partial(super()._receive_one, c))

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        del timeout  # kombu's has none either
        return self._read_or_drop(partial(super()._get, queue))

    def _read_or_drop(self, read: Callable[[], Any]) -> Any:
        held = self._held()
        try:
            return read()
        except BROKEN:
            LOGGER.warning("what is no message was dropped from a queue", exc_info=True)
            # Else it would count as being worked on, and hold a slot.
            for tag in self._held() - held:
                self.qos.reject(tag, requeue=False)
            raise Empty from None

    def _held(self) -> set[str]:
        """Give the tags of messages that are being worked on."""
        qos = self.qos
        held: set[str] = set(qos._delivered) - qos._dirty  # noqa: SLF001  # its only names
        return held


class TolerantTransport(Transport):
    """kombu's, with such channels."""

    Channel = TolerantChannel


def tolerate_broken_messages() -> None:
    """Use this transport for the URLs of Redis, in this process from now on."""
    name = f"{__name__}:{TolerantTransport.__name__}"
    for scheme in ("redis", "rediss"):
        # An URL with a socket names its transport itself: a setting would not reach it.
        transport.TRANSPORT_ALIASES[scheme] = name
