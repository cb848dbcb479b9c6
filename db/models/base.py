"""The declarative base: naming convention, column shorthands."""

import datetime as dt
from typing import Annotated, Any, ClassVar

from sqlalchemy import BigInteger, DateTime, Identity, MetaData, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

# Alembic compares constraints by name, so every one has a predictable name.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

Id = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
Time = Annotated[dt.datetime, mapped_column(DateTime(timezone=True))]
Now = Annotated[
    dt.datetime, mapped_column(DateTime(timezone=True), server_default=func.now())
]
Json = Annotated[dict[str, Any], mapped_column(JSONB)]


class Base(DeclarativeBase):
    """Every table of the farm."""

    metadata = MetaData(naming_convention=NAMING)
    # Not VARCHAR: a parameter used as both is one of no type to Postgres.
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: Text()}
