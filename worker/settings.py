"""Where a worker runs, read once from the environment (prefix `FARM_`)."""

import tempfile
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.settings import RETENTION_DAYS


class WorkerSettings(BaseSettings):
    """What a worker or relay process needs to know of its surroundings.

    Attributes:
        database_url: SQLAlchemy URL of Postgres.
        broker_url: Celery URL of Redis; a Unix socket is `redis+socket://PATH`.
        artifacts: fsspec URL that all hosts share.
        worker_name: the name in `workers`; the supervisor gives it to its child.
        lease_s: seconds a claim lasts without progress.
        heartbeat_s: seconds between two looks at the flags.
        resend_s: seconds after which a hint counts as lost if its queue is empty.
        soft_shutdown_s: seconds that running jobs get to hand themselves back.
        usd_per_hour: price of a slot, for `costs`.
        retention_days: how long records of work are kept after the end of their loop.
        endpoints: TOML file of the endpoints that voters may name; None for none.
        gpu_locks: folder of one lock file a GPU, shared by all workers of a host.
    """

    model_config = SettingsConfigDict(
        env_prefix="FARM_", env_ignore_empty=True, extra="ignore"
    )

    database_url: SecretStr
    broker_url: SecretStr
    artifacts: str
    worker_name: str = ""
    lease_s: float = Field(default=60.0, gt=0)
    heartbeat_s: float = Field(default=1.0, gt=0)
    resend_s: float = Field(default=3.0, gt=0)
    relay_poll_s: float = Field(default=0.2, gt=0)
    soft_shutdown_s: float = Field(default=20.0, ge=0)
    usd_per_hour: float = Field(default=0.0, ge=0)
    retention_days: int = Field(default=RETENTION_DAYS, ge=1)
    endpoints: Path | None = None
    gpu_locks: Path = Path(tempfile.gettempdir()) / "farm-gpus"
