"""Where the database is: read once from the environment, then passed down."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

# How long jobs with their costs, events and answers are kept after the end of their
# loop, where FARM_RETENTION_DAYS says nothing else.
RETENTION_DAYS = 90


class DatabaseSettings(BaseSettings):
    """`FARM_DATABASE_URL`; empty means that the caller starts the embedded server.

    Attributes:
        database_url: `postgresql://user:password@host/database`, as the owner of the
            tables.
    """

    model_config = SettingsConfigDict(env_prefix="FARM_", extra="ignore")

    database_url: str = Field(default="")
