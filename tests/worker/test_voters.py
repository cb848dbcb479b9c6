from kompress.config import RoundConfig, parse_config
from worker.voters import teachers

TEACHER = {"engine": "transformers", "model": "micro"}


def test_only_voters_that_ask_a_model_are_calibrated():
    config = parse_config(
        RoundConfig,
        {
            "voters": [
                {"name": "t", "kind": "teacher", "params": TEACHER},
                {"name": "s", "kind": "simulated"},
            ]
        },
    )

    assert teachers(config) == ("t",)
