import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import RoundConfig, parse_config
from kompress.decisions import Calibration
from kompress.labelling.consensus import FittedConsensus, pool_unlearned, without_each
from kompress.labelling.panel import (
    Panels,
    consensus_of,
    make_labels,
    make_panel,
    teachers,
)
from kompress.types import VoteRow

JUDGE = {"name": "j", "kind": "teacher"}


def vote(voter, codes, *, replicate=0, num_samples=1):
    return VoteRow(1, voter, replicate, num_samples, np.array(codes, dtype=np.uint8))


def strata(*codes):
    return np.array(codes, dtype=np.uint8)


def test_votes_stand_one_text_below_the_other():
    votes = {
        9: [vote("b", [254])],
        # (127 + 1/2) / 255 = 1/2; 255 abstains
        4: [vote("a", [0, 127]), vote("b", [255, 254])],
        7: [],
    }

    panel = make_panel(["b", "a"], votes, {4: strata(0, 2), 9: strata(1), 7: strata(0)})

    # A text without any vote is left out: it is a failure.
    assert panel.text_ids == (4, 9)
    assert panel.end_T.tolist() == [2, 3]
    assert panel.stratum_W.tolist() == [0, 2, 1]
    high, low = 254.5 / 255, 0.5 / 255
    np.testing.assert_allclose(panel.p_WM, [[np.nan, low], [high, 0.5], [high, np.nan]])
    assert panel.strength_WM.tolist() == [[0, 1], [1, 1], [1, 0]]


def test_replicates_pool_by_their_samples():
    rows = [vote("a", [0], num_samples=3), vote("a", [254], replicate=1)]

    panel = make_panel(["a"], {1: rows}, {1: strata(0)})

    # (3 * 0.5 + 1 * 254.5) / 255 / 4 = 256 / 1020
    np.testing.assert_allclose(panel.p_WM, [[256 / 1020]])
    assert panel.strength_WM.tolist() == [[4]]


def test_each_text_may_have_another_number_of_answers():
    votes = {
        1: [vote("a", [254, 255]), vote("a", [0, 254], replicate=1), vote("b", [0, 0])],
        2: [vote("a", [254]), vote("b", [254]), vote("b", [254], replicate=2)],
    }

    panel = make_panel(["a", "b"], votes, {1: strata(0, 0), 2: strata(0)})

    # (254.5 + .5) / 2 / 255 = 1/2; where one of two answers abstains, the other counts.
    high, low = 254.5 / 255, 0.5 / 255
    np.testing.assert_allclose(panel.p_WM, [[0.5, low], [high, low], [high, high]])
    assert panel.strength_WM.tolist() == [[2, 1], [1, 1], [1, 2]]


def test_no_votes_are_an_empty_panel():
    panel = make_panel(["a"], {}, {})

    assert (panel.text_ids, panel.p_WM.shape) == ((), (0, 1))
    assert panel.stratum_W.size == 0
    assert panel.split(panel.stratum_W) == {}


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_splitting_gives_each_text_its_own_words(sizes):
    votes = {n: [vote("a", [n] * size)] for n, size in enumerate(sizes)}
    panel = make_panel(["a"], votes, {n: strata(*[0] * s) for n, s in enumerate(sizes)})

    parts = panel.split(panel.p_WM[:, 0])

    assert {n: part.size for n, part in parts.items()} == dict(enumerate(sizes))
    for n, part in parts.items():
        assert (part == (n + 0.5) / 255).all()


def test_labels_are_float16_by_text():
    config = parse_config(
        RoundConfig,
        {
            "voters": [{"name": "a", "kind": "simulated"}],
            "aggregation": {"rule": "majority"},
        },
    )
    votes = {3: [vote("a", [254, 0])], 5: [vote("a", [254])]}
    panel = make_panel(["a"], votes, {3: strata(0, 0), 5: strata(0)})

    labels = make_labels(panel, pool_unlearned(panel, config))

    assert {text: label.keep_N.tolist() for text, label in labels.items()} == {
        3: [True, False],
        5: [True],
    }
    assert labels[3].mean_N.dtype == labels[3].sd_N.dtype == np.float16


def round_config(protocol="words"):
    return parse_config(
        RoundConfig,
        {
            "voters": [{"name": n, "kind": "simulated"} for n in ("a", "b")],
            "protocol": protocol,
            "pairwise": {"judges": [JUDGE]},
            "aggregation": {"rule": "beta"},
        },
    )


def test_a_calibrated_vote_is_tempered_and_counts_as_more_samples():
    # Codes 229 and 25 are P = .9 and .1; σ(± ln 9 / 2) = .75 and .25.
    votes = {1: [vote("a", [229, 25, 255]), vote("b", [229, 25, 229])]}
    calibration = {"a": Calibration(temperature=2.0, strength=3.0, num_words=9)}

    panel = make_panel(["a", "b"], votes, {1: strata(0, 0, 0)}, calibration)

    np.testing.assert_allclose(
        panel.p_WM, [[0.75, 0.9], [0.25, 0.1], [np.nan, 0.9]], rtol=1e-12
    )
    assert panel.strength_WM.tolist() == [[3, 1], [3, 1], [0, 1]]


def test_without_a_decision_votes_count_as_they_were_cast():
    votes = {1: [vote("a", [229, 25])]}
    decided = {"b": Calibration(2.0, 3.0, 1)}

    plain = make_panel(["a"], votes, {1: strata(0, 0)})
    other = make_panel(["a"], votes, {1: strata(0, 0)}, decided)

    assert plain.p_WM.tobytes() == other.p_WM.tobytes()
    assert plain.strength_WM.tolist() == other.strength_WM.tolist() == [[1], [1]]


PAIRED = {
    1: [vote("a", [254, 0]), vote("b", [254, 254]), vote("pairwise", [0, 254])],
    2: [vote("a", [254])],  # no reference won here
}
PAIRED_STRATA = {1: strata(0, 0), 2: strata(0)}


def test_the_protocol_says_who_makes_the_consensus():
    names = {}
    for protocol in ("words", "pairwise", "both"):
        config = round_config(protocol)
        panel = make_panel(config.panel(), PAIRED, PAIRED_STRATA)
        names[protocol] = (panel.voters, consensus_of(panel, config).voters)

    assert names == {
        "words": (("a", "b"), ("a", "b")),
        "pairwise": (("a", "b", "pairwise"), ("pairwise",)),
        "both": (("a", "b", "pairwise"), ("a", "b", "pairwise")),
    }


def test_the_winning_reference_alone_decides_where_it_was_asked_to():
    config = round_config("pairwise")
    panel = make_panel(config.panel(), PAIRED, PAIRED_STRATA)

    own = consensus_of(panel, config)
    labels = make_labels(own, pool_unlearned(own, config))

    assert labels[1].keep_N.tolist() == [False, True]
    assert own.text_ids == panel.text_ids


def test_voters_without_a_part_in_the_consensus_are_judged_by_it():
    config = round_config("pairwise")
    panel = make_panel(config.panel(), PAIRED, PAIRED_STRATA)

    keep_WM, known_WM = without_each(
        Panels(panel, panel), FittedConsensus(config, {}, {})
    )

    # a and b: the reference's drop and keep; text 2 has none. Nobody is left to judge
    # the reference by.
    assert keep_WM[:2, :2].tolist() == [[False, False], [True, True]]
    assert known_WM.tolist() == [
        [True, True, False], [True, True, False], [False, False, False],
    ]  # fmt: skip


def test_voters_of_the_consensus_are_judged_by_the_others():
    config = round_config("both")
    panel = make_panel(config.panel(), PAIRED, PAIRED_STRATA)

    keep_WM, known_WM = without_each(
        Panels(panel, panel), FittedConsensus(config, {}, {})
    )

    # Word 2: a drops, b and the reference keep. Without b it is one against one, at 1/2
    # and so kept.
    assert keep_WM[1].tolist() == [True, True, True]
    # Word 1: a and b keep, the reference drops; without either it is 1/2, kept.
    assert keep_WM[0].tolist() == [True, True, True]
    assert known_WM.tolist() == [[True] * 3, [True] * 3, [False] * 3]


LOCAL_MODEL = {"engine": "transformers", "model": "micro"}


def test_only_voters_that_ask_a_model_are_calibrated():
    config = parse_config(
        RoundConfig,
        {
            "voters": [
                {"name": "t", "kind": "teacher", "params": LOCAL_MODEL},
                {"name": "s", "kind": "simulated"},
            ]
        },
    )

    assert teachers(config) == ("t",)


def test_words_of_another_split_or_of_a_forgotten_text_stand_alone():
    votes = {t: [VoteRow(t, "a", 0, 1, np.zeros(2, dtype=np.uint8))] for t in (1, 2, 3)}
    strata = {t: np.zeros(2, dtype=np.uint8) for t in votes}
    boundaries = {1: np.array([3, 1]), 2: np.array([3, 0, 0])}

    panel = make_panel("a", votes, strata, boundaries=boundaries)

    assert panel.boundary_W is not None
    assert panel.boundary_W.tolist() == [3, 1, 3, 3, 3, 3]
