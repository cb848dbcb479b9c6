"""One run on random votes, pooled by us and by the libraries that others trust."""

from dataclasses import dataclass

import numpy as np
import pytest

from kompress.aggregation import AGGREGATORS
from kompress.aggregation.dawid_skene.em import fit
from kompress.aggregation.dawid_skene.rule import LearnedDawidSkene
from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.reliability.rule import Reliability
from kompress.aggregation.rules.plain import between_variance
from kompress.ensemble.agreement import krippendorff_alpha
from kompress.types import STRATA, BoolArray, FloatArray

# The toy set of crowd-kit's own tests: yes 1, no 0, voters w1 to w5 by tasks t1 to t5.
TOY_MN = np.array([
    [0, 1, 1, 1, 1],
    [1, 1, 0, 1, 0],
    [np.nan, 1, 0, 1, 0],
    [1, 0, 1, 1, 0],
    [0, 0, 0, 1, 0],
])  # fmt: skip
# t1 is tied. crowd-kit breaks a tie for "no", we for keep: so "no" is keep.
TOY_NM = 1 - TOY_MN.T
TOY_SKILLS = [0.6, 0.8, 1.0, 0.4, 0.8]  # docs/references.md

# crowd-kit 1.4.2 asks pandas 3 for what it is about to give up.
CROWD_KIT = pytest.mark.filterwarnings(
    "ignore:The (inplace|copy) keyword:pandas.errors.Pandas4Warning"
)


@dataclass(frozen=True)
class Run:
    """Random votes of five voters and what a classifier says of the same words."""

    truth_N: BoolArray
    p_NM: FloatArray
    strength_M: FloatArray
    classifier_N: FloatArray

    @property
    def size(self):
        return len(self.truth_N)

    @property
    def stratum_N(self):
        return np.zeros(self.size, int)

    @property
    def hard_NM(self):
        return np.where(np.isnan(self.p_NM), np.nan, self.p_NM >= 0.5)

    def posterior(self, name, p_NM=None):
        rule = AGGREGATORS[name]()
        votes_NM = self.p_NM if p_NM is None else p_NM
        return rule.aggregate(votes_NM, self.strength_M, self.stratum_N)

    def answers(self):
        """Hard votes as crowd-kit reads them: task, worker, label."""
        import pandas as pd

        task, worker = np.nonzero(~np.isnan(self.p_NM))
        label = self.hard_NM[task, worker].astype(int)
        return pd.DataFrame({"task": task, "worker": worker, "label": label})


def crowdlab(run, consensus_method):
    """Ask cleanlab about the hard votes and the classifier."""
    from cleanlab.multiannotator import get_label_quality_multiannotator

    return get_label_quality_multiannotator(
        run.hard_NM,
        np.column_stack([1 - run.classifier_N, run.classifier_N]),
        consensus_method=consensus_method,
        return_weights=True,
        verbose=False,
    )


@pytest.fixture(scope="module")
def run():
    """600 words; voters of five strengths and reliabilities; every fifth is silent."""
    rng = np.random.default_rng(20_260)
    size, accuracy_M = 600, np.array([0.92, 0.85, 0.78, 0.7, 0.6])
    truth_N = rng.random(size) < 0.45
    right_NM = rng.random((size, 5)) < accuracy_M
    keep_NM = right_NM == truth_N[:, None]
    sure_NM = rng.uniform(0.5, 1, (size, 5))
    p_NM = np.where(keep_NM, sure_NM, 1 - sure_NM)
    silent_NM = rng.random((size, 5)) < 0.2
    silent_NM[np.arange(size), rng.integers(0, 5, size)] = False
    p_NM[silent_NM] = np.nan
    told_N = (rng.random(size) < 0.75) == truth_N
    return Run(
        truth_N,
        p_NM,
        np.array([1.0, 5.0, 2.0, 9.0, 3.0]),
        np.where(told_N, 0.7, 0.3),
    )


# Their standard deviation under a negative tau2 may be that of no number.
@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt:RuntimeWarning")
@pytest.mark.slow  # statsmodels alone takes 3 s to import
def test_statsmodels_pools_to_the_same_means_and_variances(run):
    from statsmodels.stats.meta_analysis import combine_effects

    fixed, random = run.posterior("inverse_variance"), run.posterior("random_effects")
    some = 0
    for n in range(200):
        voted_M = ~np.isnan(run.p_NM[n])
        if voted_M.sum() < 2:
            continue
        kept_M = run.strength_M[voted_M]
        y_M = (1 + kept_M * run.p_NM[n, voted_M]) / (2 + kept_M)
        v_M = y_M * (1 - y_M) / (3 + kept_M)

        theirs = combine_effects(y_M, v_M, method_re="dl")
        ours = between_variance(
            y_M[:, None], 1 / v_M[:, None], np.ones((y_M.size, 1), dtype=np.bool_)
        )

        # They pool by a negative tau2 as well; we, as DerSimonian & Laird, cut it off,
        # which leaves the fixed effect.
        differ = theirs.tau2 > 0
        some += differ
        mean = theirs.mean_effect_re if differ else theirs.mean_effect_fe
        sd = theirs.sd_eff_w_re if differ else theirs.sd_eff_w_fe
        assert ours[0] == pytest.approx(max(theirs.tau2, 0), abs=1e-12)
        assert fixed.mean_N[n] == pytest.approx(theirs.mean_effect_fe, rel=1e-10)
        assert fixed.sd_N[n] == pytest.approx(theirs.sd_eff_w_fe, rel=1e-10)
        assert random.mean_N[n] == pytest.approx(mean, rel=1e-10)
        assert random.sd_N[n] == pytest.approx(sd, rel=1e-10)
    assert 20 < some < 180


@CROWD_KIT
@pytest.mark.slow
def test_crowd_kit_counts_the_same_majorities(run):
    from crowdkit.aggregation import MajorityVote

    theirs = MajorityVote().fit(run.answers())
    share_N = theirs.probas_[1].to_numpy()
    tied_N = share_N == 0.5

    majority = run.posterior("majority")
    uniform = run.posterior("uniform", run.hard_NM)

    # Beta(1 + K, 1 + D) without its prior is the share of keeps.
    for posterior in (majority, uniform):
        keep_N, drop_N = posterior.alpha_N - 1, posterior.beta_N - 1
        assert keep_N / (keep_N + drop_N) == pytest.approx(share_N, abs=1e-12)
    keep_N = majority.mean_N >= 0.5
    assert np.array_equal(keep_N[~tied_N], theirs.labels_[~tied_N] == 1)
    assert keep_N[tied_N].all()
    assert 10 < tied_N.sum() < 100


@CROWD_KIT
@pytest.mark.slow
def test_crowd_kit_finds_the_same_posteriors_by_dawid_skene(run):
    from crowdkit.aggregation import DawidSkene

    theirs = DawidSkene(n_iter=20, tol=-np.inf).fit(run.answers())
    counts_NMK = np.stack([run.hard_NM == 0, run.hard_NM == 1], axis=2).astype(int)

    # Their first iteration is the start that we do not count.
    ours = fit(counts_NMK, max_iter=20, tol=-np.inf)

    gap_NK = ours.posterior_NK - theirs.probas_[[0, 1]].to_numpy()
    assert np.abs(gap_NK).max() < 1e-9


@pytest.mark.parametrize("level", ["nominal", "interval"])
def test_krippendorff_finds_the_same_agreement(run, level):
    import krippendorff

    # Theirs needs memory for the square of the distinct values: P to two digits.
    value_NM = run.hard_NM if level == "nominal" else run.p_NM.round(2)

    theirs = krippendorff.alpha(value_NM.T, level_of_measurement=level)

    assert krippendorff_alpha(value_NM, level) == pytest.approx(theirs, abs=1e-10)


@pytest.mark.slow
def test_cleanlab_counts_the_same_agreement(run):
    words = crowdlab(run, "majority_vote")["label_quality"]

    majority = run.posterior("majority")

    share_N = (majority.alpha_N - 1) / (majority.alpha_N + majority.beta_N - 2)
    clear_N = share_N != 0.5  # they ask the classifier in a tie
    label_N = words["consensus_label"].to_numpy() == 1
    assert np.array_equal(majority.mean_N[clear_N] > 0.5, label_N[clear_N])
    agreement_N = words["annotator_agreement"].to_numpy()
    assert np.maximum(share_N, 1 - share_N) == pytest.approx(agreement_N, abs=1e-12)


@pytest.mark.slow
def test_cleanlab_orders_the_voters_alike(run):
    # CROWDLAB is another estimator: it has no figure that ours must equal. Both should
    # find which voter is how good: from .92 down to .6, in this order.
    weight_M = crowdlab(run, "best_quality")["annotator_weight"]

    learned = Reliability().fit(
        count_patterns(run.hard_NM, run.strength_M, run.stratum_N)
    )
    posterior = learned.aggregate(run.hard_NM, run.strength_M, run.stratum_N)
    without_M = [
        AGGREGATORS["majority"]().aggregate(
            np.delete(run.p_NM, m, axis=1), np.delete(run.strength_M, m), run.stratum_N
        )
        for m in range(5)
    ]
    others_NM = np.stack([own.mean_N >= 0.5 for own in without_M], axis=1)
    voted_NM = ~np.isnan(run.p_NM)
    agreed_M = ((run.hard_NM == others_NM) & voted_NM).sum(axis=0) / voted_NM.sum(
        axis=0
    )

    for quality_M in (weight_M, posterior.weight_SM[0], agreed_M):
        assert np.argsort(-quality_M).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_cleanlab_knows_no_more_words_from_the_same_votes(run):
    # The classifier is a sixth voter to us. On six seeds of this world reliability was
    # right on .923 to .953 of the words, CROWDLAB on .813 to .910, the majority on
    # .897 to .922: CROWDLAB believes a classifier of .75 too much that is not trained
    # on these votes. No outside figure says by how much it should be behind.
    words = crowdlab(run, "best_quality")["label_quality"]
    theirs = (words["consensus_label"].to_numpy() == 1) == run.truth_N
    six_NM = np.column_stack([run.hard_NM, run.classifier_N])

    right = {
        name: (
            AGGREGATORS[name]().aggregate(six_NM, np.ones(6), run.stratum_N).mean_N
            >= 0.5
        )
        == run.truth_N
        for name in ("majority", "reliability")
    }

    num_right = {name: right_N.sum() for name, right_N in right.items()}
    assert num_right["reliability"] > max(num_right["majority"], theirs.sum())


def test_the_toy_set_has_the_skills_of_crowd_kit():
    posterior = AGGREGATORS["majority"]().aggregate(
        TOY_NM, np.ones(5), np.zeros(5, int)
    )

    keep_N1 = (posterior.mean_N >= 0.5)[:, None]
    voted_NM = ~np.isnan(TOY_NM)
    agreed_M = ((keep_N1 == (TOY_NM == 1)) & voted_NM).sum(axis=0) / voted_NM.sum(
        axis=0
    )
    assert agreed_M == pytest.approx(TOY_SKILLS)


def test_the_toy_set_has_the_consistency_of_crowd_kit():
    # How sure the skills are of the majority: one coin a voter, even odds before it.
    # A skill of 1 would be certainty; a billionth off it moves no fifth digit.
    skill_M = np.minimum(TOY_SKILLS, 1 - 1e-9)
    coins = LearnedDawidSkene(np.full(len(STRATA), 0.5), skill_M, skill_M)

    mean_N = coins.aggregate(TOY_NM, np.ones(5), np.zeros(5, int)).mean_N

    majority_N = np.array([1, 0, 1, 0, 1]) == 1  # no yes no yes no
    consistency = np.where(majority_N, mean_N, 1 - mean_N).mean()
    assert consistency == pytest.approx(0.93846, abs=5e-6)


def test_the_toy_set_has_the_agreement_of_crowd_kit():
    assert krippendorff_alpha(TOY_NM) == pytest.approx(0.14219, abs=5e-6)


@CROWD_KIT
@pytest.mark.slow
def test_crowd_kit_says_the_same_of_the_toy_set_today():
    import pandas as pd
    from crowdkit.aggregation import MajorityVote
    from crowdkit.metrics.data import alpha_krippendorff, consistency

    worker, task = np.nonzero(~np.isnan(TOY_MN))
    label = np.where(TOY_MN[worker, task] == 1, "yes", "no")
    answers = pd.DataFrame({"worker": worker, "task": task, "label": label})

    assert consistency(answers) == pytest.approx(0.93846, abs=5e-6)
    assert alpha_krippendorff(answers) == pytest.approx(0.14219, abs=5e-6)
    assert MajorityVote().fit(answers).skills_.tolist() == pytest.approx(TOY_SKILLS)
