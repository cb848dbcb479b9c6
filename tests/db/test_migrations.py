"""The four tests that pytest-alembic brings, run on our migrations."""

import pytest
from pytest_alembic.config import Config
from pytest_alembic.tests import (
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)

from db.engine import make_engine
from db.migrate import SCRIPTS

__all__ = [
    "test_model_definitions_match_ddl",
    "test_single_head_revision",
    "test_up_down_consistency",
    "test_upgrade",
]


@pytest.fixture
def alembic_config():
    return Config(config_options={"script_location": str(SCRIPTS)})


@pytest.fixture
def alembic_engine(empty_database_url):
    engine = make_engine(empty_database_url)
    yield engine
    engine.dispose()
