"""The default rule: modest without a reason, and along texts where it may look."""

import json

import numpy as np
import pytest

from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.reliability.along_texts import AlongTexts, AlongTextsFit
from kompress.aggregation.reliability.rule import Reliability, ReliabilityFit
from kompress.aggregation.rules.plain import Uniform
from kompress.errors import InvalidConfig
from kompress.types import ABSTAIN, DROP, KEEP, UNKNOWN

LENGTH = 50
ONE_M = np.ones(4)


def _draw(seed: int, num_texts: int, *, together: float):
    """Runs of truth; `together` of all words are misread by all four voters alike."""
    rng = np.random.default_rng(seed)
    size = num_texts * LENGTH
    boundary_N = np.zeros(size, dtype=np.uint8)
    boundary_N[::10], boundary_N[::LENGTH] = 1, 3
    drawn_N = (boundary_N > 0) | (rng.random(size) < 0.1)
    place_N = np.maximum.accumulate(np.where(drawn_N, np.arange(size), 0))
    keep_N = (rng.random(size) < 0.4)[place_N]
    right_NM = rng.random((size, 4)) < 0.8
    right_NM[rng.random(size) < together] = False
    code_NM = np.where(keep_N[:, None] == right_NM, 254, 0).astype(np.uint8)
    return code_NM, np.zeros(size, dtype=np.intp), boundary_N, keep_N


def _log_loss(posterior, keep_N):
    p_N = posterior.mean_N
    return -np.mean(np.log(np.where(keep_N, p_N, 1 - p_N)))


def _told(keep_N, num_words):
    truth_N = np.where(keep_N, KEEP, DROP).astype(np.uint8)
    truth_N[num_words:] = UNKNOWN
    return truth_N


def test_in_doubt_without_gold_the_plain_mean_is_all_that_is_said():
    code_NM, stratum_N, _, _ = _draw(0, 400, together=0.0)
    code_NM = code_NM[:, :2]

    learned = AlongTexts().fit(count_patterns(code_NM, ONE_M[:2], stratum_N))
    found = learned.aggregate(code_NM, ONE_M[:2], stratum_N)

    assert "fewer than three" in learned.data["doubt"]
    plain = Uniform().aggregate(code_NM, ONE_M[:2], stratum_N)
    assert found.alpha_N.tobytes() == plain.alpha_N.tobytes()


@pytest.mark.parametrize("together", [0.0, 0.15])
def test_without_gold_nothing_is_surer_than_the_plain_mean(together):
    code_NM, stratum_N, _, keep_N = _draw(1, 400, together=together)
    votes = code_NM, ONE_M, stratum_N

    found = AlongTexts().fit(count_patterns(*votes)).aggregate(*votes)
    plain = Uniform().aggregate(*votes)

    far_N = np.maximum(np.abs(plain.mean_N - 0.5), 0.05)
    assert (np.abs(found.mean_N - 0.5) <= far_N + 1e-9).all()
    assert _log_loss(found, keep_N) <= _log_loss(plain, keep_N) + 1e-9


def test_gold_lets_a_fit_be_as_sure_as_it_is():
    code_NM, stratum_N, _, keep_N = _draw(1, 400, together=0.0)
    patterns = count_patterns(code_NM, ONE_M, stratum_N, _told(keep_N, 1_000))

    learned = AlongTexts().fit(patterns)
    found = learned.aggregate(code_NM, ONE_M, stratum_N)

    before = Reliability().fit(patterns).aggregate(code_NM, ONE_M, stratum_N)
    assert _log_loss(found, keep_N) < 1.01 * _log_loss(before, keep_N)


@pytest.mark.parametrize("num_gold", [0, 20 * LENGTH])
def test_a_words_neighbours_tell_of_it(num_gold):
    code_NM, stratum_N, boundary_N, keep_N = _draw(2, 200, together=0.15)
    votes = code_NM, ONE_M, stratum_N

    learned = AlongTexts().fit(
        count_patterns(*votes, _told(keep_N, num_gold), boundary_N)
    )
    along = learned.aggregate(*votes, boundary_N)
    alone = learned.aggregate(*votes)

    assert _log_loss(along, keep_N) < 0.95 * _log_loss(alone, keep_N)


def test_a_texts_labels_are_the_same_bits_in_any_shard():
    code_NM, stratum_N, boundary_N, keep_N = _draw(3, 30, together=0.15)
    votes = code_NM, ONE_M, stratum_N
    learned = AlongTexts().fit(count_patterns(*votes, _told(keep_N, 400), boundary_N))
    again = AlongTextsFit.of(json.loads(json.dumps(learned.data)))

    whole = learned.aggregate(*votes, boundary_N)
    cut = 13 * LENGTH
    parts = [
        again.aggregate(code_NM[own], ONE_M, stratum_N[own], boundary_N[own])
        for own in (slice(0, cut), slice(cut, None))
    ]

    alpha_N = np.concatenate([part.alpha_N for part in parts])
    beta_N = np.concatenate([part.beta_N for part in parts])
    assert alpha_N.tobytes() == whole.alpha_N.tobytes()
    assert beta_N.tobytes() == whole.beta_N.tobytes()


def test_a_silent_word_is_as_little_known_as_before_any_vote():
    code_NM, stratum_N, boundary_N, _ = _draw(4, 20, together=0.15)
    code_NM[5] = ABSTAIN

    along = AlongTexts().aggregate(code_NM, ONE_M, stratum_N, boundary_N)
    alone = AlongTexts().aggregate(code_NM, ONE_M, stratum_N)

    assert (alone.alpha_N[5], alone.beta_N[5]) == (1, 1)
    # Variance of the log-odds: 1 / α + 1 / β = 2, as of Beta(1, 1).
    assert 1 / along.alpha_N[5] + 1 / along.beta_N[5] == pytest.approx(2)


def test_a_loop_that_began_with_version_1_ends_by_it():
    code_NM, stratum_N, boundary_N, keep_N = _draw(5, 20, together=0.15)
    patterns = count_patterns(code_NM, ONE_M, stratum_N, _told(keep_N, 300), boundary_N)
    old = Reliability().fit(patterns)

    learned = AlongTexts(version=1).fit(patterns)

    assert learned.data == old.data
    for rule in (AlongTexts(), AlongTexts(version=1)):
        assert isinstance(rule.load(json.loads(json.dumps(old.data))), ReliabilityFit)


@pytest.mark.parametrize("version", [0, 3, True, "2"])
def test_other_versions_are_refused(version):
    with pytest.raises(InvalidConfig, match="version"):
        AlongTexts(version=version)
