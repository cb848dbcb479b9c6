from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.kompress.labelling.audits import panel_of
from tests.worker.pilots import each_sighted_on_one_stratum
from tests.worker.pulse import Pulse
from tests.worker.worlds import change
from worker.heartbeat import PATIENCE_S
from worker.stage import Stream
from worker.stages import judge


def test_the_lease_outlasts_the_verdict_and_all_is_done_before(monkeypatch):
    # Three shards and one rule; the consensus with its fallbacks is pooled beside it.
    case = each_sighted_on_one_stratum(panel_of, fallbacks={0: 0})
    inputs = judge.JudgeInputs(1, case.basis, {}, num_steps=3)
    sums = judge.JudgeSums(judge.AuditSums(case.basis.config.panel()))
    stage = replace(
        judge.STAGE,
        load=lambda *_: Stream(inputs, [0, 1, 2], sums),
        read=lambda *_: case.part,
    )
    pulse = Pulse()
    patient = []
    conclude = judge.conclude

    def watched(*args):
        patient.append(pulse.patience_s)
        return conclude(*args)

    monkeypatch.setattr(judge, "conclude", watched)

    stage.run(SimpleNamespace(sessions=nullcontext), None, pulse)

    assert pulse.beats == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert (patient, pulse.patience_s) == ([PATIENCE_S], 0)


@pytest.mark.slow  # runs a loop
def test_a_corpus_without_audit_documents_is_judged_on_nothing(farm):
    farm.add_documents(20)
    change(farm.sessions, "UPDATE documents SET split = 'train' WHERE split = 'audit'")
    farm.start()

    farm.run(until="train")

    assert farm.parked() == []
    assert farm.query("SELECT stage FROM rounds") == [("train",)]
    assert farm.query("SELECT count(*) FROM rule_stats") == [(0,)]
