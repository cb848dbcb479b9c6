"""Corpora: listed, and documents in: NDJSON, in constant memory."""

from collections.abc import AsyncIterator, Iterator
from functools import partial

import anyio.from_thread
import anyio.to_thread
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse

from api.deps import CurrentServices, DbSession
from api.intake import IngestReport, ingest
from api.problems import problem
from api.schemas import BadLineOut, CorporaOut, CorpusOut, UploadOut
from db.queries import corpora
from kompress.corpora.readers import read_documents

router = APIRouter(tags=["corpora"])


@router.get("/v1/corpora")
def list_corpora(session: DbSession) -> CorporaOut:
    """List every corpus by name, with its documents by split and its words."""
    found = corpora.list_corpora(session)
    return CorporaOut(corpora=[CorpusOut.model_validate(row) for row in found])


@router.post(
    "/v1/corpora/{name}/documents",
    response_model=UploadOut,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        }
    },
)
async def add_documents(
    name: str, request: Request, services: CurrentServices
) -> UploadOut | JSONResponse:
    """Add the documents of an NDJSON stream, one JSON object a line.

    `text` is required; `id`, `kind`, `group_id` and `split` are optional. The corpus is
    made if there is none of that name. Good lines are stored as they come, bad ones are
    reported by number, and the same upload again adds nothing. Send files with
    `curl --data-binary @FILE` or `-T FILE`: plain `-d` removes the line ends.
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise HTTPException(
            415,
            f"the body is encoded as {encoding!r}; expected plain NDJSON; unpack it",
        )
    lines = read_documents(_chunks(request.stream()))
    report = await anyio.to_thread.run_sync(
        partial(ingest, services.sessions, name, lines), limiter=services.upload_slots
    )
    if report.added or report.duplicates:
        return _to_out(name, report)
    return _nothing_stored(name, report, request.url.path)


def _chunks(stream: AsyncIterator[bytes]) -> Iterator[bytes]:
    """Pull an async stream from a worker thread: what is not read stays in the pipe."""
    while (chunk := anyio.from_thread.run(_next_chunk, stream)) is not None:
        yield chunk


async def _next_chunk(stream: AsyncIterator[bytes]) -> bytes | None:
    return await anext(stream, None)


def _to_out(name: str, report: IngestReport) -> UploadOut:
    return UploadOut(
        corpus=name,
        added=report.added,
        duplicates=report.duplicates,
        num_bad=report.num_bad,
        num_moved=report.num_moved,
        bad=[BadLineOut.model_validate(line) for line in report.bad],
    )


def _nothing_stored(name: str, report: IngestReport, path: str) -> JSONResponse:
    """Refuse an upload without a single good line, with the reasons."""
    found = (
        f"{report.num_bad:,} lines, none of them a document"
        if report.num_bad
        else ("an empty body")
    )
    return problem(
        422,
        f'found {found}; expected one JSON object a line, such as {{"text": "…"}}; '
        "nothing was stored",
        instance=path,
        **_to_out(name, report).model_dump(),
    )
