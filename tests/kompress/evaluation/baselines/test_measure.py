from hashlib import sha256

import numpy as np
import pytest

from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.reliability.rule import Reliability
from kompress.config import AggregationConfig, EvaluationConfig
from kompress.evaluation.baselines.baseline import NamedBaseline, ThresholdBaseline
from kompress.evaluation.baselines.measure import (
    TimedScorer,
    measure,
    ms_per_chunk,
    own_keep_rate,
)
from kompress.evaluation.baselines.published import published_baselines
from kompress.evaluation.baselines.random_dropping import evaluate_random
from kompress.evaluation.baselines.textrank import TextRank
from kompress.evaluation.baselines.voters import PoolMember, VoterPool, voter_baselines
from kompress.evaluation.suites import Suite, SuiteText
from kompress.types import Vote
from tests.truth_codes import coded

# Words 2, 4, 6 … of each text are numbers; 40 words in all.
TEXTS = [" ".join(f"word {100 * i + j}" for j in range(5)) for i in range(4)]
SUITE = Suite(
    "agent",
    tuple(SuiteText(t, "log", "", sha256(t.encode()).hexdigest()) for t in TEXTS),
)
CONFIG = EvaluationConfig(num_bootstraps=10, keep_rates=(0.5,))


class Half:
    """Scores the words of each text 0.1, 0.2 … 1.0."""

    def score(self, texts, *, progress=None):
        return [np.arange(1, len(t.split()) + 1) / 10 for t in texts]


class Drops:
    """A voter that drops all words but the first of each text."""

    def vote(self, texts, *, replicate=0):
        for index, text in enumerate(texts):
            codes_N = np.zeros(len(text.split()), dtype=np.uint8)
            codes_N[0] = 254
            yield index, Vote(codes_N)


class Keeps:
    """A voter that keeps every word."""

    def vote(self, texts, *, replicate=0):
        for index, text in enumerate(texts):
            yield index, Vote(np.full(len(text.split()), 254, dtype=np.uint8))


class Ticks:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def value(rows, metric, rate=None):
    (row,) = [
        row
        for row in rows
        if (row.metric, row.stratum, row.target_keep_rate) == (metric, "all", rate)
        and (row.definition, row.override) == ("multiset", "")
    ]
    return row.value


def test_a_student_keeps_what_it_scores_above_one_half():
    entry = NamedBaseline("student", "7", ThresholdBaseline(Half()))

    result = measure(entry, SUITE, CONFIG, keep_rate=0.1, seed=0, clock=Ticks())

    # 0.6 … 1.0 of each text's ten words; the numbers are words 2, 4 … 10.
    assert (result.keep_rate, value(result.rows, "exact_pct")) == (0.5, 3 / 5)
    assert (result.kind, result.name) == ("student", "7")
    assert result.ms_per_chunk == 1_000 * 350 / 40  # one tick for 40 words
    assert not [row for row in result.rows if row.text_sha256]


def test_a_method_without_a_threshold_is_held_to_the_student_s_keep_rate():
    entry = NamedBaseline("baseline", "textrank", TextRank())

    result = measure(entry, SUITE, CONFIG, keep_rate=0.3, seed=0)

    assert result.keep_rate == 0.3
    assert value(result.rows, "keep_rate", 0.5) == 0.5


def test_a_voter_has_its_own_keep_rate_and_pays_for_its_own_votes():
    pool = VoterPool([PoolMember("drops", Drops())], clock=Ticks())
    entries = voter_baselines(pool, AggregationConfig(compare=()))

    voter, rule = (
        measure(entry, SUITE, CONFIG, keep_rate=0.9, seed=0) for entry in entries
    )

    assert [(r.kind, r.name) for r in (voter, rule)] == [
        ("voter", "drops"),
        ("rule", "reliability"),
    ]
    assert (voter.keep_rate, rule.keep_rate) == (0.1, 0.1)
    assert voter.ms_per_chunk == 1_000 * 350 / 40
    assert rule.ms_per_chunk == 2_000 * 350 / 40  # the votes, then the rule


def learn(is_right):
    """Fit the default rule to 300 gold words by who is always right, else wrong."""
    truth_N = np.tile([1, 0], 150).astype(np.uint8)
    codes_NM = np.where(np.array(is_right), truth_N[:, None], 1 - truth_N[:, None])
    codes_NM = (254 * codes_NM).astype(np.uint8)
    strata_N = np.zeros(300, dtype=int)
    return Reliability().fit(count_patterns(codes_NM, [1, 1], strata_N, coded(truth_N)))


@pytest.mark.parametrize(
    ("is_right", "keep_rate"),
    # a keeps one word in ten, b keeps all: whoever was right decides.
    [((True, False), 0.1), ((False, True), 1.0)],
)
def test_a_rule_pools_by_what_it_has_learned_and_not_from_the_suite(
    is_right, keep_rate
):
    pool = VoterPool([PoolMember("a", Drops()), PoolMember("b", Keeps())])
    rules = AggregationConfig(compare=())

    entry = voter_baselines(pool, rules, {"reliability": learn(is_right)})[-1]

    assert (entry.kind, entry.name) == ("rule", "reliability")
    result = measure(entry, SUITE, CONFIG, keep_rate=0.5, seed=0)
    assert result.keep_rate == keep_rate


def test_methods_that_lack_what_they_need_are_left_out():
    voter = VoterPool([PoolMember("self_information", Drops())])

    assert [e.name for e in published_baselines(None, None)] == ["textrank"]
    assert [e.name for e in published_baselines(voter, None)] == [
        "textrank",
        "self_information",
    ]


def test_random_dropping_is_scored_at_every_keep_rate_beside_it():
    rows = evaluate_random(SUITE, CONFIG, keep_rate=0.7, beside=[0.2, 0.7, 0.2], seed=0)

    rates = {r.target_keep_rate for r in rows if r.metric == "keep_rate"}
    assert rates == {None, 0.2, 0.5, 0.7}
    assert own_keep_rate(rows) == 0.7
    assert value(rows, "keep_rate", 0.2) == 0.2
    # The same coin at the same rate.
    assert value(rows, "exact_pct", 0.7) == value(rows, "exact_pct")


def test_time_is_added_up_over_all_words():
    timed = TimedScorer(Half(), clock=Ticks())

    assert timed.ms_per_chunk is None
    first = timed.score(TEXTS[:1])
    timed.score(TEXTS[1:2])

    assert timed.ms_per_chunk == 2 * 1_000 * 350 / 20
    assert timed.first is first
    assert timed.tokenizer is None


@pytest.mark.parametrize(
    ("seconds", "texts", "expected"),
    [(None, ["a"], None), (1.0, [""], None), (0.5, ["a b"], 0.5 * 1_000 * 175)],
)
def test_latency_is_that_of_350_words(seconds, texts, expected):
    assert ms_per_chunk(seconds, texts) == expected
