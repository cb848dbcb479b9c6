"""Texts by content, and the codes of their words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows
from db.errors import StoreError
from kompress.types import CodeArray


class NewStrata(NamedTuple):
    """What one rule set says of a text's words; `num_words` is in `STRATA` order."""

    rule_version: str
    split_version: str
    codes: bytes
    num_words: Sequence[int]
    num_must_keep: int


@dataclass(frozen=True, slots=True)
class NewText:
    """A text to store, with the codes of its words by rule set.

    Attributes:
        content: the string, without NUL.
        sha256: digest of its UTF-8 bytes, 32 bytes.
        num_words: how many words it has.
        strata: by rule set; a plain tuple in the same order does as well.
    """

    content: str
    sha256: bytes
    num_words: int
    strata: Mapping[str, NewStrata | tuple[str, str, bytes, Sequence[int], int]] = (
        field(default_factory=dict)
    )


_TEXT = {
    "sha256": "bytea",
    "content": "text",
    "num_words": "int4",
    "num_bytes": "int4",
}
_STRATA = {
    "text_id": "int8",
    "rule_set": "text",
    "rule_version": "text",
    "split_version": "text",
    "codes": "bytea",
    "num_words": "int4[]",
    "num_must_keep": "int8",
}
_STRATA_KEY = ("text_id", "rule_set", "rule_version", "split_version")

_IDS = text("SELECT sha256, id FROM texts WHERE sha256 = ANY(:digests)")
_CONTENT = text("SELECT id, content FROM texts WHERE id = ANY(:text_ids)")
# Versions end in a number: the longer is the newer, then the greater.
_HASHES = text("SELECT id, sha256 FROM texts WHERE id = ANY(:text_ids)")
_CODES = text("""
    SELECT DISTINCT ON (text_id) text_id, codes FROM text_strata
    WHERE text_id = ANY(:text_ids) AND rule_set = :rule_set
      AND (CAST(:rule_version AS text) IS NULL OR rule_version = :rule_version)
      AND (CAST(:split_version AS text) IS NULL OR split_version = :split_version)
    ORDER BY text_id, length(rule_version) DESC, rule_version DESC,
             length(split_version) DESC, split_version DESC
""")

_VERSIONS = text("""
    SELECT DISTINCT ON (text_id, rule_set) text_id, rule_set, rule_version
    FROM text_strata
    WHERE text_id = ANY(:text_ids)
    ORDER BY text_id, rule_set, length(rule_version) DESC, rule_version DESC,
             length(split_version) DESC, split_version DESC
""")


def store_texts(session: Session, texts: Sequence[NewText]) -> dict[bytes, int]:
    """Store texts and their codes; what is there already stays as it is.

    Returns:
        The id of every text's row by its digest.

    Raises:
        StoreError: a text holds NUL or half a surrogate pair.
    """
    by_digest = {item.sha256: item for item in texts}
    copy_rows(
        session,
        "texts",
        _TEXT,
        [
            (digest, item.content, item.num_words, _num_bytes(item))
            for digest, item in by_digest.items()
        ],
        key=("sha256",),
    )
    found = session.execute(_IDS, {"digests": list(by_digest)})
    ids = {bytes(digest): text_id for digest, text_id in found}
    copy_rows(
        session,
        "text_strata",
        _STRATA,
        [
            (ids[digest], rule_set, version, split, codes, list(num_words), num_kept)
            for digest, item in by_digest.items()
            for rule_set, (version, split, codes, num_words, num_kept) in (
                item.strata.items()
            )
        ],
        key=_STRATA_KEY,
    )
    return ids


def load_texts(session: Session, text_ids: Sequence[int]) -> dict[int, str]:
    """Load contents by id; ids without a row (forgotten texts) are left out."""
    rows = session.execute(_CONTENT, {"text_ids": list(text_ids)})
    return {row.id: row.content for row in rows}


def load_hashes(session: Session, text_ids: Sequence[int]) -> dict[int, bytes]:
    """Load SHA-256 digests by id; ids without a row are left out."""
    rows = session.execute(_HASHES, {"text_ids": list(text_ids)})
    return {row.id: bytes(row.sha256) for row in rows}


def load_strata(
    session: Session,
    text_ids: Sequence[int],
    rule_set: str,
    rule_version: str | None = None,
    split_version: str | None = None,
) -> dict[int, CodeArray]:
    """Load one code a word by text.

    Args:
        session: the session.
        text_ids: the texts.
        rule_set: whose must-keep words the codes name.
        rule_version: version of the rules; None takes each text's newest.
        split_version: version of the word split; None takes each text's newest.

    Returns:
        (N,) codes into `STRATA` by text id; texts never classified so are left out.
    """
    rows = session.execute(
        _CODES,
        {
            "text_ids": list(text_ids),
            "rule_set": rule_set,
            "rule_version": rule_version,
            "split_version": split_version,
        },
    )
    return {text_id: np.frombuffer(codes, dtype=np.uint8) for text_id, codes in rows}


def load_rule_versions(
    session: Session, text_ids: Sequence[int]
) -> dict[str, dict[int, str]]:
    """Say which version of the rules gave what `load_strata` loads.

    Returns:
        By rule set and text id; texts never classified so are left out.
    """
    found: dict[str, dict[int, str]] = {}
    rows = session.execute(_VERSIONS, {"text_ids": list(text_ids)})
    for text_id, rule_set, version in rows:
        found.setdefault(rule_set, {})[text_id] = version
    return found


def _num_bytes(item: NewText) -> int:
    if "\0" in item.content:
        raise StoreError(
            f"text {item.sha256.hex()[:12]} holds a NUL character, which Postgres "
            "cannot store; remove it or leave the document out"
        )
    try:
        return len(item.content.encode())
    except UnicodeEncodeError as error:
        raise StoreError(
            f"text {item.sha256.hex()[:12]} holds half a surrogate pair at character "
            f"{error.start}; decode it with errors='replace'"
        ) from error
