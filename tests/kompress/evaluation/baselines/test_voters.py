import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidConfig, VoteFailed
from kompress.evaluation.baselines.voters import (
    ABSTAINED,
    PoolMember,
    RuleScorer,
    VoterPool,
    VoterScorer,
)
from kompress.types import ABSTAIN, Vote

KEEP, DROP, TIE = 254, 0, 127  # 254.5/255, .5/255, 127.5/255
TEXTS = ["one two 3", "4 five"]


class FixedVoter:
    """Votes the same codes on each word of any text; fails on a text with `five`."""

    def __init__(self, code, *, fails=False):
        self.code = code
        self.fails = fails
        self.asked = []

    def vote(self, texts, *, replicate=0):
        self.asked += [(text, replicate) for text in texts]
        for index, text in reversed(list(enumerate(texts))):
            if self.fails and "five" in text:
                yield index, VoteFailed("five is too much")
            else:
                yield index, Vote(np.full(len(text.split()), self.code, np.uint8))


class Ticks:
    """A clock that goes on by one second each time it is read."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def flat(arrays):
    return np.concatenate(arrays).tolist()


def test_a_voter_keeps_at_one_half_and_above_and_never_where_it_abstains():
    members = [
        PoolMember("tie", FixedVoter(TIE, fails=True)),
        PoolMember("mute", FixedVoter(ABSTAIN)),
    ]
    pool = VoterPool(members)

    tie, mute = (VoterScorer(pool, name) for name in ("tie", "mute"))

    assert flat(tie.score(TEXTS)) == [0.5, 0.5, 0.5, ABSTAINED, ABSTAINED]
    assert flat(tie.keep(TEXTS, tie.score(TEXTS), 0.9)) == [True] * 3 + [False] * 2
    assert tie.abstained(TEXTS) == pytest.approx(2 / 5)
    assert flat(mute.keep(TEXTS, mute.score(TEXTS), 0.9)) == [False] * 5
    assert ABSTAINED < 0.5


def test_voters_are_asked_once_for_all_scorers():
    voter = FixedVoter(KEEP)
    pool = VoterPool([PoolMember("a", voter, replicates=2)])

    VoterScorer(pool, "a").score(TEXTS)
    RuleScorer(pool, "majority", {}).score(TEXTS)

    assert voter.asked == [(text, r) for r in (0, 1) for text in TEXTS]


def test_stored_votes_are_taken_instead_of_asking():
    voter = FixedVoter(KEEP)
    stored = {(TEXTS[0], "a"): [Vote(np.array([DROP] * 3, dtype=np.uint8))]}
    pool = VoterPool([PoolMember("a", voter), PoolMember("gone", None)], stored)
    scorer = VoterScorer(pool, "a")

    kept = flat(scorer.keep(TEXTS, scorer.score(TEXTS), 1.0))

    assert kept == [False] * 3 + [True] * 2
    assert voter.asked == [(TEXTS[1], 0)]
    assert scorer.seconds(TEXTS) is None  # part of it was not measured
    assert VoterScorer(pool, "gone").abstained(TEXTS) == 1.0
    assert RuleScorer(pool, "majority", {}).seconds(TEXTS) is None


@pytest.mark.parametrize(
    ("rule", "params", "kept"),
    [
        ("majority", {}, True),  # two of three
        ("k_of_n", {"k": 1}, False),  # one drop is enough
        ("k_of_n", {"k": 2}, True),
        ("beta", {}, True),
    ],
)
def test_rules_decide_over_all_voters(rule, params, kept):
    codes = {"a": KEEP, "b": KEEP, "c": DROP}
    pool = VoterPool([PoolMember(n, FixedVoter(c)) for n, c in codes.items()])
    scorer = RuleScorer(pool, rule, params)

    scores = scorer.score(TEXTS)

    assert [len(score_N) for score_N in scores] == [3, 2]
    assert flat(scorer.keep(TEXTS, scores, 0.1)) == [kept] * 5
    # A label is stored as float16.
    assert np.concatenate(scores).astype(np.float16).tolist() == flat(scores)


def test_seconds_are_those_of_the_voters_and_of_the_rule():
    members = [PoolMember("a", FixedVoter(KEEP)), PoolMember("b", FixedVoter(DROP))]
    pool = VoterPool(members, clock=Ticks())
    rule = RuleScorer(pool, "majority", {})

    rule.score(TEXTS)

    assert VoterScorer(pool, "b").seconds(TEXTS) == 1.0
    assert rule.seconds(TEXTS) == 3.0


def test_texts_without_words_have_empty_scores():
    pool = VoterPool([PoolMember("a", FixedVoter(KEEP))])

    assert VoterScorer(pool, "a").score([]) == []
    assert flat(RuleScorer(pool, "beta", {}).score(["", "x"])) == [
        pytest.approx(0.667, abs=0.01)  # Beta(1 + 254.5/255, 1 + .5/255)
    ]


def test_an_unknown_rule_or_voter_is_refused():
    pool = VoterPool([PoolMember("a", FixedVoter(KEEP))])
    with pytest.raises(InvalidConfig, match="'odd' is unknown"):
        RuleScorer(pool, "odd", {})
    with pytest.raises(ValueError, match="not in list"):
        VoterScorer(pool, "b")


@given(st.lists(st.sampled_from([KEEP, DROP]), min_size=1, max_size=5))
def test_a_majority_of_like_minded_voters_is_any_one_of_them(codes):
    members = [PoolMember(str(i), FixedVoter(codes[0])) for i in range(len(codes))]
    pool = VoterPool(members)
    rule = RuleScorer(pool, "majority", {})
    voter = VoterScorer(pool, "0")

    assert flat(rule.keep(TEXTS, rule.score(TEXTS), 0.5)) == flat(
        voter.keep(TEXTS, voter.score(TEXTS), 0.5)
    )
