"""Pilots made by hand: votes, strata and gold of a few texts, and what is found."""

import numpy as np

from api.decided import pilot_row
from kompress.config import RoundConfig, parse_config
from kompress.labelling.panel import make_panel
from kompress.types import STRATA, VoteRow
from tests.worker.pulse import Pulse
from worker.stages import pilot

# The strata of which one voter each knows something, in the order of their codes.
SIGHTED = ("plain", "hex", "number")


def config_of(names, rule="majority", **changes):
    return parse_config(
        RoundConfig,
        {
            "voters": [{"name": name, "kind": "simulated"} for name in names],
            "aggregation": {"rule": rule},
        }
        | changes,
    )


def inputs_of(stratum_GN, vote_GNM, *, truth_GN=None, rule="majority"):
    """Texts of one group each; voters a, b, c … vote bytes; gold where it is given."""
    names = "abcdefgh"[: vote_GNM.shape[2]]
    ids = range(len(stratum_GN))
    votes = {
        t: [
            VoteRow(1, name, 0, 1, vote_GNM[t, :, m].astype(np.uint8))
            for m, name in enumerate(names)
        ]
        for t in ids
    }
    strata = {t: stratum_GN[t].astype(np.uint8) for t in ids}
    codes = {} if truth_GN is None else {t: (254 * truth_GN[t]).astype(np.uint8)
                                         for t in ids}  # fmt: skip
    return pilot.PilotInputs(
        config=config_of(names, rule),
        seed=0,
        panel=make_panel(tuple(names), votes, strata),
        group_of={t: f"g{t}" for t in ids},
        gold_codes=codes,
    )


def each_sighted_on_one_stratum(make=inputs_of, **options):
    """Eight texts of eight words in each of three strata, half of them to keep.

    Of voters a, b and c each keeps what is to be kept in one stratum alone.
    """
    codes = np.repeat([STRATA.index(name) for name in SIGHTED], 8)
    truth_GN = np.tile([1, 0], (8, 12))
    vote_GNM = 254 * truth_GN[:, :, None] * (codes[:, None] == np.unique(codes))
    return make(np.tile(codes, (8, 1)), vote_GNM, truth_GN=truth_GN, **options)


def healthy(seed, *, num_texts=20, num_voters=5, with_gold=True, rule="majority"):
    rng = np.random.default_rng(seed)
    truth_GN = rng.integers(0, 2, (num_texts, 60))
    stratum_GN = rng.integers(0, 3, truth_GN.shape)
    if not with_gold:  # must-keep words are the truth then
        truth_GN = (stratum_GN > 0).astype(int)
    right_GNM = rng.random((*truth_GN.shape, num_voters)) < 0.8
    vote_GNM = 254 * np.where(right_GNM, truth_GN[:, :, None], 1 - truth_GN[:, :, None])
    given = truth_GN if with_gold else None
    return inputs_of(stratum_GN, vote_GNM, truth_GN=given, rule=rule)


def find(inputs):
    return pilot_row(pilot.compute(None, inputs, Pulse()))
