"""The HTTP service; `python -m api` runs it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from anyio import CapacityLimiter
from fastapi import FastAPI
from sqlalchemy import Engine

from api import openapi, problems
from api.deps import AppServices
from api.errors import InvalidSettings
from api.guard import Guard
from api.limits import ClientLimits
from api.routes import (
    documents,
    events,
    health,
    jobs,
    loops,
    metrics,
    quality,
    students,
)
from api.settings import ApiSettings, load_settings
from db.engine import make_engine, make_sessions
from kompress import VERSION

# An upload holds a thread and a connection for as long as it lasts.
MAX_UPLOADS = 4
POOL_SIZE = 8


def create_app(settings: ApiSettings | None = None) -> FastAPI:
    """Build the service; nothing connects before the first request.

    Args:
        settings: where it runs; None reads the environment.

    Raises:
        InvalidSettings: the database is not named, or a variable cannot be used.
    """
    settings = settings or load_settings()
    url = settings.database_url.get_secret_value()
    if not url:
        raise InvalidSettings(
            "FARM_DATABASE_URL is not set; expected postgresql://…; `farm up` starts "
            "an embedded Postgres and the API with it"
        )
    engine = make_engine(url, pool_size=POOL_SIZE, application_name="farm api")
    services = AppServices(
        settings=settings,
        sessions=make_sessions(engine),
        upload_slots=CapacityLimiter(MAX_UPLOADS),
    )
    app = FastAPI(
        title="kompress farm",
        version=VERSION,
        lifespan=_lifespan(engine),
        # Those pages load scripts from elsewhere; `api.openapi` has one of its own.
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    problems.install(app)
    app.add_middleware(Guard, sessions=services.sessions, first_key=settings.api_key)
    # The last is the outermost: what is refused there costs no look at a key.
    app.add_middleware(ClientLimits)
    for module in (documents, loops, quality, events, students, jobs, health, metrics):
        app.include_router(module.router)
    openapi.install(app)
    return app


def _lifespan(engine: Engine) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Close the database's connections when the service ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        engine.dispose()

    return lifespan
