from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from kompress.aggregation import make_aggregator
from kompress.aggregation.learned import Learner
from kompress.aggregation.patterns import count_patterns
from kompress.config import RoundConfig, parse_config
from kompress.decisions import Calibration
from kompress.errors import NotFitted
from kompress.labelling.consensus import (
    FittedConsensus,
    learned_of,
    learners,
    measured_beside,
    pool,
    pool_consensus,
    pool_unlearned,
    read_fitted,
    without_each,
)
from kompress.labelling.panel import make_panels, take_both
from kompress.types import DROP, KEEP, STRATA, Posterior, VoteRow
from tests.worker.learning import LEARNERS

JUDGE = {"name": "j", "kind": "teacher"}


@dataclass(frozen=True)
class Echo:
    """A learned rule that keeps what one voter would, and notes what it was given."""

    voter: int
    seen: list = field(default_factory=list)
    data: ClassVar[dict] = {}

    def aggregate(self, p_NM, strength, stratum_N, boundary_N=None):
        self.seen.append((np.array(p_NM), np.array(strength)))
        p_N = np.nan_to_num(p_NM[:, self.voter], nan=0.5)
        return Posterior(1 + p_N, 2 - p_N, np.zeros((len(STRATA), p_NM.shape[1])))


def config_of(rule, *, protocol="words", compare=("majority",), names=("a", "b", "c")):
    return parse_config(
        RoundConfig,
        {
            "voters": [{"name": n, "kind": "simulated"} for n in names],
            "protocol": protocol,
            "pairwise": {"judges": [JUDGE]},
            "aggregation": {"rule": rule, "compare": list(compare)},
        },
    )


def vote(voter, *codes, num_samples=1):
    return VoteRow(1, voter, 0, num_samples, np.array(codes, dtype=np.uint8))


def panels_of(names, votes, calibration=None, stratum=0):
    sizes = {t: rows[0].codes_N.size for t, rows in votes.items()}
    strata = {t: np.full(size, stratum, dtype=np.uint8) for t, size in sizes.items()}
    return make_panels(names, votes, strata, calibration or {})


VOTES = {1: [vote("a", 254, 0), vote("b", 0, 0), vote("c", 229, 25)]}
TEMPERED = {"c": Calibration(temperature=2.0, strength=3.0, num_words=9)}


def test_a_plain_rule_pools_calibrated_votes_and_a_learner_raw_ones():
    panels = panels_of("abc", VOTES, TEMPERED)
    echo = Echo(2)

    plain = pool(panels, make_aggregator("beta", {}))
    pool(panels, make_aggregator("beta", {}), echo)

    # σ(± ln 9 / 2) = .75 and .25, with three samples instead of one.
    ((p_NM, strength_NM),) = echo.seen
    np.testing.assert_allclose(p_NM[:, 2], [0.9, 0.1], rtol=1e-12)
    assert strength_NM[:, 2].tolist() == [1, 1]
    np.testing.assert_allclose(panels.calibrated.p_WM[:, 2], [0.75, 0.25], rtol=1e-12)
    assert panels.calibrated.strength_WM[:, 2].tolist() == [3, 3]
    # Word 2: (1 + .002·2 + 3·.25) / (2 + 5).
    assert plain.mean_N[1] == pytest.approx((1 + 2 * 0.5 / 255 + 0.75) / 7)


def test_the_rules_of_a_round_that_learn_are_found_by_their_label():
    name = LEARNERS[0]

    assert learners(config_of("beta")) == {}
    assert list(learners(config_of("beta", compare=(name, "majority")))) == [name]
    assert isinstance(learners(config_of(name))[name], Learner)


def test_beside_the_comparisons_rules_are_measured_on_the_words_alone():
    names = {
        protocol: measured_beside(config_of("beta", protocol=protocol))
        for protocol in ("words", "pairwise", "both")
    }

    assert names == {
        "words": ("a", "b", "c"),
        "pairwise": ("a", "b", "c"),
        "both": ("a", "b", "c", "pairwise"),
    }


@pytest.mark.parametrize("name", LEARNERS)
def test_what_was_learned_comes_back_with_the_same_bits(name):
    panels = panels_of("abc", VOTES)
    raw = panels.raw
    found = count_patterns(raw.p_WM, raw.strength_WM, raw.stratum_W, [KEEP, DROP])
    learned = learners(config_of(name))[name].fit(found)
    stored = {name: learned.data, f"{name}-without:a": learned.data, "other": {}}

    fits = read_fitted(config_of(name), stored, None).fits

    assert sorted(fits) == [name, f"{name}-without:a"]
    again = pool(panels, make_aggregator(name, {}), fits[name])
    once = pool(panels, make_aggregator(name, {}), learned)
    assert again.alpha_N.tobytes() == once.alpha_N.tobytes()
    assert again.beta_N.tobytes() == once.beta_N.tobytes()


def test_a_round_without_the_fit_that_it_needs_says_so():
    rule = make_aggregator(LEARNERS[0], {})

    with pytest.raises(NotFitted, match="has no fit"):
        learned_of(rule, LEARNERS[0], {})
    assert learned_of(make_aggregator("beta", {}), "beta", {}) is None


def test_before_anything_was_learned_a_plain_rule_stands_in():
    panel = panels_of("abc", VOTES).raw

    found = pool_unlearned(panel, config_of(LEARNERS[0]))

    beta = pool_unlearned(panel, config_of("beta"))
    majority = pool_unlearned(panel, config_of("majority"))
    assert found.alpha_N.tobytes() == beta.alpha_N.tobytes()
    assert majority.alpha_N.tobytes() != beta.alpha_N.tobytes()


def test_a_voter_is_judged_by_a_fit_that_never_saw_it():
    name = LEARNERS[0]
    # Without a, the fit follows b; without b it follows c, and so on.
    fits = {f"{name}-without:a": Echo(1), f"{name}-without:b": Echo(2)}
    fits[f"{name}-without:c"] = Echo(0)

    keep_WM, known_WM = without_each(
        panels_of("abc", VOTES), FittedConsensus(config_of(name), fits, {})
    )

    assert keep_WM.tolist() == [[False, True, True], [False, False, False]]
    assert known_WM.all()
    # Its own votes are not pooled either.
    ((p_NM, strength_NM),) = fits[f"{name}-without:b"].seen
    assert np.isnan(p_NM[:, 1]).all()
    assert strength_NM[:, 1].tolist() == [0, 0]


def test_a_stratum_that_fell_back_is_one_voters_and_others_are_judged_by_it():
    panels = panels_of("abc", VOTES, TEMPERED, stratum=2)
    config = config_of("majority")

    posterior = pool_consensus(panels, FittedConsensus(config, {}, {2: 2}))
    keep_WM, _ = without_each(panels, FittedConsensus(config, {}, {2: 2}))

    # c alone, as it is calibrated: Beta(1 + 3·.75, 1 + 3·.25).
    assert posterior.alpha_N[0] == pytest.approx(3.25)
    assert posterior.beta_N[0] == pytest.approx(1.75)
    # a and b are judged by c; c by the majority of a and b: a tie keeps word 1.
    assert keep_WM.tolist() == [[True, True, True], [False, False, False]]
    other_WM, _ = without_each(panels, FittedConsensus(config, {}, {2: 1}))
    assert other_WM.tolist() == [[False, True, False], [False, False, False]]
    plain = pool_consensus(panels, FittedConsensus(config, {}, {1: 2}))
    rule = make_aggregator("majority", {})
    assert plain.alpha_N.tobytes() == pool(panels, rule).alpha_N.tobytes()


def test_the_winning_reference_is_the_only_column_of_its_consensus():
    config = config_of("majority", protocol="pairwise")
    votes = {1: [*VOTES[1], vote("pairwise", 0, 254)]}
    panels = panels_of(config.panel(), votes)

    keep_WM, known_WM = without_each(panels, FittedConsensus(config, {}, {}))

    own = take_both(panels, ["pairwise"])
    assert own.raw.p_WM.shape == (2, 1)
    assert keep_WM[:, :3].tolist() == [[False] * 3, [True] * 3]
    assert known_WM[:, 3].tolist() == [False, False]


def test_a_word_without_votes_follows_its_line_where_texts_are_told():
    votes = {1: [vote("a", *[254] * 4, 255, *[254] * 4)]}
    votes[1].append(vote("b", *[254] * 4, 255, *[254] * 4))
    boundary_N = np.array([3] + [0] * 8, dtype=np.uint8)
    rule = make_aggregator("reliability", {})
    # Twenty texts of gold, one half kept whole and one dropped whole.
    code_N = np.repeat([0, 254] * 10, 9).astype(np.uint8)
    patterns = count_patterns(
        np.stack([code_N, code_N], axis=1),
        [1, 1],
        np.zeros(180, dtype=np.uint8),
        np.where(code_N > 0, KEEP, DROP),
        np.tile(boundary_N, 20),
    )

    learned = rule.fit(patterns)

    strata = {1: np.zeros(9, dtype=np.uint8)}
    told = make_panels("ab", votes, strata, {}, {1: boundary_N})
    untold = make_panels("ab", votes, strata, {})
    assert pool(told, rule, learned).mean_N[4] > 0.9
    assert pool(untold, rule, learned).mean_N[4] == 0.5
