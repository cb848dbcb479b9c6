import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from db.queries.votes import VoteRow
from kompress.config import RoundConfig, parse_config
from worker.panel import aggregate_panel, make_labels, make_panel


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

    labels = make_labels(panel, aggregate_panel(panel, config))

    assert {text: label.keep_N.tolist() for text, label in labels.items()} == {
        3: [True, False],
        5: [True],
    }
    assert labels[3].mean_N.dtype == labels[3].sd_N.dtype == np.float16
