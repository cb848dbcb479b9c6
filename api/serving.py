"""`farm serve`: one student behind the deployed client's remote contract. No torch.

Requests wait in a bounded queue (`api.scoring`). A request whose client has gone is not
scored.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from api import problems
from api.bodies import stated_size
from api.errors import ServerBusy, ServerStopping
from api.limits import ClientLimits
from api.problems import problem
from api.scoring import BatchScorer, ServedStudent
from kompress import terminal
from kompress.export.client_rules import passes_through, shorten
from kompress.soundness import count_json_elements, is_same_json
from kompress.types import FloatArray

MAX_BODY_BYTES = 4 << 20
CLIENT_GONE = 499  # nobody reads it; the access log does
DEADLINE_S = 30.0


class CompressRequest(BaseModel):
    """What the client sends; further members are ignored.

    Attributes:
        content: the text.
        target_ratio: the share of words to keep, None for the student's own threshold.
    """

    model_config = ConfigDict(strict=True)

    content: str
    target_ratio: Annotated[float, Field(gt=0.0, le=1.0)] | None = None


@dataclass(frozen=True, slots=True)
class Manner:
    """How texts are shortened; by default as the deployed client does.

    Attributes:
        override: rule set whose words stay whatever their score; None for none.
        pairs: keys and values live or die together.
        as_shown: terminal escapes and what was written over go first.
    """

    override: str | None = "headroom-0.42"
    pairs: bool = False
    as_shown: bool = False


def create_app(
    student: ServedStudent,
    *,
    manner: Manner = Manner(),
    max_queue: int = 64,
    max_batch: int = 8_192,
    deadline_s: float = DEADLINE_S,
) -> FastAPI:
    """Build the service around a loaded student.

    Args:
        student: already loaded, so that a server that answers can also score.
        manner: how texts are shortened.
        max_queue: requests that may wait before others get 503.
        max_batch: tokens scored together.
        deadline_s: a request that waited this long is answered with what is scored by
            then; its other words stay.
    """
    scorer = BatchScorer(
        student, max_queue=max_queue, max_batch=max_batch, deadline_s=deadline_s
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        scorer.start()
        yield
        await run_in_threadpool(scorer.stop)

    app = FastAPI(title="kompress", lifespan=lifespan, docs_url=None, redoc_url=None)
    problems.install(app)
    # Those that wait, and as many whose bodies are still on their way.
    app.add_middleware(ClientLimits, max_requests=2 * max_queue)

    @app.get("/healthz")
    async def check_health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", response_model=None)
    def check_readiness() -> dict[str, str | int] | Response:
        if not scorer.is_ready:
            return problem(503, "the server is stopping", instance="/readyz")
        waiting = scorer.num_waiting
        return {"status": "ready", "student": student.id, "waiting": waiting}

    @app.post("/compress", openapi_extra=_openapi())
    async def compress(request: Request) -> Response:
        return await _compress(request, student, scorer, manner)

    return app


async def _compress(
    request: Request,
    student: ServedStudent,
    scorer: BatchScorer,
    manner: Manner,
) -> Response:
    asked = await _read_request(request)
    if isinstance(asked, Response):
        return asked
    text = asked.content
    if manner.as_shown:
        text = await run_in_threadpool(terminal.as_shown, text)
    score_N: FloatArray | None = np.zeros(0)  # of a text that passes through
    if not passes_through(text):
        try:
            score_N = await _wait(request, scorer.submit(text))
        except (ServerBusy, ServerStopping) as error:
            return _refuse(error)
    if score_N is None:
        return Response(status_code=CLIENT_GONE)
    return await run_in_threadpool(_shorten, asked, text, score_N, student, manner)


def _shorten(
    asked: CompressRequest,
    text: str,
    score_N: FloatArray,
    student: ServedStudent,
    manner: Manner,
) -> Response:
    short = shorten(
        text,
        score_N,
        student.tokenizer,
        override=manner.override,
        keep_rate=asked.target_ratio,
        pairs=manner.pairs,
    )
    num_words, num_kept = len(asked.content.split()), len(short.text.split())
    is_valid = is_same_json(text, short.text)
    left, whole = (
        (0, 0) if is_valid is None else count_json_elements(text, short.keep_N)
    )
    content: dict[str, Any] = {
        "compressed": short.text,
        "original_tokens": num_words,
        "compressed_tokens": num_kept,
        "compression_ratio": num_kept / num_words if num_words else 1.0,
        "model_used": student.id,
        # Valid and nothing missing; None where the text is no JSON object or list.
        "json_valid": is_valid,
        "json_elements_left": left / whole if whole else None,
        # Words that the deadline left unscored, and which therefore stay.
        "unscored_words": int(np.isnan(score_N).sum()),
    }
    return JSONResponse(content)


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
    is_large = stated_size(request.headers) > MAX_BODY_BYTES
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
