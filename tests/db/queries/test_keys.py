"""API keys: only their hash is kept."""

import pytest

from db.errors import Conflict, NotFound
from db.queries import keys


def test_a_key_opens_until_it_is_revoked(session):
    key = keys.create_key(session, "ann")

    assert keys.check_key(session, key) == "ann"
    keys.revoke_key(session, "ann")
    keys.revoke_key(session, "ann")
    assert keys.check_key(session, key) is None


def test_the_database_never_sees_the_secret(session):
    key = keys.create_key(session, "ann")
    _, prefix, secret = key.split("_")

    (row,) = keys.list_keys(session)
    assert row.prefix == prefix
    assert secret.encode() not in row.hash
    assert len(row.hash) == 32


@pytest.mark.parametrize(
    "change", [str.upper, lambda key: key[:-1], lambda key: key + "0"]
)
def test_a_key_with_one_difference_is_refused(session, change):
    assert keys.check_key(session, change(keys.create_key(session, "ann"))) is None


@pytest.mark.parametrize("key", ["", "farm__", "a_b_c", "farm_\ud800_x", "é_ü_ß"])
def test_nonsense_is_refused_without_an_error(session, key):
    assert keys.check_key(session, key) is None


def test_use_is_noted(session):
    key = keys.create_key(session, "ann")
    keys.check_key(session, key)
    session.expire_all()

    (row,) = keys.list_keys(session)
    assert row.last_used_at is not None


def test_a_name_is_taken_once(session):
    keys.create_key(session, "ann")

    with pytest.raises(Conflict, match="'ann'"):
        keys.create_key(session, "ann")


def test_a_key_from_the_environment_is_taken_in_once(session):
    key = "farm_boot_" + "s" * 32
    keys.import_key(session, "bootstrap", key)
    keys.import_key(session, "bootstrap", key)

    assert keys.check_key(session, key) == "bootstrap"
    with pytest.raises(Conflict, match="unexpected form"):
        keys.import_key(session, "weak", "farm_weak_secret")


def test_revoking_an_unknown_key_lists_what_there_is(session):
    keys.create_key(session, "ann")

    with pytest.raises(NotFound, match=r"\['ann'\]"):
        keys.revoke_key(session, "bob")
