"""Database URLs."""

import pytest

from db.engine import driver_url, make_engine, make_sessions
from db.errors import StoreError


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_form_of_url_means_psycopg_3(scheme):
    url = driver_url(f"{scheme}://ann:secret@db:5432/farm")

    assert url.drivername == "postgresql+psycopg"
    assert (url.username, url.password, url.database) == ("ann", "secret", "farm")


def test_a_url_of_another_database_is_refused_with_what_was_expected():
    with pytest.raises(StoreError, match=r"'sqlite'.*expected 'postgresql://'"):
        driver_url("sqlite:///farm.db")


def test_rows_stay_readable_after_a_commit(postgres_url):
    engine = make_engine(postgres_url, application_name="reading")

    with make_sessions(engine)() as session:
        name = session.connection().exec_driver_sql("SHOW application_name").scalar()
    engine.dispose()

    assert name == "reading"
    assert not session.expire_on_commit
