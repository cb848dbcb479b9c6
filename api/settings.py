"""Where people's side runs: read once from the environment, then passed down."""

from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.errors import InvalidSettings
from db.settings import RETENTION_DAYS

ENV_PREFIX = "FARM_"


FOLDER = ".farm"
# Where this program lies: its folder's parent holds the farm of a clone.
CLONE = Path(__file__).resolve().parent.parent


def find_home() -> Path:
    """Find the data folder that nobody named: the current folder's, else the clone's.

    A command shall mean the same farm wherever it is called; the current folder's is
    taken only where a farm was made in it before.
    """
    here = Path(FOLDER).resolve()
    return here if (here / "postgres").is_dir() else CLONE / FOLDER


class ApiSettings(BaseSettings):
    """What the API and the `farm` command need to know of their surroundings.

    A variable that is set to nothing counts as unset.

    Attributes:
        home: the data folder of the embedded services, see `find_home`.
        database_url: Postgres as the owner of the tables; empty means embedded.
        reader_url: Postgres as `farm_reader`; empty means derived from the owner's.
        broker_url: Redis, as Celery names it; empty means embedded.
        artifacts: fsspec URL that all hosts share; empty means a folder under `home`.
        api_key: becomes the first key if the database has none, else it is ignored.
        api_host: address that the API listens on.
        api_port: port that the API listens on.
        flower_user: who may look at Flower.
        flower_password: their password; empty lets `farm up` make one.
        flower_port: port that Flower listens on.
        lease_s: seconds that a claim of a job lasts without progress.
        retention_days: how long records of work are kept after the end of their loop.
        endpoints: TOML file of the endpoints that voters may name; None for none.
        worker_name: the name of a worker started from here, empty for a new one.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="ignore", frozen=True
    )

    home: Path = Field(default_factory=find_home)
    database_url: SecretStr = SecretStr("")
    reader_url: SecretStr = SecretStr("")
    broker_url: SecretStr = SecretStr("")
    artifacts: str = ""
    api_key: SecretStr = SecretStr("")
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8000, ge=0, le=65_535)
    flower_user: str = "farm"
    flower_password: SecretStr = SecretStr("")
    flower_port: int = Field(default=5555, ge=0, le=65_535)
    lease_s: float = Field(default=60.0, gt=0)
    retention_days: int = Field(default=RETENTION_DAYS, ge=1)
    endpoints: Path | None = None
    worker_name: str = ""

    @property
    def artifacts_url(self) -> str:
        """The artifact store, as an fsspec URL."""
        folder = self.home.expanduser().resolve() / "artifacts"
        return self.artifacts or folder.as_uri()


def load_settings(**overrides: Any) -> ApiSettings:
    """Read the environment, naming every variable that cannot be used.

    Args:
        overrides: fields that a command line gives; they win over the environment.

    Raises:
        InvalidSettings: one line a variable; values of secrets are not shown.
    """
    try:
        return ApiSettings(**overrides)
    except ValidationError as error:
        lines = [
            f"{ENV_PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}; correct or unset it"
            for e in error.errors(include_url=False, include_input=False)
        ]
        raise InvalidSettings("\n".join(lines)) from None
