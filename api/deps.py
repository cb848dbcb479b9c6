"""What the routes are given: sessions, settings, who asks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Path, Query, Request
from sqlalchemy.orm import Session, sessionmaker

from api.settings import ApiSettings
from db.models import Loop
from db.queries import loops


@dataclass(frozen=True, slots=True)
class AppServices:
    """What one process of the API shares between requests.

    Attributes:
        settings: where it runs.
        sessions: sessions on the farm's database.
        upload_slots: how many uploads are read at once; more wait their turn.
    """

    settings: ApiSettings
    sessions: sessionmaker[Session]
    upload_slots: CapacityLimiter


def get_services(request: Request) -> AppServices:
    """Give the app's services."""
    services: AppServices = request.app.state.services
    return services


def get_session(request: Request) -> Iterator[Session]:
    """Give a session whose transaction ends with the request: commit or roll back."""
    with get_services(request).sessions.begin() as session:
        yield session


def get_actor(request: Request) -> str:
    """Name who asks, as the guard found by the key; goes into the audit trail."""
    actor: str = request.state.actor
    return actor


# scope="function": commit before the response is sent, not after.
DbSession = Annotated[Session, Depends(get_session, scope="function")]
Actor = Annotated[str, Depends(get_actor)]
CurrentServices = Annotated[AppServices, Depends(get_services)]


def find_loop(
    session: DbSession,
    key: Annotated[str, Path(alias="id", description="The loop's id or name.")],
) -> Loop:
    """Find the loop that a path names.

    Raises:
        NotFound: there is none.
    """
    return loops.get_loop(session, key)


CurrentLoop = Annotated[Loop, Depends(find_loop)]

# A page of a listing.
BeforeId = Annotated[int | None, Query(ge=1, lt=2**63)]
AfterId = Annotated[int, Query(ge=0, lt=2**63)]
PageSize = Annotated[int, Query(ge=1, le=1_000)]
