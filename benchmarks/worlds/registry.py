"""The worlds, by name: what is drawn, and whether its truth can be found.

M = voters, S = strata, T = truths (drop, keep), C = byte codes with the abstention
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from benchmarks.worlds.draws import Family, Panel, Segment, World
from benchmarks.worlds.vote_tables import (
    hard_votes,
    miss_votes,
    sampled_votes,
    soft_votes,
)
from kompress.types import FloatArray

# plain, hex, number, unit, version, id, signal, constant, path: as a corpus of tool
# outputs has them, 20,000 words of which .3525 are to be kept.
SIZE_S = np.array([12_000, 600, 2_000, 400, 500, 1_200, 500, 1_000, 1_800])
PREVALENCE_S = np.array([0.25, 0.4, 0.6, 0.5, 0.6, 0.5, 0.7, 0.35, 0.45])
NUM_STRATA = len(SIZE_S)
RARE_SIZE_S = np.array([14_000, 20, 2_400, 20, 20, 1_300, 20, 20, 2_200])
CONSTANT = 7
# Teachers differ from stratum to stratum by about a third of a logit.
STRATUM_SD = 0.3
GOOD = ((0.8, 0.85), (0.75, 0.8), (0.85, 0.8), (0.7, 0.9), (0.88, 0.75))

TWO_UNKNOWN = (
    "agreement alone cannot tell a shared draw from two voters that are both right"
)


def build_worlds() -> tuple[World, ...]:
    """Build all worlds; their parameters are fixed, only draws depend on a seed."""
    return (
        World(
            "independent equal voters",
            _still([_same(0.8, 0.8)] * 5),
            "Five voters, right four times in five on every stratum.",
        ),
        World(
            "sharp against smeared",
            _still([_everywhere(table_TC) for table_TC in _soft_tables()]),
            "Two voters state P(keep) near 0 or 1 and are too sure; three state it "
            "near 1/2, and how near still tells.",
        ),
        _blind(),
        _sighted(),
        *_clones(),
        World(
            "an adversarial voter",
            _still([_varied(i, *GOOD[i]) for i in range(4)] + [_varied(4, 0.25, 0.2)]),
            "Four good voters and one that is wrong three times in four.",
        ),
        World(
            "an adversarial majority",
            _still(
                [
                    _varied(0, 0.9, 0.92),
                    _varied(1, 0.88, 0.9),
                    *(_varied(2 + i, 0.3, 0.28) for i in range(3)),
                ]
            ),
            "Two good voters against three that are wrong seven times in ten.",
            without_gold="exchanging keep and drop explains the votes as well, and "
            "then the majority is right",
        ),
        World(
            "30 % missing votes",
            _still([miss_votes(_varied(i, *GOOD[i]), 0.3) for i in range(5)]),
            "Each vote is missing at random; 1 word in 400 has none.",
        ),
        *_drifts(),
        World(
            "rare strata",
            _still([_varied(i, *GOOD[i]) for i in range(5)], size_S=RARE_SIZE_S),
            "Five of nine strata have 20 words, one of them gold at the median.",
        ),
        World(
            "one voter only",
            _still([_varied(0, 0.85, 0.88)]),
            "A single voter of unknown reliability.",
            without_gold="one keep rate a stratum for three unknowns: prevalence, "
            "sensitivity and specificity",
        ),
        *_wrong(),
        World(
            "five samples a voter",
            _still([_sampled(i) for i in range(5)]),
            "A vote is the share of five answers, which hang together within a word.",
            strength=5.0,
        ),
        World(
            "equicorrelated voters",
            _still(
                [_same(0.82, 0.85)] * 5,
                families=(Family((0, 1, 2, 3, 4), "common", 0.3),),
            ),
            "Five voters, a common cause behind each word: errors correlate at .3.",
            without_gold=TWO_UNKNOWN,
        ),
        _difficult(),
    )


def _difficult() -> World:
    easy, hard = (
        np.stack([_same(*expit(logit(np.array(rates)) + shift)) for rates in GOOD])
        for shift in (0.8, -0.8)
    )
    panel = Panel(SIZE_S, PREVALENCE_S, easy, hard_share=0.4, hard_MSTC=hard)
    return World(
        "words of unequal difficulty",
        (Segment(panel),),
        "Four words in ten are hard for everybody, so errors fall together although "
        "no voter follows another.",
        without_gold=TWO_UNKNOWN,
    )


def _blind() -> World:
    tables = [_same(0.86, 0.88) for _ in range(5)]
    for table_STC, s in zip(tables, (2, 5, 8, 1, CONSTANT), strict=True):
        table_STC[s] = hard_votes(0.03, 0.97)
    return World(
        "each blind on another stratum",
        _still(tables),
        "Each of five voters drops 97 % of one stratum, whatever the truth; k=1 "
        "collapses there.",
    )


def _sighted() -> World:
    tables = [_same(0.04, 0.96) for _ in range(NUM_STRATA)]
    for s, table_STC in enumerate(tables):
        table_STC[s] = hard_votes(0.92, 0.94)
    return World(
        "each sighted on only one stratum",
        _still(tables),
        "Nine voters drop 96 % of everything but one stratum each; majority collapses.",
        without_gold="with one informed voter a stratum no two votes agree beyond "
        "chance: one keep rate for three unknowns",
    )


def _clones() -> tuple[World, World, World]:
    tables = [_same(0.9, 0.9), _same(0.86, 0.92), *([_same(0.7, 0.75)] * 5)]
    clones = (2, 3, 4, 5, 6)
    exact = World(
        "two good, five exact copies",
        _still(tables, families=(Family(clones, "copies", 1.0),)),
        "Five columns are one mediocre voter.",
    )
    missed = [miss_votes(table_STC, 0.3) for table_STC in tables]
    patchy = World(
        "two good, five exact copies, 30 % missing",
        _still(missed, families=(Family(clones, "copies", 1.0),)),
        "The same, but three votes in ten are missing in each column by itself: no two "
        "columns are equal.",
    )
    near = World(
        "two good, five near copies",
        _still(tables, families=(Family(clones, "copies", 0.8),)),
        "Four words in five the mediocre five are one draw, else five.",
        without_gold=TWO_UNKNOWN + ": five near copies look like five good voters",
    )
    return exact, patchy, near


def _drifts() -> tuple[World, World]:
    still = [_varied(i, *GOOD[i]) for i in range(1, 5)]
    half_S = SIZE_S // 2
    between = tuple(
        Segment(_panel([_varied(0, right, right), *still], size_S=half_S), r)
        for r, right in enumerate((0.92, 0.75, 0.4))
    )
    tenth_S = SIZE_S // 10
    within = tuple(
        Segment(_panel([_varied(0, right, right), *still], size_S=tenth_S))
        for right in np.linspace(0.95, 0.35, 10)
    )
    lost = "the votes carry no clock, so a rule can learn only the mean voter"
    return (
        World(
            "a drifting voter, between rounds",
            between,
            "Three rounds of 10,000 words, each fitted by itself; one voter goes from "
            "92 % right over 75 % to 40 %.",
        ),
        World(
            "a drifting voter, within a round",
            within,
            "One voter goes from 95 % right to 35 % in ten steps inside one round.",
            with_gold=lost,
            without_gold=lost,
        ),
    )


def _wrong() -> tuple[World, World]:
    tables = [_varied(i, *GOOD[i]) for i in range(5)]
    for table_STC in tables:
        table_STC[CONSTANT] = hard_votes(0.22, 0.25)
    unseen = "a stratum on which all agree and are wrong looks like one on which all "
    unseen += "agree and are right"
    notes = "All five voters are wrong three times in four on one stratum of 1,000 "
    return (
        World(
            "all wrong on one stratum, no gold there",
            _still(tables),
            notes + "words, where no gold lies.",
            with_gold=unseen,
            without_gold=unseen,
            wrong_stratum=CONSTANT,
        ),
        World(
            "all wrong on one stratum, 50 gold words there",
            _still(tables),
            notes + "words, 50 of them gold.",
            without_gold=unseen,
            wrong_stratum=CONSTANT,
            wrong_gold=50,
        ),
    )


def _still(
    tables: Sequence[FloatArray],
    *,
    size_S: NDArray[np.int64] = SIZE_S,
    families: tuple[Family, ...] = (),
) -> tuple[Segment, ...]:
    return (Segment(_panel(tables, size_S=size_S, families=families)),)


def _panel(
    tables: Sequence[FloatArray],
    *,
    size_S: NDArray[np.int64] = SIZE_S,
    families: tuple[Family, ...] = (),
) -> Panel:
    return Panel(size_S, PREVALENCE_S, np.stack(tables), families)


def _everywhere(table_TC: FloatArray) -> FloatArray:
    """(S, T, C): the same on every stratum."""
    return np.repeat(table_TC[None], NUM_STRATA, axis=0)


def _same(sensitivity: float, specificity: float) -> FloatArray:
    return _everywhere(hard_votes(sensitivity, specificity))


def _varied(voter: int, sensitivity: float, specificity: float) -> FloatArray:
    """(S, T, C): a hard voter whose two rates move by stratum."""
    rate_S2 = _vary(voter, (sensitivity, specificity))
    return np.stack([hard_votes(*rate_2) for rate_2 in rate_S2])


def _vary(voter: int, rates: tuple[float, float]) -> FloatArray:
    """(S, 2) rates around a voter's own, the same in all draws."""
    rng = np.random.default_rng([19, voter])
    shift_S2 = rng.normal(0, STRATUM_SD, (NUM_STRATA, 2))
    rate_S2: FloatArray = expit(logit(np.array(rates)) + shift_S2)
    return rate_S2


def _soft_tables() -> list[FloatArray]:
    # Given the truth the log-odds of Beta(a, b) against Beta(b, a) are (a - b) times
    # the stated logit: .8 for the sharp (too sure), 3 for the smeared (too shy).
    return [
        soft_votes((0.2, 1.0), (1.0, 0.2)),
        soft_votes((0.3, 1.0), (1.0, 0.25)),
        soft_votes((9.0, 12.0), (12.0, 9.0)),
        soft_votes((10.0, 12.0), (13.0, 9.0)),
        soft_votes((18.0, 24.0), (22.0, 20.0)),
    ]


def _sampled(voter: int) -> FloatArray:
    """(S, T, C): five answers, each right about two times in three."""
    spread = 2.0  # answers to one word correlate at 1 / (1 + 2)
    sensitivity, specificity = expit(0.5 * logit(np.array(GOOD[voter])))
    return np.stack([
        sampled_votes(
            5,
            drop=(spread * (1 - specificity), spread * specificity),
            keep=(spread * sensitivity, spread * (1 - sensitivity)),
        )
        for sensitivity, specificity in _vary(voter, (sensitivity, specificity))
    ])  # fmt: skip


WORLDS: dict[str, World] = {world.name: world for world in build_worlds()}
