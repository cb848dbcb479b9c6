"""How `bench_budget` spends calls: uniformly, by need and gain, by ActiveLab.

D = documents, W = words of all documents, M = teachers, K = folds, C = cells
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from cleanlab.multiannotator import get_active_learning_scores
from numpy.typing import NDArray
from scipy.special import expit, logit

from benchmarks.budget_world import (
    NUM_REPLICATES,
    NUM_TEACHERS,
    Draw,
    train_student,
)
from kompress.ensemble.information import joint_information
from kompress.selection.budget import Allocation, VoterReliability, allocate
from kompress.selection.information_gain import (
    histogram_words,
    novelty,
)
from kompress.selection.residuals import ResidualModel, influence, measured_residual
from kompress.selection.sampling import (
    inclusion_probabilities,
    pooled_probability,
    systematic_sample,
    training_weights,
)
from kompress.selection.student_spread import StudentSpread
from kompress.types import STRATA, FloatArray

NUM_POOL, NUM_TEST, NUM_GOLD, NUM_AUDIT = 3_000, 600, 40, 40
NUM_FOLDS = 2  # as the farm's default
UNIFORM_SHARE, GAMMA, MAX_WEIGHT = 0.2, 1.0, 10.0  # the farm's defaults
SUREST = 0.95
# ActiveLab rates words; so many of a document stand for all of them.
WORDS_RATED = 6
M = NUM_TEACHERS


@dataclass(frozen=True, slots=True)
class Strategy:
    """What a strategy does about documents and about teachers.

    Attributes:
        documents: `uniform`, `residual` (π by residuals), `residual and influence` (π
            by their product, as the farm's) or `activelab` (lowest score first).
        teachers: `random`, `panel` (all of them on each document), `best` (by gold) or
            `gain` (expected information gain per dollar, replicates and second
            opinions included).
    """

    documents: str
    teachers: str


@dataclass(eq=False)
class Farm:
    """One run: the votes bought so far, and what they say.

    Documents 0 .. NUM_POOL - 1 can be asked about, then come the test, the calibration
    gold and the audit documents.
    """

    draw: Draw
    rng: np.random.Generator
    price_M: FloatArray
    log_odds_W: FloatArray = field(init=False)
    voted_DM: NDArray[np.int64] = field(init=False)
    pi_RD: list[FloatArray] = field(default_factory=list)
    num_calls: int = 0
    usd: float = 0.0

    def __post_init__(self) -> None:
        """Begin without votes: every word is a coin toss.

        A prior by stratum would pull single votes towards it, and a student trained on
        them would learn the prior: the uniform strategies would look worse.
        """
        self.log_odds_W = np.zeros(len(self.draw.cell_W))
        self.voted_DM = np.zeros((NUM_POOL, M), dtype=np.int64)

    @cached_property
    def gold(self) -> NDArray[np.int64]:
        """Documents whose truth is known."""
        return np.arange(NUM_GOLD) + NUM_POOL + NUM_TEST

    @cached_property
    def stratum_W(self) -> NDArray[np.int64]:
        """Strata of the words: some shapes share one."""
        return self.draw.shape_W % len(STRATA)

    @cached_property
    def features_DF(self) -> FloatArray:
        """What a document shows without being read: kind, length, shares of strata."""
        draw = self.draw
        rows = []
        for d in range(NUM_POOL):
            words = slice(draw.start_D[d], draw.start_D[d + 1])
            share_S = np.bincount(self.stratum_W[words], minlength=len(STRATA))
            kind_K = np.arange(draw.num_kinds) == draw.kind_D[d]
            size = share_S.sum()
            rows.append(np.concatenate([[np.log(size)], share_S / size, kind_K]))
        return np.stack(rows)

    @cached_property
    def reliability(self) -> VoterReliability:
        """Reliabilities and correlations, measured on calibration gold."""
        words = self.draw.words_of(self.gold)
        right_wV = self.draw.right_WMR[words].reshape(len(words), -1)
        rho_VV = np.corrcoef(right_wV.T)
        rho_MM = np.array(
            [[rho_VV[a * NUM_REPLICATES, b * NUM_REPLICATES + (a == b)]
              for b in range(M)] for a in range(M)]
        )  # fmt: skip
        rates = []
        for truth in (True, False):
            own_w = self.draw.truth_W[words] == truth
            rows = []
            for m in range(M):
                right_w = self.draw.right_WMR[words, m, 0]
                whole = (right_w[own_w].sum() + 1) / (own_w.sum() + 2)
                right_S = np.bincount(
                    self.stratum_W[words][own_w], right_w[own_w], len(STRATA)
                )
                all_S = np.bincount(self.stratum_W[words][own_w], minlength=len(STRATA))
                # Strata with little evidence borrow from the teacher's whole.
                rows.append((right_S + 20 * whole) / (all_S + 20))
            rates.append(np.stack(rows))
        return VoterReliability(
            sensitivity_MS=rates[0],
            specificity_MS=rates[1],
            correlation_MM=np.clip(rho_MM, 0, 1),
            max_replicates_M=np.full(M, NUM_REPLICATES),
        )

    @property
    def labelled(self) -> NDArray[np.int64]:
        """Documents with a vote."""
        return np.flatnonzero(self.voted_DM.any(axis=1))

    def means(self, words: slice | NDArray[np.int64]) -> FloatArray:
        """Posterior P(keep) of some words."""
        return np.asarray(expit(self.log_odds_W[words]))

    def ask(self, document: int, teacher: int) -> None:
        """Buy one vote and add its evidence, tempered by what was said before."""
        words = np.arange(self.draw.start_D[document], self.draw.start_D[document + 1])
        asked = self.voted_DM[document]
        keep_w = self.draw.vote(words, teacher, int(asked[teacher]))
        sens_w = self.reliability.sensitivity_MS[teacher, self.stratum_W[words]]
        spec_w = self.reliability.specificity_MS[teacher, self.stratum_W[words]]
        evidence_w = np.where(
            keep_w, np.log(sens_w / (1 - spec_w)), np.log((1 - sens_w) / spec_w)
        )
        new = novelty(self.reliability.correlation_MM, asked.tolist(), teacher)
        self.log_odds_W[words] += new * evidence_w
        self.voted_DM[document, teacher] += 1
        self.num_calls += 1
        self.usd += self.draw.teachers[teacher].usd

    def student(self, *, without: int | None = None) -> FloatArray:
        """Train on all labelled documents, or on those of the other folds."""
        documents = self.labelled
        if without is not None:
            documents = documents[documents % NUM_FOLDS != without]
        pi_D = pooled_probability(np.stack(self.pi_RD))
        weight_d = training_weights(
            pi_D[documents], float(pi_D.sum()), MAX_WEIGHT, num_population=NUM_POOL
        )
        words = self.draw.words_of(documents)
        size_d = np.diff(self.draw.start_D)[documents]
        weight_w = np.repeat(weight_d, size_d)
        cell_w = self.draw.cell_W[words]
        return train_student(
            np.bincount(cell_w, weight_w * self.means(words), self.draw.num_cells),
            np.bincount(cell_w, weight_w, self.draw.num_cells),
            self.draw.num_kinds,
        )

    def belief(self) -> FloatArray:
        """Give P(keep) of all words by the votes and by a student who saw none of them.

        The student only says where to ask, never what a label is.
        """
        if not len(self.labelled):
            return np.full(len(self.draw.cell_W), 0.5)
        score_W = self.student()[self.draw.cell_W]
        folds = [self.student(without=fold) for fold in range(NUM_FOLDS)]
        for d in self.labelled:
            words = slice(self.draw.start_D[d], self.draw.start_D[d + 1])
            score_W[words] = folds[d % NUM_FOLDS][self.draw.cell_W[words]]
        # A student of few documents is surer than it has reason to be.
        score_W = np.clip(score_W, 1 - SUREST, SUREST)
        return np.asarray(expit(logit(score_W) + self.log_odds_W))

    def histograms(
        self, documents: NDArray[np.int64], belief_W: FloatArray
    ) -> FloatArray:
        """Count documents' words by stratum and belief."""
        start_D = self.draw.start_D
        words = [slice(start_D[d], start_D[d + 1]) for d in documents]
        return np.stack(
            [histogram_words(belief_W[w], self.stratum_W[w]) for w in words]
        )

    def bargains(self, belief_W: FloatArray) -> FloatArray:
        """Give the bits per dollar of each teacher's vote on each new document."""
        document_W = np.repeat(
            np.arange(len(self.draw.kind_D)), np.diff(self.draw.start_D)
        )
        columns = []
        for m in range(M):
            gain_W = joint_information(
                belief_W,
                self.reliability.sensitivity_MS[[m]][:, self.stratum_W],
                self.reliability.specificity_MS[[m]][:, self.stratum_W],
                (1,),
            )
            columns.append(np.bincount(document_W, gain_W)[:NUM_POOL])
        return np.asarray(np.stack(columns, axis=1) / self.price_M)

    def needs(self) -> tuple[FloatArray, FloatArray]:
        """Measure residuals and influences with fold students, predict them for all."""
        folds = [self.student(without=fold) for fold in range(NUM_FOLDS)]
        audit = np.arange(NUM_AUDIT) + NUM_POOL + NUM_TEST + NUM_GOLD
        cell_w = self.draw.cell_W[self.draw.words_of(audit)]
        spread = StudentSpread.fit(np.stack([fold_C[cell_w] for fold_C in folds]))
        measured, taught = [], []
        for d in self.labelled:
            words = slice(self.draw.start_D[d], self.draw.start_D[d + 1])
            mean_w = self.means(words)
            # A Beta posterior with a prior of two votes.
            sd_w = np.sqrt(mean_w * (1 - mean_w) / (self.voted_DM[d].sum() + 3))
            unseen_w = folds[d % NUM_FOLDS][self.draw.cell_W[words]]
            seen_w = folds[(d + 1) % NUM_FOLDS][self.draw.cell_W[words]]
            variance_w = None if spread is None else spread.variance(unseen_w)
            measured.append(measured_residual(mean_w, sd_w, unseen_w, variance_w))
            taught.append(influence(seen_w, unseen_w))
        return self._predict(measured), self._predict(taught)

    def _predict(self, values: Sequence[float]) -> FloatArray:
        """Predict what was measured on labelled documents for all, against its mean."""
        value_N = np.array(values) / (np.mean(values) or 1.0)
        model = ResidualModel.fit(self.features_DF[self.labelled], value_N)
        return model.predict(self.features_DF)


def spend(farm: Farm, strategy: Strategy, budget: float, *, is_first: bool) -> None:
    """Spend one round's budget; the first round has nothing to aim by."""
    documents = "uniform" if is_first else strategy.documents
    if documents == "activelab":
        _spend_by_activelab(farm, int(budget))
    elif strategy.teachers == "gain":
        _spend_by_gain(farm, documents, budget)
    else:
        _spend_one_by_one(farm, documents, strategy.teachers, budget)


def _draw_new(farm: Farm, num_new: int, size_D: FloatArray) -> list[int]:
    """Choose documents that have no vote yet, by π; keep the round's π of all."""
    open_D = ~farm.voted_DM.any(axis=1)
    num_new = min(num_new, int(open_D.sum()))
    # π of what is labelled is what it would have had, so that rounds can be pooled.
    pi_D = inclusion_probabilities(
        size_D,
        round(num_new * NUM_POOL / open_D.sum()),
        uniform_share=UNIFORM_SHARE,
        gamma=GAMMA,
    )
    open_pi = inclusion_probabilities(
        size_D[open_D], num_new, uniform_share=UNIFORM_SHARE, gamma=GAMMA
    )
    pi_D[open_D] = open_pi
    farm.pi_RD.append(pi_D)
    chosen = np.flatnonzero(open_D)[systematic_sample(open_pi, farm.rng)]
    return [int(d) for d in chosen]


def _spend_one_by_one(farm: Farm, documents: str, teachers: str, budget: float) -> None:
    """Ask a fixed number of teachers about new documents."""
    size_D = np.ones(NUM_POOL)
    if documents != "uniform":
        need_D, taught_D = farm.needs()
        size_D = need_D if documents == "residual" else need_D * taught_D
    known = farm.reliability
    best = int((known.sensitivity_MS + known.specificity_MS).mean(axis=1).argmax())
    price = {
        "panel": farm.price_M.sum(),
        "best": farm.price_M[best],
    }.get(teachers, farm.price_M.mean())
    num_new = max(1, round(budget / price))
    for d in _draw_new(farm, num_new, size_D):
        if teachers == "panel":
            for m in range(M):
                farm.ask(d, m)
        else:
            farm.ask(d, best if teachers == "best" else int(farm.rng.integers(M)))


def _spend_by_gain(farm: Farm, documents: str, budget: float) -> None:
    """Let expected gain per dollar decide between new documents and second opinions.

    How many new ones is decided on a sample of them; which ones, by π alone: whoever is
    chosen gets at least one vote, so π stays what documents were labelled with.
    """
    need_D = np.ones(NUM_POOL)
    size_D = np.ones(NUM_POOL)
    belief_W = farm.belief()
    bargain_DM = farm.bargains(belief_W)
    if documents != "uniform":
        need_D, taught_D = farm.needs()
        size_D = need_D * taught_D
    done = farm.labelled
    size = len(farm.pi_RD)
    sample = _draw_new(farm, int(budget / farm.price_M.min()), size_D)
    del farm.pi_RD[size:]  # the sample only decides how many
    fresh = len(done)
    open_documents = np.concatenate([done, np.array(sample, dtype=np.int64)])
    plan = _allocate(farm, open_documents, belief_W, need_D, budget)
    num_new = len({c.document for c in plan.calls if c.document >= fresh})
    left = budget
    for d in _draw_new(farm, max(num_new, 1), size_D):
        teacher = int(bargain_DM[d].argmax())
        farm.ask(d, teacher)
        left -= float(farm.price_M[teacher])
    if left > 0:
        open_documents = farm.labelled
        for call in _allocate(farm, open_documents, farm.belief(), need_D, left).calls:
            farm.ask(int(open_documents[call.document]), call.voter)


def _spend_by_activelab(farm: Farm, budget: int) -> None:
    """Ask a random further teacher about the documents of the lowest ActiveLab scores.

    ActiveLab scores items with class labels: here words. A document's score is the mean
    over its first words, for documents without and with votes alike. Scores
    of labelled words use out-of-fold students. It draws greedily, without π, so its
    student is trained without weights.
    """
    draw, done = farm.draw, farm.labelled
    folds = [farm.student(without=fold) for fold in range(NUM_FOLDS)]
    whole_C = farm.student()
    first = np.stack([draw.start_D[:NUM_POOL] + n for n in range(WORDS_RATED)], axis=1)
    inside = first < draw.start_D[1 : NUM_POOL + 1, None]
    first = np.where(inside, first, draw.start_D[:NUM_POOL, None])
    p_DR = whole_C[draw.cell_W[first]]
    for d in done:
        p_DR[d] = folds[d % NUM_FOLDS][draw.cell_W[first[d]]]
    open_D = ~farm.voted_DM.any(axis=1)
    votes = np.full((len(done), WORDS_RATED, M), np.nan)
    for row, d in enumerate(done):
        for m in np.flatnonzero(farm.voted_DM[d]):
            votes[row, :, m] = draw.vote(first[d], int(m), 0)
    known_p, open_p = p_DR[done].ravel(), p_DR[open_D].ravel()
    known, unknown = get_active_learning_scores(
        votes.reshape(-1, M),
        np.stack([1 - known_p, known_p], axis=1),
        np.stack([1 - open_p, open_p], axis=1),
    )
    score_D = np.full(NUM_POOL, np.inf)
    score_D[done] = known.reshape(-1, WORDS_RATED).mean(axis=1)
    score_D[open_D] = unknown.reshape(-1, WORDS_RATED).mean(axis=1)
    score_D[farm.voted_DM.all(axis=1)] = np.inf
    for d in np.argsort(score_D, kind="stable")[:budget].tolist():
        farm.ask(d, int(farm.rng.choice(np.flatnonzero(farm.voted_DM[d] == 0))))
    farm.pi_RD.append(np.full(NUM_POOL, budget / NUM_POOL))


def _allocate(
    farm: Farm,
    documents: NDArray[np.int64],
    belief_W: FloatArray,
    need_D: FloatArray,
    budget: float,
) -> Allocation:
    return allocate(
        farm.histograms(documents, belief_W),
        farm.voted_DM[documents],
        farm.reliability,
        need_D=need_D[documents],
        price_DM=farm.price_M,
        budget=budget,
    )
