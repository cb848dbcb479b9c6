"""Which train documents a round labels, how it is cut up, what its students see of it.

N = train documents
"""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kompress.config import RecipeConfig, SelectionConfig
from kompress.selection.residuals import fill_average
from kompress.selection.sampling import (
    inclusion_probabilities,
    systematic_sample,
    training_weights,
    with_random_slice,
)
from kompress.types import FloatArray


class DrawnDocument(NamedTuple):
    """A train document that a round labels.

    Attributes:
        id: the document.
        in_slice: whether the random slice holds it.
        probability: π, the slice included.
    """

    id: int
    in_slice: bool
    probability: float


class Draw(NamedTuple):
    """The train documents of a round.

    Attributes:
        documents: in the order of the population.
        num_expected: Σπ over the population.
        num_random_slice: documents of the random slice.
    """

    documents: list[DrawnDocument]
    num_expected: float
    num_random_slice: int


def draw_documents(
    ids: Sequence[int],
    residuals: Mapping[int, float],
    influences: Mapping[int, float],
    config: SelectionConfig,
    seed: Sequence[int],
) -> Draw:
    """Draw train documents: adaptively, and a slice at random.

    A document's size is its residual times its influence: how wrong students are about
    it, and how much its label would change what they say.

    Args:
        ids: the N documents of the population.
        residuals: by document id, measured or predicted; others count as average.
        influences: likewise.
        config: how many, and how much the size decides.
        seed: of the loop, and the round's number.

    Source: design §9.
    """
    num_wanted = min(config.num_documents or len(ids), len(ids))
    own_N = inclusion_probabilities(
        fill_average(residuals, ids) * fill_average(influences, ids),
        num_wanted,
        uniform_share=config.uniform_share,
        gamma=config.gamma,
    )
    rng = np.random.default_rng([*seed, _number_of("select")])
    chosen = set(systematic_sample(own_N, rng).tolist())
    slice_N = rng.random(len(ids)) < config.random_slice
    pi_N = with_random_slice(own_N, config.random_slice)
    return Draw(
        documents=[
            DrawnDocument(document, bool(slice_N[n]), float(pi_N[n]))
            for n, document in enumerate(ids)
            if n in chosen or slice_N[n]
        ],
        num_expected=float(pi_N.sum()),
        num_random_slice=int(slice_N.sum()),
    )


def cut_shards(document_ids: Sequence[int], size: int) -> list[list[int]]:
    """Cut documents into shards of nearly equal size, at most `size` each."""
    ids = sorted(document_ids)
    num_shards = -(-len(ids) // size)
    bounds = [len(ids) * shard // num_shards for shard in range(num_shards + 1)]
    return [ids[start:end] for start, end in itertools.pairwise(bounds)]


def weigh_documents(
    probabilities: Sequence[float | None],
    num_expected: float,
    num_population: int,
    max_weight: float,
) -> FloatArray:
    """Weigh the documents that a student learns from by n/(N·π).

    Args:
        probabilities: π of each; None for gold, which weighs 1: no sampling decided
            on it.
        num_expected: n, Σπ over the round's population.
        num_population: N.
        max_weight: weights are clipped here.

    Returns:
        A weight each.
    """
    weights = training_weights(
        np.array([1.0 if pi is None else pi for pi in probabilities]),
        num_expected,
        max_weight,
        num_population=num_population,
    )
    return np.where([pi is None for pi in probabilities], 1.0, weights)


def share_of_budget(recipe: RecipeConfig, folds: int, *, is_main: bool) -> int | None:
    """Split the round's token budget by how much each student would see.

    A fold student sees (folds - 1) / folds of the texts in each of its epochs.

    Args:
        recipe: how long students train.
        folds: of the round; 0 for a main student alone.
        is_main: whether the main student's share is wanted, or one fold student's.

    Returns:
        Tokens; None where the recipe has no budget.
    """
    if recipe.max_train_tokens is None:
        return None
    one_fold = recipe.fold_epochs * (folds - 1) / folds if folds else 0.0
    whole = recipe.epochs + folds * one_fold
    own = recipe.epochs if is_main else one_fold
    return int(recipe.max_train_tokens * own / whole)


def _number_of(purpose: str) -> int:
    """Turn a purpose into a number for a seed sequence."""
    digest = hashlib.sha256(json.dumps(purpose).encode()).digest()
    return int.from_bytes(digest[:4], "big")
