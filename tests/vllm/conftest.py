"""The micro-teacher through the real vLLM: loaded once, and served once, a run.

`vllm_engine` is a transport; `vllm_server` answers at `.url` for the model `.model`,
and can be killed and started again. Both start when they are first asked for.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from kompress.teachers.protocol import ModelSpec
from tests.micro_teacher.params import FOLDER
from tests.vllm.processes import PYTHON, EngineProcess, Server

ROOT = Path(__file__).parent
MAX_MODEL_TOKENS = 2_048


def pytest_collection_modifyitems(items):
    """Everything in this folder needs vLLM's environment."""
    for item in items:
        if item.path.is_relative_to(ROOT):
            item.add_marker(pytest.mark.vllm)


@pytest.fixture(scope="session")
def vllm_python():
    """Python of vLLM's environment: for workers that hold the engine."""
    assert PYTHON.exists(), "expected vLLM's environment: make test-vllm"
    return PYTHON


@pytest.fixture(scope="session")
def vllm_spec(vllm_python):
    return ModelSpec(
        "vllm", str(FOLDER), dtype="float32", max_model_tokens=MAX_MODEL_TOKENS
    )


@pytest.fixture(scope="session")
def transformers_spec(vllm_spec):
    return replace(vllm_spec, engine="transformers")


@pytest.fixture(scope="session")
def vllm_engine(vllm_spec, tmp_path_factory):
    engine = EngineProcess(vllm_spec, tmp_path_factory.mktemp("vllm-engine"))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def vllm_server(vllm_spec, tmp_path_factory):
    server = Server(vllm_spec, tmp_path_factory.mktemp("vllm-server"))
    server.start()
    yield server
    server.kill()
