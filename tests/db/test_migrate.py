"""Migrations on a real Postgres: up, down, up, and no drift from the models."""

from db.migrate import check, downgrade, upgrade


def test_the_migrated_database_is_what_the_models_say(postgres_url):
    assert check(postgres_url) == []


def test_a_database_goes_up_down_and_up_again(empty_database_url):
    upgrade(empty_database_url)
    downgrade(empty_database_url, "base")
    upgrade(empty_database_url)

    assert check(empty_database_url) == []
