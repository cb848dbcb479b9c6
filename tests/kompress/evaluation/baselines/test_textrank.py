import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidConfig
from kompress.evaluation.baselines.textrank import TextRank, page_rank
from kompress.words import word_list

TEXT = 'error in parser: module "Parser" failed in module tests.'


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        # networkx 3 pagerank(alpha=.85, tol=1e-12) on the graph of neighbours, each
        # word's rank divided by the highest, that of `in`.
        (
            2,
            [0.30385894, 1.0, 0.74354798, 0.78004737, 0.74354798, 0.51453086, 1.0,
             0.78004737, 0.31237236],
        ),
        (
            4,
            [0.63608563, 1.0, 0.81630989, 1.0, 0.81630989, 0.81630989, 1.0, 1.0,
             0.63608563],
        ),
    ],
)  # fmt: skip
def test_words_get_the_ranks_that_networkx_gives(window, expected):
    (score_N,) = TextRank(window=window).score([TEXT])

    assert score_N.tolist() == pytest.approx(expected, abs=1e-7)


def test_page_rank_of_a_star_is_as_worked_by_hand():
    # Centre c with two leaves l: c = .15 + .85 * 2l and l = .15 + .85 * c / 2, so
    # c = .15 + 1.7 * .15 + .7225 c = .405 / .2775, and l = .15 + .425 c.
    centre = 0.405 / 0.2775

    score_V = page_rank(np.array([0, 0, 1, 2]), np.array([1, 2, 0, 0]), 3)

    leaf = 0.15 + 0.425 * centre
    assert score_V.tolist() == pytest.approx([centre, leaf, leaf])


def test_punctuation_is_no_term_and_gets_nothing():
    (score_N,) = TextRank().score(["fail -- fail == pass"])

    # No term has a neighbour that is one: each is alone with 1 - d.
    assert score_N.tolist() == pytest.approx([0.15, 0, 0.15, 0, 0.15])


def test_its_own_rate_is_the_one_asked_for():
    ranked = TextRank()
    scores = ranked.score([TEXT])

    (keep_N,) = ranked.keep([TEXT], scores, 1 / 3)

    assert np.flatnonzero(keep_N).tolist() == [1, 3, 6]  # in, module, in


def test_texts_without_words_and_progress():
    seen = []

    scores = TextRank(window=3).score(["", "one"], progress=seen.append)

    assert [score_N.tolist() for score_N in scores] == [[], pytest.approx([0.15])]
    assert seen == [1, 2]


def test_a_window_without_neighbours_is_refused():
    with pytest.raises(InvalidConfig, match="window is 1; expected at least 2"):
        TextRank(window=1)


@given(st.text(alphabet="ab-1 \n", max_size=80), st.integers(2, 5))
def test_scores_are_within_zero_and_one_and_equal_words_score_alike(text, window):
    (score_N,) = TextRank(window=window).score([text])

    assert ((score_N >= 0) & (score_N <= 1)).all()
    found = {}
    for word, score in zip(word_list(text), score_N.tolist(), strict=True):
        assert found.setdefault(word, score) == score
