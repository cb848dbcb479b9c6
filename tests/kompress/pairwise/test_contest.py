import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limited
from hypothesis import strategies as st

from kompress.config import PairwiseConfig
from kompress.pairwise import contest as module
from kompress.pairwise.contest import (
    CandidateSet,
    Judgment,
    compare_choices,
    hold_contest,
)
from kompress.types import Candidate
from kompress.words import join_kept

TEXT = "one two\nthree 4 five\nsix seven"
CONFIG = PairwiseConfig(min_must_keep=0.5)


def masked(*kept, text=TEXT):
    keep_N = np.zeros(len(text.split()), dtype=np.bool_)
    keep_N[list(kept)] = True
    return Candidate("c", join_kept(text, keep_N), keep_N)


def judge_all(text_id, order, *, judge=0, first_wins=0.0):
    """Both orders of every pair; `order` names the candidates, the best first."""
    rank = {place: -n for n, place in enumerate(order)}
    found = []
    for i, j in itertools.permutations(sorted(order), 2):
        p = 1 / (1 + np.exp(-2.0 * (rank[i] - rank[j]) - first_wins))
        found.append(Judgment(text_id, i, j, judge, 0, p, 1 - p, 0.0))
    return found


def test_the_best_sound_reference_wins_and_the_best_one_need_not_be_sound():
    # The judges' favourite lost 4, the text's only must-keep word.
    entry = CandidateSet(TEXT, (masked(0, 3), masked(0, 1), masked(2, 3)))

    found = hold_contest({5: entry}, judge_all(5, [1, 0, 2]), CONFIG)

    result = found.judged[5]
    assert int(np.argmax(result.quality_I)) == 1
    assert result.winner == 0
    assert result.sound_I.tolist() == [True, False, True]
    assert list(result.refusals[1]) == ["must_keep"]


def test_what_nobody_judged_cannot_win():
    entry = CandidateSet(TEXT, (masked(3), masked(0, 3), masked(2, 3)))

    found = hold_contest({5: entry}, judge_all(5, [1, 2]), CONFIG)
    silent = hold_contest({5: entry}, [], CONFIG)

    assert np.isnan(found.judged[5].quality_I).tolist() == [True, False, False]
    assert found.judged[5].winner == 1
    assert silent.judged[5].winner is None
    assert not silent.judged[5].is_judged
    assert silent.panel is None


def test_scores_of_two_unconnected_groups_do_not_compare():
    entry = CandidateSet(TEXT, tuple(masked(n, 3) for n in (0, 1, 2, 4, 5)))
    # 3 beats 4 as 0 beats 1, but no judgment joins the two groups.
    said = [*judge_all(5, [1, 0, 2]), *judge_all(5, [3, 4])]

    found = hold_contest({5: entry}, said, CONFIG)

    assert np.isnan(found.judged[5].quality_I).tolist() == [False] * 3 + [True] * 2
    assert found.judged[5].winner == 1


def test_a_rewriting_reference_is_compared_and_never_wins():
    rewriting = Candidate("upload", "four or so", None)
    entry = CandidateSet(TEXT, (rewriting, masked(3)))

    found = hold_contest({5: entry}, judge_all(5, [0, 1]), CONFIG, checks={})

    assert found.judged[5].winner == 1
    assert "delete_only" in found.judged[5].refusals[0]


def test_position_bias_is_seen_and_does_not_choose():
    entry = CandidateSet(TEXT, (masked(3), masked(0, 3), masked(2, 3)))
    said = judge_all(5, [2, 1, 0], first_wins=1.5)

    found = hold_contest({5: entry}, said, CONFIG)

    assert found.panel is not None
    # The prior pulls it in from 1.5; without any bias it is 0.
    assert found.panel.bias_J[0] > 0.3
    assert found.judged[5].winner == 2


def test_gold_sets_the_scale_of_the_quality_and_not_its_order():
    entries, said, gold = {}, [], {}
    for text_id in range(10):
        entries[text_id] = CandidateSet(TEXT, (masked(3), masked(0, 3), masked(2, 3)))
        said += judge_all(text_id, [0, 1, 2])
        # Gold keeps 0, 2 and 3: F1 of .5, .8 and .8, against the judges' order.
        gold[text_id] = np.array([254, 0, 254, 254, 0, 0, 0], dtype=np.uint8)

    plain = hold_contest(entries, said, CONFIG)
    scaled = hold_contest(entries, said, CONFIG, gold=gold)

    assert scaled.quality.num_candidates == 30
    assert {result.winner for result in scaled.judged.values()} == {0}
    for text_id in entries:
        order = np.argsort(plain.judged[text_id].quality_I)
        assert np.argsort(scaled.judged[text_id].quality_I).tolist() == order.tolist()
        # Mean F1 is (.5 + .8 + .8) / 3 = .7
        assert scaled.judged[text_id].quality_I.mean() == pytest.approx(0.7, abs=0.02)


def test_choices_are_held_against_evaluation_gold():
    entry = CandidateSet(TEXT, (masked(0, 3), masked(0, 1), masked(2, 3)))
    contest = hold_contest({5: entry}, judge_all(5, [1, 0, 2]), CONFIG)
    gold_N = np.array([0, 0, 254, 254, 0, 0, 0], dtype=np.uint8)

    found = compare_choices({5: entry}, contest, {5: gold_N, 6: gold_N})

    assert list(found) == [5]
    assert found[5]["oracle"].tolist() == [2, 0, 0, 7]
    assert found[5]["voted"].tolist() == [0, 2, 2, 7]
    assert found[5]["verified"].tolist() == [1, 1, 1, 7]


def test_blocks_hold_whole_texts(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_CANDIDATES", 5)
    entries = {t: CandidateSet(TEXT, (masked(3), masked(0, 3))) for t in range(5)}
    said = [j for t in range(5) for j in judge_all(t, [t % 2, 1 - t % 2])]

    found = hold_contest(entries, said, CONFIG)

    # Two texts of two candidates fit into 5: three fits in all.
    assert [
        len({j.text_id for j in block}) for block in module._blocks(entries, said)
    ] == [2, 2, 1]
    assert [r.winner for r in found.judged.values()] == [0, 1, 0, 1, 0]


@limited(max_examples=20)
@given(st.permutations(range(4)), st.randoms(use_true_random=False))
def test_the_order_of_judgments_changes_no_bit(order, random):
    entry = CandidateSet(TEXT, tuple(masked(n, 3) for n in (0, 1, 2, 4)))
    said = judge_all(5, order)
    shuffled = random.sample(said, len(said))

    one = hold_contest({5: entry}, said, CONFIG).judged[5]
    other = hold_contest({5: entry}, shuffled, CONFIG).judged[5]

    assert one.winner == other.winner == order[0]
    assert one.quality_I.tobytes() == other.quality_I.tobytes()
