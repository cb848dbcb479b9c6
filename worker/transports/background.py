"""An event loop in a thread of its own, and what is started in it from outside."""

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

BEAT_S = 0.2
# A loop that was silent so long is wedged.
WEDGED_S = 10.0
END_S = 10.0


class LoopThread:
    """A running event loop; ends with `close`, or with the process."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._beat_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the loop turns: a claim on progress that a wedged one cannot make."""
        return self._thread.is_alive() and time.monotonic() - self._beat_at < WEDGED_S

    def start(self, work: Coroutine[Any, Any, None]) -> "Background":
        """Start work in the loop, from any other thread."""
        return Background(self._loop, work)

    def close(self) -> None:
        """Stop the loop; whoever started work in it has ended it."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(END_S)

    def _run(self) -> None:
        self._beat()
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    def _beat(self) -> None:
        self._beat_at = time.monotonic()
        self._loop.call_later(BEAT_S, self._beat)


class Background:
    """Work in another thread's loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]
    ) -> None:
        self._loop = loop
        self._ended = threading.Event()
        self._task: asyncio.Task[None] | None = None
        loop.call_soon_threadsafe(self._start, work)

    def raise_if_failed(self) -> None:
        """Raise what ended the work, if anything did.

        Raises:
            CancelledError: somebody else cancelled it.
        """
        if self._ended.is_set() and self._task is not None:
            self._task.result()

    def end(self, *, cancel: bool = True) -> None:
        """Wait until the work has ended, at most `END_S`.

        Args:
            cancel: cut it short.
        """
        if cancel and not self._ended.is_set():
            self._loop.call_soon_threadsafe(self._cancel)
        if self._ended.wait(END_S) and self._task is not None:
            # Looked at, so that asyncio does not complain that nobody did.
            _ = self._task.cancelled() or self._task.exception()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = self._loop.create_task(work)
        self._task.add_done_callback(lambda _: self._ended.set())

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
