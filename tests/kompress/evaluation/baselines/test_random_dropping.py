import numpy as np
import pytest

from kompress.config import EvaluationConfig
from kompress.errors import InvalidConfig
from kompress.evaluation.baselines.random_dropping import (
    RandomBaseline,
    evaluate_random,
)
from kompress.evaluation.suites import Suite, SuiteText

# Every second word is a number.
TEXTS = [
    " ".join(f"word {1_000 + 7 * i + 3 * j}" for j in range(100)) for i in range(40)
]
SUITE = Suite("dense", tuple(SuiteText(t, "log", "", t[:40]) for t in TEXTS))


def test_a_text_gets_the_same_scores_in_any_company():
    alone = RandomBaseline(0).score([TEXTS[3]])[0]
    among = RandomBaseline(0).score(TEXTS)[3]
    other_seed = RandomBaseline(1).score([TEXTS[3]])[0]

    assert alone.tolist() == among.tolist()
    assert alone.tolist() != other_seed.tolist()
    assert len(alone) == 200


def test_scores_are_uniform():
    score_W = np.concatenate(RandomBaseline(0).score(TEXTS))

    # 8,000 draws: the sd of a decile's share is sqrt(.09 / 8000) = .0034.
    shares = np.histogram(score_W, bins=10, range=(0, 1))[0] / score_W.size
    assert shares == pytest.approx(np.full(10, 0.1), abs=0.014)


def test_random_dropping_keeps_must_keep_words_as_often_as_any_others():
    rows = evaluate_random(
        SUITE, EvaluationConfig(num_bootstraps=50), keep_rate=0.835, seed=0
    )

    def value(metric, rate=None, definition="multiset"):
        (row,) = [
            row
            for row in rows
            if (row.metric, row.stratum, row.target_keep_rate) == (metric, "all", rate)
            and (row.definition, row.override, row.text_sha256) == (definition, "", "")
        ]
        return row.value

    assert value("keep_rate") == 167 / 200  # 0.835 of each text
    # 4,000 numbers: sd sqrt(.835 * .165 / 4000) = .0059, less without replacement.
    assert value("exact_pct") == pytest.approx(0.835, abs=0.02)
    assert value("exact_pct", 0.5) == pytest.approx(0.5, abs=0.03)
    assert value("exact_auc") == pytest.approx(0.7, abs=0.02)


def test_a_keep_rate_outside_zero_to_one_is_refused():
    with pytest.raises(InvalidConfig, match="keep_rate is 83"):
        evaluate_random(SUITE, EvaluationConfig(), keep_rate=83.0, seed=0)
