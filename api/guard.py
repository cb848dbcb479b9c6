"""What stands before every route: the schema, the key, the size of a body.

An ASGI middleware, because FastAPI reads a body before its dependencies run: whoever
has no key must not make the server hold anything.
"""

from collections import OrderedDict
from hashlib import sha256
from math import ceil

from fastapi import HTTPException
from pydantic import SecretStr
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.bodies import stated_size
from api.errors import InvalidSettings, TooManyFailures, Unauthorized
from api.limits import FailedLogins
from api.openapi import is_public
from api.problems import problem, to_problem
from db.errors import Conflict
from db.migrate import require_current
from db.queries import keys

MAX_BODY_BYTES = 1 << 20  # a loop's config has a few kilobytes
FIRST_KEY_NAME = "bootstrap"
MAX_REMEMBERED = 1_024


class Guard:
    """Let requests with a key pass; refuse all others, but for what is public."""

    def __init__(
        self, app: ASGIApp, *, sessions: sessionmaker[Session], first_key: SecretStr
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._first_key = first_key
        self._failures = FailedLogins()
        # Keys that passed before do not wait for others' failures; each is still looked
        # up, for it may have been revoked.
        self._passed: OrderedDict[bytes, None] = OrderedDict()
        self._is_ready = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI scope."""
        if scope["type"] != "http" or is_public(scope["path"]):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        headers = Headers(scope=scope)
        try:
            actor = await self._check(scope, headers.get("authorization", ""))
        except Exception as error:  # noqa: BLE001  # answered here, whatever it is
            await to_problem(error, path)(scope, receive, send)
            return
        scope.setdefault("state", {})["actor"] = actor
        if not _is_upload(scope):
            if stated_size(headers) > MAX_BODY_BYTES:
                await problem(413, _too_large(), instance=path)(scope, receive, send)
                return
            receive = _bounded(receive)
        await self._app(scope, receive, send)

    async def _check(self, scope: Scope, authorization: str) -> str:
        """Name the key's owner, unless its address has sent too many wrong ones.

        Raises:
            TooManyFailures: nothing was looked up.
            Unauthorized, SchemaOutdated: as `_admit`.
        """
        scheme, _, key = authorization.partition(" ")
        key = key.strip() if scheme.lower() == "bearer" else ""
        digest = sha256(key.encode("utf-8", "surrogatepass")).digest()
        address = (scope.get("client") or ("",))[0]
        wait_s = self._failures.wait_s(address)
        if key and wait_s and digest not in self._passed:
            raise TooManyFailures(
                "too many wrong API keys came from this address; send the right one "
                "later",
                retry_s=ceil(wait_s),
            )
        try:
            actor = await run_in_threadpool(self._admit, key)
        except Unauthorized:
            if key:
                self._failures.count(address)
                self._passed.pop(digest, None)
            raise
        self._passed[digest] = None
        self._passed.move_to_end(digest)
        if len(self._passed) > MAX_REMEMBERED:
            self._passed.popitem(last=False)
        return actor

    def _admit(self, key: str) -> str:
        """Name the key's owner.

        Raises:
            Unauthorized: no key came, or none that the farm accepts.
            SchemaOutdated: the database is not at the newest migration.
        """
        with self._sessions.begin() as session:
            self._prepare(session)
            name = keys.check_key(session, key) if key else None
            if name is not None:
                return name
            if not keys.list_keys(session):
                raise Unauthorized(
                    "this farm has no API key yet; make one with `farm key add NAME` "
                    "and send it as `Authorization: Bearer KEY`"
                )
        if key:
            raise Unauthorized(
                "the API key is unknown or revoked; expected one that `farm key list` "
                "shows as active; `farm key add NAME` makes another"
            )
        raise Unauthorized(
            "no API key came with the request; send `Authorization: Bearer KEY`; "
            "`farm key add NAME` makes one"
        )

    def _prepare(self, session: Session) -> None:
        """Check the schema and store the first key, until both have succeeded once."""
        if self._is_ready:
            return
        require_current(session)
        first = self._first_key.get_secret_value()
        if first and not keys.list_keys(session):
            try:
                keys.import_key(session, FIRST_KEY_NAME, first)
            except Conflict as error:
                raise InvalidSettings(f"FARM_API_KEY: {error}") from None
        self._is_ready = True


def _is_upload(scope: Scope) -> bool:
    """Tell uploads, which stream and are bounded line by line, from other bodies."""
    path: str = scope["path"]
    return path.startswith("/v1/corpora/") and path.endswith("/documents")


def _too_large() -> str:
    return (
        f"the body is over {MAX_BODY_BYTES:,} bytes; expected a small JSON object; "
        "documents go to POST /v1/corpora/{name}/documents"
    )


def _bounded(receive: Receive) -> Receive:
    """Count what a body without a stated size brings."""
    size = 0

    async def receive_bounded() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            raise HTTPException(413, _too_large())
        return message

    return receive_bounded
