"""`farm serve`: one student behind the deployed client's remote contract. No torch.

Requests wait in a bounded queue; one thread scores what waits together, up to a budget
of tokens. A request whose client has gone is not scored.
"""

import asyncio
import json
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from api import problems
from api.errors import ServerBusy, ServerStopping
from api.problems import problem
from kompress.export.client_rules import Shortened, passes_through, shorten
from kompress.soundness import count_json_elements, is_same_json
from kompress.students.tokenizer import WordTokenizer
from kompress.types import FloatArray

MAX_BODY_BYTES = 4 << 20
# For a batch's budget before anything is tokenised; code and logs lie near it.
CHARS_PER_TOKEN = 3
MAX_RETRY_S = 60
CLIENT_GONE = 499  # nobody reads it; the access log does
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


class CompressRequest(BaseModel):
    """What the client sends; further members are ignored.

    Attributes:
        content: the text.
        target_ratio: the share of words to keep, None for the student's own threshold.
    """

    model_config = ConfigDict(strict=True)

    content: str
    target_ratio: Annotated[float, Field(gt=0.0, le=1.0)] | None = None


@dataclass(slots=True)
class _Waiting:
    text: str
    num_tokens: int
    scored: "Future[FloatArray]"


class BatchScorer:
    """A bounded queue before one thread that scores texts together."""

    def __init__(
        self,
        score: Callable[[Sequence[str]], list[FloatArray]],
        *,
        max_queue: int,
        max_batch: int,
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            score: scores every word of every text.
            max_queue: requests that may wait, at least 1.
            max_batch: tokens scored together, as estimated; a longer text goes alone.
        """
        self._score = score
        self._max_queue = max_queue
        self._max_batch = max_batch
        self._waiting: deque[_Waiting] = deque()
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
        """Requests in the queue."""
        return len(self._waiting)

    def submit(self, text: str) -> "Future[FloatArray]":
        """Queue a text; its future gives the words' scores.

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
            if len(self._waiting) >= self._max_queue:
                self._drop_cancelled()
            if len(self._waiting) >= self._max_queue:
                raise ServerBusy(
                    f"{self._max_queue} requests wait already; expected fewer; send "
                    "this one again later, or start the server with more --max-queue",
                    retry_s=self._guess_wait_s(),
                )
            size = len(text) // CHARS_PER_TOKEN + 1
            self._waiting.append(_Waiting(text, size, scored))
            self._changed.notify()
        return scored

    def _drop_cancelled(self) -> None:
        waiting = [item for item in self._waiting if not item.scored.cancelled()]
        self._waiting = deque(waiting)

    def _guess_wait_s(self) -> int:
        queued = sum(item.num_tokens for item in self._waiting)
        return max(1, min(MAX_RETRY_S, math.ceil(queued / self._tokens_per_s)))

    def _run(self) -> None:
        while batch := self._next_batch():
            started = time.monotonic()
            self._score_batch(batch)
            num_tokens = sum(item.num_tokens for item in batch)
            rate = num_tokens / max(time.monotonic() - started, 1e-3)
            self._tokens_per_s += 0.2 * (rate - self._tokens_per_s)

    def _next_batch(self) -> list[_Waiting]:
        """Wait for requests; give as many as fit the budget, none at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._is_stopping)
                if not self._waiting:
                    return []
                if batch := self._take():
                    return batch

    def _take(self) -> list[_Waiting]:
        """Take what fits the budget; requests whose client has gone are dropped."""
        batch: list[_Waiting] = []
        room = self._max_batch
        while self._waiting and (not batch or self._waiting[0].num_tokens <= room):
            item = self._waiting.popleft()
            if item.scored.set_running_or_notify_cancel():
                batch.append(item)
                room -= item.num_tokens
        return batch

    def _score_batch(self, batch: Sequence[_Waiting]) -> None:
        """Score texts together; if that fails, each alone, so that one cannot hurt."""
        try:
            scores = self._score([item.text for item in batch])
        except Exception as error:  # noqa: BLE001  # handed to the request that waits
            if len(batch) == 1:
                batch[0].scored.set_exception(error)
                return
            for item in batch:
                self._score_batch([item])
            return
        for item, score_N in zip(batch, scores, strict=True):
            item.scored.set_result(score_N)


def create_app(
    student: ServedStudent,
    *,
    override: str | None = "headroom-0.42",
    max_queue: int = 64,
    max_batch: int = 8_192,
) -> FastAPI:
    """Build the service around a loaded student.

    Args:
        student: already loaded, so that a server that answers can also score.
        override: rule set whose words stay whatever their score; None for none.
        max_queue: requests that may wait before others get 503.
        max_batch: tokens scored together.
    """
    scorer = BatchScorer(student.score, max_queue=max_queue, max_batch=max_batch)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        scorer.start()
        yield
        await run_in_threadpool(scorer.stop)

    app = FastAPI(title="kompress", lifespan=lifespan, docs_url=None, redoc_url=None)
    problems.install(app)

    @app.get("/healthz")
    def check_health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", response_model=None)
    def check_readiness() -> dict[str, str | int] | Response:
        if scorer.is_ready:
            return {
                "status": "ready",
                "student": student.id,
                "waiting": scorer.num_waiting,
            }
        return problem(503, "the server is stopping", instance="/readyz")

    @app.post("/compress", openapi_extra=_openapi())
    async def compress(request: Request) -> Response:
        return await _compress(request, student, scorer, override)

    return app


async def _compress(
    request: Request,
    student: ServedStudent,
    scorer: BatchScorer,
    override: str | None,
) -> Response:
    asked = await _read_request(request)
    if isinstance(asked, Response):
        return asked
    score_N: FloatArray | None = np.zeros(0)  # of a text that passes through
    if not passes_through(asked.content):
        try:
            score_N = await _wait(request, scorer.submit(asked.content))
        except (ServerBusy, ServerStopping) as error:
            return _refuse(error)
    if score_N is None:
        return Response(status_code=CLIENT_GONE)
    return await run_in_threadpool(_shorten, asked, score_N, student, override)


def _shorten(
    asked: CompressRequest,
    score_N: FloatArray,
    student: ServedStudent,
    override: str | None,
) -> Response:
    rate = asked.target_ratio
    short = shorten(
        asked.content, score_N, student.tokenizer, override=override, keep_rate=rate
    )
    return _answer(asked.content, short, student.id)


def _openapi() -> dict[str, Any]:
    """Describe the body, which is read by hand, so that its size is bounded."""
    schema = {"application/json": {"schema": CompressRequest.model_json_schema()}}
    return {"requestBody": {"content": schema, "required": True}}


def _refuse(error: ServerBusy | ServerStopping) -> Response:
    retry_s = error.retry_s if isinstance(error, ServerBusy) else 1
    return problem(
        503,
        str(error),
        instance="/compress",
        headers={"Retry-After": str(retry_s)},
    )


async def _read_request(request: Request) -> CompressRequest | Response:
    """Read and check a body of bounded size; a problem where it cannot be used."""
    where = request.url.path
    stated = request.headers.get("content-length", "")
    is_large = stated.isascii() and stated.isdecimal() and int(stated) > MAX_BODY_BYTES
    body = bytearray()
    if not is_large:
        async for part in request.stream():
            body += part
            if is_large := len(body) > MAX_BODY_BYTES:
                break
    if is_large:
        detail = f"the body is over {MAX_BODY_BYTES:,} bytes; expected less; cut it"
        # What is still on its way is not read.
        return problem(413, detail, instance=where, headers={"Connection": "close"})
    try:
        data = json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        detail = (
            f"the body is not JSON ({error}); expected "
            '{"content": "…", "target_ratio": null}'
        )
        return problem(400, detail, instance=where)
    try:
        asked = CompressRequest.model_validate(data)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}"
            for e in error.errors(include_url=False, include_input=False)
        ]
        return problem(422, "\n".join(lines), instance=where, errors=lines)
    if fault := _find_fault(asked.content):
        return problem(422, f"content: {fault}", instance=where)
    return asked


def _find_fault(text: str) -> str:
    """Say what no text can hold; '' if there is nothing of it."""
    if "\0" in text:
        return f"character {text.index(chr(0))} is NUL; expected text; remove it"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return (
            f"character {error.start} is half of a surrogate pair; expected text that "
            "can be UTF-8; send the pair or remove it"
        )
    return ""


async def _wait(request: Request, scored: "Future[FloatArray]") -> FloatArray | None:
    """Await a score; None, and the work cancelled, once the client has gone."""
    result = asyncio.wrap_future(scored)
    # The body was read, so the next message is that the client has gone.
    gone = asyncio.ensure_future(request.receive())
    either: set[asyncio.Future[Any]] = {result, gone}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return result.result() if result.done() else None
    finally:
        gone.cancel()
        # Of no effect on what is done. Not `result`: that reaches the queue later.
        scored.cancel()


def _answer(text: str, short: Shortened, student_id: str) -> Response:
    num_words, num_kept = len(text.split()), len(short.text.split())
    is_valid = is_same_json(text, short.text)
    left, whole = (
        (0, 0) if is_valid is None else count_json_elements(text, short.keep_N)
    )
    content: dict[str, Any] = {
        "compressed": short.text,
        "original_tokens": num_words,
        "compressed_tokens": num_kept,
        "compression_ratio": num_kept / num_words if num_words else 1.0,
        "model_used": student_id,
        # Valid and nothing missing; None where the text is no JSON object or list.
        "json_valid": is_valid,
        "json_elements_left": left / whole if whole else None,
    }
    return JSONResponse(content)
