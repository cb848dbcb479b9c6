import json
from dataclasses import asdict

import numpy as np
import pytest

from kompress.aggregation.calibration import fit_calibration
from tests.worker.pulse import Pulse
from tests.worker.worlds import change
from worker.stages.fit import each_patiently

TEACHER = {"engine": "transformers", "model": "micro"}


def test_the_lease_outlasts_each_fit_and_progress_is_told_between_them():
    pulse = Pulse()

    def fits():
        for number in range(3):
            assert pulse.patience_s > 60
            yield number

    done = []
    for number in each_patiently(pulse, fits()):
        assert not pulse.patience_s
        done.append(number)

    assert done == [0, 1, 2]
    assert not pulse.patience_s


WORDS = """
    SELECT w.codes, g.codes FROM round_votes rv JOIN votes w ON w.id = rv.vote_id
    JOIN voters v ON v.id = w.voter_id AND v.name = 'alpha'
    JOIN gold g ON g.text_id = w.text_id AND g.use = 'calibrate'
    JOIN documents d ON d.text_id = w.text_id AND d.split = 'train'
"""


@pytest.mark.slow  # runs half a round
def test_a_teacher_is_fitted_to_the_gold_that_its_round_selected(farm):
    farm.add_documents(20)
    farm.start()
    farm.run(until="fit")
    # Dice answered in a teacher's place.
    change(
        farm.sessions,
        """UPDATE rounds SET config = jsonb_set(jsonb_set(config,
               '{voters,0,kind}', '"teacher"'), '{voters,0,params}', :params)""",
        params=json.dumps(TEACHER),
    )
    farm.run(until="train")

    assert farm.parked() == []
    ((decision,),) = farm.query("SELECT decisions -> 'calibration' FROM rounds")
    counts = np.zeros((2, 256), dtype=np.int64)
    for codes, truth in farm.query(WORDS):
        for code, right in zip(codes, truth, strict=True):
            counts[int(right == 254), code] += right != 255 and code != 255
    assert counts.sum() > 500
    assert decision == {"alpha": asdict(fit_calibration(counts))}
    # Its dice know nothing of the gold.
    assert decision["alpha"]["temperature"] > 2
    assert decision["alpha"]["strength"] < 1


@pytest.mark.slow  # runs half a round
def test_a_round_without_teachers_decides_nothing(farm):
    farm.add_documents(20)
    farm.start()

    farm.run(until="aggregate")

    assert farm.query("SELECT decisions ? 'calibration' FROM rounds") == [(False,)]
    assert farm.query("SELECT status FROM jobs WHERE stage = 'fit'") == [("done",)]


@pytest.mark.slow  # runs half a round
def test_what_a_student_said_is_compared_with_other_voters_on_gold_only(farm):
    farm.add_documents(20)
    change(
        farm.sessions,
        "DELETE FROM gold WHERE use = 'calibrate' AND text_id % 2 = 0",
    )
    farm.start(aggregation={"rule": "majority"})
    farm.run(until="fit")
    # Dice answered in place of a student's references.
    change(
        farm.sessions,
        """UPDATE rounds SET config = jsonb_set(jsonb_set(config,
               '{voters,0,kind}', '"references"'), '{voters,0,params}', :params)""",
        params=json.dumps({"origin": "student@0123456789ab"}),
    )
    farm.run(until="aggregate")

    assert farm.parked() == []
    compared = farm.query("SELECT DISTINCT voter, other, truth FROM voter_pairs")
    others = {truth for *pair, truth in compared if "alpha" not in pair}
    echoed = {truth for *pair, truth in compared if "alpha" in pair}
    assert echoed < others
    assert others - echoed == {"unknown"}
