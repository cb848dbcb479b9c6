import pytest

from tests.end_to_end.farm import loop_config

pytestmark = pytest.mark.slow


def test_a_round_runs_through_real_workers(farm):
    farm.add_documents(40)
    farm.start_relay()
    farm.start_worker("w1")
    farm.start_trainer()
    farm.start_loop(loop_config())

    farm.wait_for_end()

    farm.check_effects()
    ((status, reason),) = farm.query("SELECT status, stop_reason FROM loops")
    assert status == "stopped"
    assert reason == "limit"
