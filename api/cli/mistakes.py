"""The one place where an error becomes words for the user and an exit code.

A mistake in a flag, a file, a config or a state: its message and exit code 2. A bug:
one line, the path of a log file with the traceback, and exit code 1.
"""

import datetime as dt
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from api.advice import advise

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

MISTAKE = 2
BUG = 1


def exit_with(error: Exception) -> NoReturn:
    """Tell the user what happened and end the command.

    Raises:
        typer.Exit: always, with the exit code.
    """
    if isinstance(error, BrokenPipeError):  # `farm … | head`
        raise typer.Exit(BUG) from error
    message = describe_mistake(error)
    if message:
        typer.secho(message, fg=typer.colors.RED, err=True)
        raise typer.Exit(MISTAKE) from error
    path = _write_log(error)
    typer.secho(
        f"farm broke: {type(error).__name__}: {_first_line(error)}; this is a bug of "
        f"the farm, not yours; the traceback is in {path}, please report it",
        fg=typer.colors.RED,
        err=True,
    )
    raise typer.Exit(BUG) from error


def describe_mistake(error: Exception) -> str:
    """Put what a user can mend into words; '' for a bug."""
    from redis import RedisError
    from sqlalchemy.exc import DBAPIError

    from api.errors import ApiError
    from db.errors import StoreError
    from kompress.errors import KompressError

    if isinstance(error, KompressError | StoreError | ApiError):
        return advise(str(error))
    if isinstance(error, DBAPIError):
        return _describe_database_error(error)
    if isinstance(error, UnicodeEncodeError):
        return (
            f"{error.object[:40]!a} is no UTF-8; expected text; correct the bytes that "
            "your terminal sent"
        )
    if isinstance(error, RedisError):
        return (
            f"Redis does not answer: {_first_line(error)}; start it, or correct "
            "FARM_BROKER_URL (unset: the embedded one under FARM_HOME)"
        )
    if isinstance(error, OSError):
        return _describe_os_error(error)
    return ""


def _describe_database_error(error: "DBAPIError") -> str:
    from sqlalchemy.exc import DataError, OperationalError, ProgrammingError

    if isinstance(error, OperationalError):
        return (
            f"the database does not answer: {_first_line(error.orig or error)}; "
            "expected Postgres there; start it, or correct FARM_DATABASE_URL (unset: "
            "the embedded one under FARM_HOME)"
        )
    if isinstance(error, DataError):
        return (
            f"the database cannot store a value: {_first_line(error.orig or error)}; "
            "expected no NUL, and ids and numbers of at most 64 bits; correct it"
        )
    if isinstance(error, ProgrammingError) and "does not exist" in str(error.orig):
        return (
            f"the database lacks something: {_first_line(error.orig or error)}; "
            "expected the farm's tables; run `farm migrate`"
        )
    return ""


def _describe_os_error(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    if isinstance(error, FileNotFoundError):
        return f"{place}no such file; expected one; check the path"
    if isinstance(error, IsADirectoryError):
        return f"{place}is a folder; expected a file; name a file in it"
    if isinstance(error, PermissionError):
        return f"{place}may not be opened; change its permissions or choose another"
    return f"{place}{error.strerror or error}; free some space or choose another place"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "")


def _write_log(error: Exception) -> Path:
    from api.settings import load_settings

    report = "".join(traceback.format_exception(error))
    now = dt.datetime.now(dt.UTC)
    name = f"farm-error-{now:%Y%m%d-%H%M%S-%f}.log"
    try:
        folder = load_settings().home / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(report)
    except Exception:  # noqa: BLE001  # a full disk must not hide the first error
        path = Path(tempfile.gettempdir()) / name
        path.write_text(report)
    return path
