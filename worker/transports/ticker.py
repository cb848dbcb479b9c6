"""Tell a caller that work goes on, and tell work that it is too late."""

import time
from collections.abc import Callable

from kompress.teachers.request import AskFailed

TICK_S = 0.2


class Ticker:
    """Calls `tick` at most every `TICK_S`, and knows the deadline.

    Args:
        tick: of the caller, see `worker.transports.transport.Transport.ask`.
        deadline_s: seconds from now.
    """

    def __init__(self, tick: Callable[[], None], deadline_s: float) -> None:
        self._tick = tick
        self._deadline_s = deadline_s
        self._until = time.monotonic() + deadline_s
        self._ticked_at = 0.0

    def beat(self) -> None:
        """Call `tick` if it is time."""
        if time.monotonic() - self._ticked_at >= TICK_S:
            self._tick()
            self._ticked_at = time.monotonic()

    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() > self._until

    def late(self) -> AskFailed:
        """Say of a request that it was not answered in time."""
        return AskFailed(
            f"no answer within {self._deadline_s:g} s; ask smaller shards, or give "
            "more time",
            is_transient=True,
        )
