"""One thread that scores what waits: short texts together, long ones by parts.

A long text gets a part of its own between the batches of short ones, so that nobody
waits for its end; past its deadline a text is given up with what is scored by then.

N = words of one text
"""

import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from api.errors import ServerBusy, ServerStopping
from kompress.students.tokenizer import WordTokenizer
from kompress.types import FloatArray

# For a batch's budget before anything is tokenised; code and logs lie near it.
CHARS_PER_TOKEN = 3
MAX_RETRY_S = 60
FIRST_GUESS_TOKENS_S = 2_000.0


class ServedStudent(Protocol):
    """What serving needs of a student.

    Attributes:
        id: what `model_used` says.
        tokenizer: the student's own.
    """

    id: str
    tokenizer: WordTokenizer

    def score(self, texts: Sequence[str]) -> list[FloatArray]:
        """Score every word of every text."""
        ...

    def score_by_parts(self, text: str, max_tokens: int) -> Iterator[FloatArray]:
        """Score a text part by part; see `Student.score_by_parts`."""
        ...


@dataclass(slots=True, eq=False)
class _Request:
    """A text that waits, or of which a part is scored.

    Attributes:
        text: the text.
        num_tokens: its tokens, as estimated.
        scored: what the caller waits for.
        since: when it came, in seconds of `time.monotonic`.
        parts: of a long text that has begun.
        score_N: (N,) what is scored of a long text, NaN elsewhere.
    """

    text: str
    num_tokens: int
    scored: "Future[FloatArray]"
    since: float = field(default_factory=time.monotonic)
    parts: Iterator[FloatArray] | None = None
    score_N: FloatArray | None = None


class BatchScorer:
    """A bounded queue before one thread that scores."""

    def __init__(
        self,
        student: ServedStudent,
        *,
        max_queue: int,
        max_batch: int,
        deadline_s: float = math.inf,
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            student: scores.
            max_queue: requests that may wait, at least 1.
            max_batch: tokens scored together, as estimated; a longer text is scored by
                parts of so many.
            deadline_s: seconds after which a request is answered with what is scored.
        """
        self._student = student
        self._max_queue = max_queue
        self._max_batch = max_batch
        self._deadline_s = deadline_s
        self._waiting: deque[_Request] = deque()
        # Long texts, of which the first is scored next.
        self._long: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._is_stopping = False
        self._tokens_per_s = FIRST_GUESS_TOKENS_S
        self._thread = threading.Thread(target=self._run, name="scorer", daemon=True)

    def start(self) -> None:
        """Begin to score."""
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more, score what waits, end."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._thread.join()

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken."""
        return self._thread.is_alive() and not self._is_stopping

    @property
    def num_waiting(self) -> int:
        """Requests in the queue, long texts that have begun among them."""
        return len(self._waiting) + len(self._long)

    def submit(self, text: str) -> "Future[FloatArray]":
        """Queue a text.

        Returns:
            Its future gives (N,) the words' scores, NaN for what the deadline left
            unscored.

        Raises:
            ServerBusy: the queue is full.
            ServerStopping: the server is about to end.
        """
        scored: Future[FloatArray] = Future()
        with self._changed:
            if self._is_stopping:
                raise ServerStopping(
                    "this server is stopping; send the request to another one"
                )
            if self.num_waiting >= self._max_queue:
                self._drop_cancelled()
            if self.num_waiting >= self._max_queue:
                raise ServerBusy(
                    f"{self._max_queue} requests wait already; expected fewer; send "
                    "this one again later, or start the server with more --max-queue",
                    retry_s=self._guess_wait_s(),
                )
            size = len(text) // CHARS_PER_TOKEN + 1
            self._waiting.append(_Request(text, size, scored))
            self._changed.notify()
        return scored

    def _drop_cancelled(self) -> None:
        waiting = [item for item in self._waiting if not item.scored.cancelled()]
        self._waiting = deque(waiting)

    def _guess_wait_s(self) -> int:
        queued = sum(item.num_tokens for item in (*self._waiting, *self._long))
        return max(1, min(MAX_RETRY_S, math.ceil(queued / self._tokens_per_s)))

    def _run(self) -> None:
        while self._wait():
            self._give_up_late()
            if batch := self._take():
                started = time.monotonic()
                self._score_batch(batch)
                self._learn_speed(sum(item.num_tokens for item in batch), started)
            if self._long:
                self._score_part()

    def _wait(self) -> bool:
        """Wait for something to score; False at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._waiting or self._long or self._is_stopping
            )
            return self.num_waiting > 0

    def _take(self) -> list[_Request]:
        """Take short texts that fit the budget, and lay long ones aside.

        Requests whose client has gone are dropped.
        """
        batch: list[_Request] = []
        room = self._max_batch
        with self._changed:
            while self._waiting:
                size = self._waiting[0].num_tokens
                if size <= self._max_batch and size > room:
                    break
                item = self._waiting.popleft()
                if size > self._max_batch:
                    self._long.append(item)
                elif item.scored.set_running_or_notify_cancel():
                    batch.append(item)
                    room -= size
        return batch

    def _score_batch(self, batch: Sequence[_Request]) -> None:
        """Score texts together; if that fails, each alone, so that one cannot hurt."""
        try:
            scores = self._student.score([item.text for item in batch])
        except Exception as error:  # noqa: BLE001  # handed to the request that waits
            if len(batch) == 1:
                batch[0].scored.set_exception(error)
                return
            for item in batch:
                self._score_batch([item])
            return
        for item, score_N in zip(batch, scores, strict=True):
            item.scored.set_result(score_N)

    def _score_part(self) -> None:
        """Score one part of the long text whose turn it is."""
        with self._changed:
            item = self._long.popleft()
        if item.scored.cancelled():
            return
        started = time.monotonic()
        try:
            if item.parts is None:
                item.parts = self._student.score_by_parts(item.text, self._max_batch)
            item.score_N = next(item.parts)
        except Exception as error:  # noqa: BLE001  # handed to the request that waits
            if item.scored.set_running_or_notify_cancel():
                item.scored.set_exception(error)
            return
        self._learn_speed(self._max_batch, started)
        if np.isnan(item.score_N).any():
            with self._changed:
                self._long.append(item)
        else:
            _answer(item, item.score_N)

    def _give_up_late(self) -> None:
        """Answer the requests whose time is over with what is scored of them."""
        started_before = time.monotonic() - self._deadline_s
        with self._changed:
            late = [
                (queue, item)
                for queue in (self._waiting, self._long)
                for item in queue
                if item.since < started_before
            ]
            for queue, item in late:
                queue.remove(item)
        for _, item in late:
            unscored_N = np.full(len(item.text.split()), np.nan)
            _answer(item, unscored_N if item.score_N is None else item.score_N)

    def _learn_speed(self, num_tokens: int, started: float) -> None:
        rate = num_tokens / max(time.monotonic() - started, 1e-3)
        self._tokens_per_s += 0.2 * (rate - self._tokens_per_s)


def _answer(item: _Request, score_N: FloatArray) -> None:
    if item.scored.set_running_or_notify_cancel():
        item.scored.set_result(score_N)
