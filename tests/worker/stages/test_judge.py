import pytest

from tests.worker.worlds import change

pytestmark = pytest.mark.slow  # runs a loop


def test_a_corpus_without_audit_documents_is_judged_on_nothing(farm):
    farm.add_documents(20)
    change(farm.sessions, "UPDATE documents SET split = 'train' WHERE split = 'audit'")
    farm.start()

    farm.run(until="train")

    assert farm.parked() == []
    assert farm.query("SELECT stage FROM rounds") == [("train",)]
    assert farm.query("SELECT count(*) FROM rule_stats") == [(0,)]
