"""Locks of the whole farm: rows that nobody but the tables' owner can lock."""

from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base


class Lock(Base):
    """A name under which one transaction at a time works; see `db.queries.locks`."""

    __tablename__ = "locks"

    name: Mapped[str] = mapped_column(primary_key=True)
