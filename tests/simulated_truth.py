"""What a simulated voter with given parameters takes for the truth."""

from kompress.types import KEEPS_FROM
from kompress.voters.simulated import SIMULATED

NEVER_WRONG = {
    "sensitivity": {"all": 1.0},
    "specificity": {"all": 1.0},
    "samples": 1,
    "failure_rate": 0.0,
    "abstain_rate": 0.0,
}


def simulated_truth(text, params):
    """(N,) bool, True for a word to keep: the votes of a voter that is never wrong."""
    ((_, vote),) = SIMULATED.load("truth", {**params, **NEVER_WRONG}, None).vote([text])
    return vote.codes_N >= KEEPS_FROM
