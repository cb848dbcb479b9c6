"""Loop configs from TOML files, and the one that comes with the farm."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from api.errors import InvalidInput
from kompress.config import LoopConfig, parse_config
from kompress.errors import InvalidConfig


def load_loop_config(path: Path | None) -> LoopConfig:
    """Read a loop's config.

    Args:
        path: a TOML file; None for the config of `farm demo`.

    Raises:
        InvalidInput: the file is not TOML.
        InvalidConfig: a key is unknown or a value wrong; one line each.
    """
    if path is None:
        return parse_config(LoopConfig, tomllib.loads(demo_config_text()))
    try:
        return parse_config(LoopConfig, read_toml(path))
    except InvalidConfig as error:
        raise InvalidConfig(f"{path} is no loop config:\n{error}") from error


def demo_config_text() -> str:
    """Give the text of the demo's config, to read or to start one's own from."""
    return (files("api.cli") / "demo.toml").read_text(encoding="utf-8")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InvalidInput: the file is not UTF-8 or not TOML; names the place.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(
            f"{path} is not TOML: {error}; expected a config such as "
            "`farm loop config` prints; correct the line"
        ) from error
