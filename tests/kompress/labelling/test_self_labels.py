import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.aggregation import make_aggregator
from kompress.config import RoundConfig, SelfLabelConfig, parse_config
from kompress.labelling.self_labels import (
    as_label,
    ask_teacher,
    first_said,
    is_sound,
    override,
    take_correction,
    wanted_sources,
)
from kompress.types import Label
from kompress.words import word_list

CONFIG = SelfLabelConfig(min_ratio=1.2, min_chars=10)
TEXT = "alpha bravo charlie\ndelta echo foxtrot"


def mask(marks):
    return np.array([mark == "1" for mark in marks])


@pytest.mark.parametrize(
    ("marks", "sound"),
    [
        ("111110", True),  # 6 / 5 is exactly the least ratio
        ("111111", False),  # 6 / 6 shortens nothing
        ("000000", False),  # nothing is left
        ("100001", True),  # "alpha\nfoxtrot": 13 characters
        ("110000", True),  # "alpha bravo": 11
        ("010010", True),  # "bravo\necho": 10
        ("000110", True),  # "delta echo": 10
        ("100010", True),  # "alpha\necho": 10
        ("001000", False),  # "charlie": 7
    ],
)
def test_a_sound_compression_shortens_and_says_enough(marks, sound):
    assert is_sound(TEXT, mask(marks), CONFIG) is sound


def test_the_published_thresholds_are_the_default():
    config = SelfLabelConfig()

    assert (config.min_ratio, config.min_chars) == (1.2, 30)
    assert not is_sound(TEXT, mask("111000"), config)  # 19 characters
    assert is_sound(TEXT, mask("111110"), config)  # 30 characters


@given(
    st.lists(st.sampled_from(["a", "bb", "7", "\n", " ", "\r\n", "\x0b", "\u2028"]),
             max_size=12)
    .map("".join)
    .flatmap(
        lambda text: st.tuples(
            st.just(text),
            st.lists(st.booleans(), min_size=len(word_list(text)),
                     max_size=len(word_list(text))),
        )
    )
)  # fmt: skip
def test_what_is_accepted_is_never_longer_than_the_ratio_allows(given_pair):
    text, keep = given_pair
    config = SelfLabelConfig(min_ratio=1.5, min_chars=0)

    if is_sound(text, np.array(keep, dtype=bool), config):
        assert 0 < sum(keep) <= len(keep) / 1.5


def test_a_score_beside_the_threshold_does_not_round_across_it():
    score_N = np.array([0.5, 0.49999999, 0.50000001, 0.0, 1.0])
    keep_N = np.array([False, False, True, True, False])

    label = as_label(score_N, keep_N)

    assert label.keep_N.tolist() == keep_N.tolist()
    # Below 1/2, float16 has a step of 2 ** -12.
    below = 0.5 - 2**-12
    assert label.mean_N.tolist() == [below, below, 0.5, 0.5, below]


def test_the_deviation_is_a_coins():
    label = as_label(np.array([0.5, 0.2, 1.0]), np.array([True, False, True]))

    # sqrt(0.5 * 0.5), sqrt(0.2 * 0.8), sqrt(1 * 0)
    np.testing.assert_allclose(label.sd_N, [0.5, 0.4, 0.0], rtol=1e-3)
    assert label.sd_N.dtype == label.mean_N.dtype == np.float16


@given(st.lists(st.tuples(st.floats(-0.1, 1.1), st.booleans()), min_size=0, max_size=9))
def test_the_stored_mask_is_the_decided_one(words):
    score_N = np.array([score for score, _ in words], dtype=np.float64)
    keep_N = np.array([keep for _, keep in words], dtype=bool)

    label = as_label(score_N, keep_N)

    assert label.keep_N.tolist() == keep_N.tolist()
    assert np.isfinite(label.sd_N).all()


def label(means, sds):
    return Label(np.array(means, dtype=np.float16), np.array(sds, dtype=np.float16))


def test_the_teacher_decides_the_words_that_it_is_sure_of():
    own = label([0.75, 0.75, 0.25, 0.25, 0.75], [0.25] * 5)
    # Half the 90 % interval is 1.64 sd: .205 for .125, .3075 for .1875, 0 for 0.
    teacher = label(
        [0.25, 0.21875, 0.75, 0.5, 0.125],  # off by .25, .28125, .25, 0, .375
        [0.125, 0.1875, 0.125, 0.0, 0.1875],
    )

    asked = ask_teacher(own, teacher)

    # Sure: .25 > .205, not .28125 > .3075, .25 > .205, not 0 > 0, .375 > .3075.
    assert asked.mean_N.tolist() == [0.25, 0.75, 0.75, 0.25, 0.125]
    assert asked.sd_N.tolist() == [0.125, 0.25, 0.125, 0.25, 0.1875]
    assert asked.keep_N.tolist() == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("mean", "is_sure"),
    [
        (0.52, False),  # a coin that is well known
        (0.375, False),
        (0.7495, False),
        (0.75, True),  # odds of 3 : 1
        (0.25, True),
        (0.2505, False),
    ],
)
def test_a_word_that_is_well_known_to_be_open_is_the_students(mean, is_sure):
    own = label([0.875, 0.125], [0.25] * 2)
    teacher = label([mean] * 2, [2**-10] * 2)

    asked = ask_teacher(own, teacher)

    expected = teacher if is_sure else own
    assert asked.mean_N.tolist() == expected.mean_N.tolist()
    assert asked.sd_N.tolist() == expected.sd_N.tolist()


@pytest.mark.parametrize(
    ("keeps", "drops", "is_sure"),
    [
        # (1 + 3) / 5 = .8, sd √(.8 · .2 / 6) = .163, 1.64 of them .268 < .3
        (3, 0, True),
        (0, 3, True),
        # 3/4, sd √(.75 · .25 / 5) = .194, 1.64 of them .318 > .25
        (2, 0, False),
        # 11/16 < 3/4, though its sd √(.6875 · .3125 / 17) = .112 is small enough
        (10, 4, False),
        # 13/16 and .095: .3125 > .155
        (12, 2, True),
    ],
)
def test_votes_that_are_counted_decide_at_odds_of_three_to_one(keeps, drops, is_sure):
    own = label([0.5], [0.5])
    p_NM = np.array([[1.0] * keeps + [0.0] * drops])
    rule = make_aggregator("beta", {})
    found = rule.aggregate(p_NM, np.ones(keeps + drops), [0])

    asked = ask_teacher(own, label(found.mean_N, found.sd_N))

    assert (asked.mean_N[0] != own.mean_N[0]) == is_sure


def test_a_teacher_that_saw_the_draft_decides_all_that_it_voted_on():
    own = label([0.75, 0.75, 0.25, 0.25], [0.25] * 4)

    corrected = take_correction(own, np.array([0.499, 0.9, 0.5, np.nan]))

    # As sure as it says, a tie keeps; where it abstained the draft stands.
    assert corrected.keep_N.tolist() == [False, True, True, False]
    np.testing.assert_allclose(
        corrected.mean_N.astype(float), [0.499, 0.9, 0.5, 0.25], rtol=1e-3
    )
    # A coin's at .9: √(.9 · .1) = .3
    np.testing.assert_allclose(corrected.sd_N[[1, 3]], [0.3, 0.25], rtol=1e-3)


def test_of_several_correcting_teachers_the_first_that_said_anything_counts():
    nan = np.nan
    p_WM = np.array([[0.25, 0.75], [nan, 0.75], [nan, nan]])

    np.testing.assert_array_equal(first_said(p_WM), [0.25, 0.75, nan])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5))))
def test_a_word_is_the_teachers_or_the_students(words):
    own = label([w[0] for w in words], [0.1] * len(words))
    teacher = label([w[1] for w in words], [w[2] for w in words])

    asked = ask_teacher(own, teacher)

    both = zip(own.mean_N, teacher.mean_N, asked.mean_N, strict=True)
    assert all(found in (mine, theirs) for mine, theirs, found in both)


@pytest.mark.parametrize(
    ("label_source", "mix", "expected"),
    [
        ("consensus", [], ()),
        ("self_label", [], ("self_label",)),
        ("self_label+teacher", [], ("self_label+teacher",)),
        ("consensus", ["gold", "self_label"], ("self_label",)),
        # The first one is what the raw labels speak of.
        ("self_label+teacher", ["self_label"], ("self_label+teacher", "self_label")),
        ("consensus", ["self_label+teacher", "self_label"],
         ("self_label", "self_label+teacher")),
    ],
)  # fmt: skip
def test_only_the_self_labels_that_a_round_needs_are_made(label_source, mix, expected):
    config = parse_config(
        RoundConfig,
        {
            "voters": [{"name": "grammar", "kind": "syntax"}],
            "label_source": label_source,
            "recipe": {"mix": [{"source": source} for source in mix]},
        },
    )

    assert wanted_sources(config) == expected


def test_must_keep_words_come_first_and_count_towards_the_rate():
    raw = as_label(np.array([0.9, 0.8, 0.6, 0.1]), np.array([1, 1, 1, 0], bool))
    caught_N = np.array([0, 0, 0, 1], bool)

    label = override(raw, caught_N, 0.5)

    # Two of four words: the must-keep one, then the highest score.
    assert label.keep_N.tolist() == [True, False, False, True]
    assert label.mean_N[3] == 1
    assert label.sd_N[3] == 0


def test_a_rate_below_the_must_keep_share_drops_none_of_them():
    raw = as_label(np.array([0.9, 0.2, 0.1]), np.array([1, 0, 0], bool))

    label = override(raw, np.array([0, 1, 1], bool), 0.3)

    assert label.keep_N.tolist() == [False, True, True]


def test_without_a_rate_the_must_keep_words_are_added():
    raw = as_label(np.array([0.9, 0.2, 0.1]), np.array([1, 0, 0], bool))

    label = override(raw, np.array([0, 1, 0], bool), None)

    assert label.keep_N.tolist() == [True, True, False]
