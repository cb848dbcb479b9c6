import numpy as np
import pytest

from tests.worker.worlds import change

CORRECTIONS = """
    SELECT b.mean, w.codes FROM labels b
    JOIN rounds r ON r.id = b.round_id AND r.number = 2
    JOIN round_votes rv ON rv.round_id = r.id
    JOIN votes w ON w.id = rv.vote_id AND w.text_id = b.text_id
    JOIN voters v ON v.id = w.voter_id AND v.name = 'alpha'
    WHERE b.source = 'self_label_raw'
"""


@pytest.mark.slow  # trains two students
def test_a_round_with_a_correcting_teacher_takes_its_word_for_the_consensus(farm):
    farm.add_documents(12)
    farm.start(
        rounds=2,
        by_round=[
            {},
            {
                "label_source": "self_label+teacher",
                "self_label": {"min_ratio": 1.0, "min_chars": 0},
            },
        ],
    )
    farm.run(before_round=2)
    farm.run(until="fit")
    # Dice answered in its place.
    change(
        farm.sessions,
        """UPDATE rounds SET config = jsonb_set(jsonb_set(config,
               '{voters,0,kind}', '"teacher"'), '{voters,0,params}', :params)
           WHERE number = 2""",
        params='{"protocol": "correct", "engine": "vllm", "model": "m"}',
    )
    farm.run(until="train")

    assert farm.parked() == []
    found = farm.query(CORRECTIONS)
    assert found
    for mean, codes in found:
        kept = np.frombuffer(mean, dtype=np.float16) >= 0.5
        assert kept.tolist() == [code >= 127 for code in codes]
