import pytest

from kompress.errors import InvalidConfig
from kompress.teachers.protocol import ModelSpec
from tests.micro_teacher.params import FOLDER
from worker.errors import NotHere
from worker.settings import WorkerSettings
from worker.transports.transformers_engine import TransformersEngine
from worker.transports.transport import open_transport


@pytest.fixture
def settings(tmp_path):
    return WorkerSettings(
        database_url="postgresql://unused",
        broker_url="redis://unused",
        artifacts=str(tmp_path),
        gpu_locks=tmp_path / "locks",
    )


def test_an_unknown_engine_is_named(settings):
    with pytest.raises(InvalidConfig, match="found engine 'gguf'"):
        open_transport(ModelSpec("gguf", "m"), settings, None, "w")


def test_a_worker_without_vllm_leaves_the_job_to_another(settings):
    with pytest.raises(NotHere, match="vLLM is not installed"):
        open_transport(ModelSpec("vllm", "m"), settings, None, "w")


def test_an_endpoint_that_the_operator_does_not_name_is_refused(settings):
    with pytest.raises(InvalidConfig, match="no endpoint is called 'evil'"):
        open_transport(ModelSpec("openai", "m", endpoint="evil"), settings, None, "w")


def test_a_local_model_is_loaded_under_the_devices_lock(settings):
    transport = open_transport(
        ModelSpec("transformers", str(FOLDER)), settings, None, "w"
    )

    assert isinstance(transport, TransformersEngine)
    assert [path.name for path in settings.gpu_locks.iterdir()] == ["cpu"]
    transport.close()
