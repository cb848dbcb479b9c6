"""Worlds of documents, teachers and a student for `bench_budget`; truth is known.

D = documents, W = their words, C = cells (kind x shape x place), M = teachers
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from kompress.types import BoolArray, FloatArray

# A word's shape (a number, a path, a stop word …) and its place in the line.
NUM_SHAPES, NUM_PLACES = 24, 4
# The student's Gaussian prior: as strong as one word whose label is a coin toss is
# informative (1 / 4), on each level.
_PENALTY = 0.25


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of document.

    Attributes:
        share: of all documents.
        num_words: mean length.
        shapes: how many shapes make up nearly all of its words.
        own_rules: deviation of its keep rules from those that all kinds share, in
            log-odds by shape and by place; 0: nothing to learn beyond the others.
        doubt: share of its words whose truth is a coin toss.
    """

    share: float
    num_words: int
    shapes: int
    own_rules: float
    doubt: float = 0.0


# What agents' tools print, by our guess before any run: much repetitive output that
# follows one rule, and a fifth of documents, longer ones, with rules of their own.
TOOL_OUTPUT = {
    "log": Kind(0.34, 40, 6, 0.0),
    "listing": Kind(0.20, 30, 4, 0.0),
    "test": Kind(0.14, 40, 8, 0.0),
    "search": Kind(0.10, 30, 8, 0.0),
    "json": Kind(0.09, 60, 12, 3.0),
    "diff": Kind(0.06, 60, 16, 3.0),
    "trace": Kind(0.04, 60, 16, 3.0),
    "config": Kind(0.03, 40, 16, 3.0),
}
# Eight kinds, equally common, long and hard: there is nothing to aim at.
HOMOGENEOUS = {f"kind {k}": Kind(0.125, 40, 16, 3.0) for k in range(8)}
# As the first, but the two rarest kinds cannot be learned: half of their words' truth
# is a coin toss, and residuals stay large whatever is spent on them.
DOUBTFUL = TOOL_OUTPUT | {
    "trace": Kind(0.04, 60, 16, 3.0, doubt=0.5),
    "config": Kind(0.03, 40, 16, 3.0, doubt=0.5),
}


@dataclass(frozen=True, slots=True)
class Teacher:
    """A simulated teacher: right with this probability, at this price a document."""

    name: str
    accuracy: float
    usd: float


TEACHERS = (
    Teacher("small", 0.80, 0.001),
    Teacher("medium", 0.87, 0.003),
    Teacher("large", 0.93, 0.010),
)
EQUALS = tuple(Teacher(name, 0.87, 0.003) for name in ("first", "second", "third"))
NUM_TEACHERS = 3
# A world: its kinds and its teachers.
WORLDS = {
    "tool output": (TOOL_OUTPUT, TEACHERS),
    "doubtful kinds": (DOUBTFUL, TEACHERS),
    "homogeneous": (HOMOGENEOUS, EQUALS),
}
# Share of words on which teachers share their luck, and on which one teacher asked
# twice does.
SHARED, REPEATED = 0.15, 0.6
NUM_REPLICATES = 2


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """One draw of a world.

    Attributes:
        teachers: who can be asked.
        kind_D: (D,) kinds.
        start_D: (D + 1,) where each document's words begin.
        cell_W: (W,) kind x shape x place of each word.
        truth_W: (W,) whether it is to be kept.
        right_WMR: (W, M, R) whether a teacher's vote is right, by replicate.
        num_kinds: how many kinds there are.
    """

    teachers: tuple[Teacher, ...]
    kind_D: NDArray[np.int64]
    start_D: NDArray[np.int64]
    cell_W: NDArray[np.int64]
    truth_W: BoolArray
    right_WMR: BoolArray
    num_kinds: int

    @property
    def num_cells(self) -> int:
        """C."""
        return self.num_kinds * NUM_SHAPES * NUM_PLACES

    @property
    def shape_W(self) -> NDArray[np.int64]:
        """(W,) shapes of the words, which stand for strata."""
        return self.cell_W // NUM_PLACES % NUM_SHAPES

    def words_of(self, documents: NDArray[np.int64]) -> NDArray[np.int64]:
        """List the words of some documents, one document after the other."""
        parts = [np.arange(self.start_D[d], self.start_D[d + 1]) for d in documents]
        return np.concatenate([np.zeros(0, dtype=np.int64), *parts])

    def vote(self, words: NDArray[np.int64], teacher: int, replicate: int) -> BoolArray:
        """Ask a teacher."""
        right_w = self.right_WMR[words, teacher, replicate]
        return np.where(right_w, self.truth_W[words], ~self.truth_W[words])


def draw_world(name: str, seed: int, num_documents: int) -> Draw:
    """Draw documents, truths and all votes that teachers could give."""
    kinds, teachers = WORLDS[name]
    rng = np.random.default_rng([seed, 5])
    rows = list(kinds.values())
    # Rules: a shape is kept or dropped for good; hard kinds differ by shape and place.
    common_S = rng.choice([-3.0, 3.0], NUM_SHAPES)
    scale_K = np.array([row.own_rules for row in rows])
    own_KS = rng.normal(size=(len(rows), NUM_SHAPES)) * scale_K[:, None]
    place_KSP = rng.normal(size=(len(rows), NUM_SHAPES, NUM_PLACES))
    logit_KSP = (common_S + own_KS)[:, :, None] + place_KSP * scale_K[:, None, None]
    # A kind's shapes: Zipf over a random order, cut after `shapes`.
    weight_KS = np.zeros((len(rows), NUM_SHAPES))
    for k, row in enumerate(rows):
        order = rng.permutation(NUM_SHAPES)[: row.shapes]
        weight_KS[k, order] = 1 / np.arange(1, row.shapes + 1)
    weight_KS /= weight_KS.sum(axis=1, keepdims=True)
    kind_D = rng.choice(len(rows), num_documents, p=[row.share for row in rows])
    size_D = 5 + rng.poisson(np.array([row.num_words for row in rows])[kind_D] - 5)
    start_D = np.concatenate([[0], np.cumsum(size_D)])
    kind_W = np.repeat(kind_D, size_D)
    chance_W = rng.random(len(kind_W))
    shape_W = (np.cumsum(weight_KS, axis=1)[kind_W] < chance_W[:, None]).sum(axis=1)
    shape_W = np.minimum(shape_W, NUM_SHAPES - 1)
    place_W = rng.integers(NUM_PLACES, size=len(kind_W))
    p_W = expit(logit_KSP[kind_W, shape_W, place_W])
    doubt_W = np.array([row.doubt for row in rows])[kind_W]
    p_W = np.where(rng.random(len(kind_W)) < doubt_W, 0.5, p_W)
    return Draw(
        teachers=teachers,
        kind_D=kind_D,
        start_D=start_D,
        cell_W=(kind_W * NUM_SHAPES + shape_W) * NUM_PLACES + place_W,
        truth_W=rng.random(len(kind_W)) < p_W,
        right_WMR=_draw_luck(len(kind_W), teachers, rng),
        num_kinds=len(rows),
    )


def _draw_luck(
    num_words: int, teachers: tuple[Teacher, ...], rng: np.random.Generator
) -> BoolArray:
    """Mix luck of the word, of the teacher on it, and of the vote."""
    shape = (num_words, len(teachers), NUM_REPLICATES)
    luck_WMR = rng.random(shape)
    of_teacher_WM = rng.random(shape[:2])
    repeated_WM = rng.random(shape[:2]) < REPEATED
    luck_WMR = np.where(repeated_WM[..., None], of_teacher_WM[..., None], luck_WMR)
    shared_W = rng.random(num_words) < SHARED
    of_word_W = rng.random(num_words)
    luck_WMR = np.where(shared_W[:, None, None], of_word_W[:, None, None], luck_WMR)
    accuracy_M = np.array([teacher.accuracy for teacher in teachers])
    return luck_WMR < accuracy_M[None, :, None]


def train_student(
    keep_C: FloatArray, weight_C: FloatArray, num_kinds: int
) -> FloatArray:
    """Fit the student: a logistic regression, not a neural network.

    Log-odds of a word are those of its shape + (kind, shape) + (kind, shape, place),
    each with a Gaussian prior, so that kinds share what they have in common. All its
    features are discrete: sums over cells are all that the words say.

    Args:
        keep_C: (C,) weighted sum of label means.
        weight_C: (C,) sum of weights.
        num_kinds: K.

    Returns:
        (C,) P(keep).
    """
    shape = (num_kinds, NUM_SHAPES, NUM_PLACES)
    keep, weight = keep_C.reshape(shape), weight_C.reshape(shape)
    ends = np.cumsum([NUM_SHAPES, num_kinds * NUM_SHAPES])

    def logit_of(params: FloatArray) -> FloatArray:
        common, own, place = np.split(params, ends)
        total: FloatArray = (
            common[None, :, None]
            + own.reshape(shape[:2])[:, :, None]
            + place.reshape(shape)
        )
        return total

    def loss(params: FloatArray) -> tuple[float, FloatArray]:
        logit = logit_of(params)
        value = (weight * np.logaddexp(0, logit) - keep * logit).sum()
        slope = weight * expit(logit) - keep
        parts = (slope.sum(axis=(0, 2)), slope.sum(axis=2), slope)
        gradient = np.concatenate([np.ravel(part) for part in parts])
        value += 0.5 * _PENALTY * (params**2).sum()
        return float(value), gradient + _PENALTY * params

    start = np.zeros(NUM_SHAPES + int(np.prod(shape[:2])) + int(np.prod(shape)))
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 60, "gtol": 1e-2}
    )
    return np.asarray(expit(logit_of(found.x)).ravel(), dtype=np.float64)


def f1(score_W: FloatArray, truth_W: BoolArray) -> float:
    """Give micro-F1 of keep."""
    keep_W = score_W >= 0.5
    both = int((keep_W & truth_W).sum())
    return 2 * both / max(int(keep_W.sum()) + int(truth_W.sum()), 1)
