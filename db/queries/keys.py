"""API keys: shown once, stored as a hash, compared in constant time."""

import hashlib
import hmac
import re
import secrets

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db.errors import Conflict, NotFound
from db.models import ApiKey

SCHEME = "farm"
PREFIX_BYTES = 4
SECRET_BYTES = 24
# What an unknown prefix is compared with, so that it takes as long as a known one.
NO_HASH = bytes(32)

_FORM = re.compile(rf"{SCHEME}_([0-9A-Za-z]{{1,32}})_[0-9A-Za-z]{{32,256}}", re.ASCII)

# At most one write a minute: a key in heavy use must not make its row hot.
_USED = text("""
    UPDATE api_keys SET last_used_at = now()
    WHERE id = :key_id
      AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
""")


def create_key(session: Session, name: str) -> str:
    """Make a key, store its hash, and give the key: nothing can show it again.

    Returns:
        `farm_<prefix>_<secret>`, hexadecimal, 192 random bits in the secret.

    Raises:
        Conflict: a key has that name already, perhaps a revoked one.
    """
    prefix, secret = secrets.token_hex(PREFIX_BYTES), secrets.token_hex(SECRET_BYTES)
    key = f"{SCHEME}_{prefix}_{secret}"
    _insert(session, name, prefix, key)
    return key


def import_key(session: Session, name: str, key: str) -> None:
    """Store the hash of a key that the environment brings; the same again is fine.

    Raises:
        Conflict: the key has another form, or its name belongs to another key.
    """
    if check_key(session, key) == name:
        return
    _insert(session, name, _prefix(key), key)


def check_key(session: Session, key: str) -> str | None:
    """Give the name of a valid key, None for any other string."""
    found = _FORM.fullmatch(key)
    prefix = "" if found is None else found[1]
    row = session.scalar(select(ApiKey).where(ApiKey.prefix == prefix))
    expected = NO_HASH if row is None else row.hash
    is_equal = hmac.compare_digest(_hash(key), expected)
    if row is None or not is_equal or row.revoked_at is not None:
        return None
    session.execute(_USED, {"key_id": row.id})
    return row.name


def list_keys(session: Session) -> list[ApiKey]:
    """List every key by name, revoked ones included."""
    return list(session.scalars(select(ApiKey).order_by(ApiKey.name)))


def revoke_key(session: Session, name: str) -> None:
    """Refuse a key from now on; a second time changes nothing.

    Raises:
        NotFound: no key has that name; the message lists what exists.
    """
    row = session.scalar(select(ApiKey).where(ApiKey.name == name).with_for_update())
    if row is None:
        known = [key.name for key in list_keys(session)]
        raise NotFound(f"no key is named {name!r}; there are {known}")
    if row.revoked_at is None:
        row.revoked_at = session.scalars(select(func.now())).one()
        session.flush()


def _insert(session: Session, name: str, prefix: str, key: str) -> None:
    added = session.scalar(
        insert(ApiKey)
        .values(name=name, prefix=prefix, hash=_hash(key))
        .on_conflict_do_nothing()
        .returning(ApiKey.id)
    )
    if added is None:
        raise Conflict(
            f"a key named {name!r} or with prefix {prefix!r} exists; choose another "
            "name, revoked keys keep theirs"
        )


def _prefix(key: str) -> str:
    found = _FORM.fullmatch(key)
    if found is None:
        raise Conflict(
            "the key has an unexpected form; expected farm_<prefix>_<secret>, letters "
            "and digits, the secret at least 32 of them; give a key whole, or add one"
        )
    return found[1]


def _hash(key: str) -> bytes:
    # Keys are random, 192 bits: a slow hash would protect nothing and cost every call.
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()
