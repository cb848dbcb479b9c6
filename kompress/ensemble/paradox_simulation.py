"""Voters that are drawn: the published simulator, and words that try the closed forms.

The drawn voters' words go through the farm's own rule `k_of_n`, so that a closed form
and the rule cannot both be wrong in the same way.

N = words, M = voters, S = strata
"""

from dataclasses import dataclass

import numpy as np

from kompress.aggregation.rules.plain import KOfN
from kompress.ensemble.paradox import nested_recall, spread_recalls
from kompress.errors import InvalidConfig
from kompress.types import BoolArray, FloatArray

PUBLISHED_SEED = 42
PUBLISHED_STRATA = 10
PUBLISHED_SD = 0.1


@dataclass(frozen=True, slots=True)
class Simulation:
    """Voters' recalls by stratum, and what k-of-M over nested drops makes of them.

    Attributes:
        recall_SM: (S, M) in [0, 1].
        ensemble_S: (S,) the ensemble's recall: the k-th weakest voter's there.
        best_S: (S,) the best voter's.
    """

    recall_SM: FloatArray
    ensemble_S: FloatArray
    best_S: FloatArray

    @property
    def ensemble(self) -> float:
        """The ensemble's mean recall over strata."""
        return float(self.ensemble_S.mean())

    @property
    def best(self) -> float:
        """Mean over strata of the best voter's recall there."""
        return float(self.best_S.mean())


def published_simulation(
    num_voters: int,
    k: int,
    *,
    seed: int = PUBLISHED_SEED,
    num_strata: int = PUBLISHED_STRATA,
) -> Simulation:
    """Run the published simulator: floors of .3 to .9, noise of .1, nested drops.

    Args:
        num_voters: M, at least 1.
        k: drops needed, in 1..M.
        seed: of numpy's legacy generator, which the published figures come from.
        num_strata: S, at least 1.

    Raises:
        InvalidConfig: there is no voter or no stratum, or k is not in 1..M.

    Source: the published simulator, docs/references.md, "k-of-N drop voting"; (3, 1)
        gives .340 against .873.
    """
    if num_strata < 1:
        raise InvalidConfig(f"there are {num_strata} strata; expected at least 1")
    floor_M1 = spread_recalls(num_voters)[:, None]
    legacy = np.random.RandomState(seed)  # what the published figures came from
    noise_MS = legacy.normal(0, PUBLISHED_SD, (num_voters, num_strata))
    recall_SM = np.clip(floor_M1 + noise_MS, 0, 1).T
    return Simulation(
        recall_SM=recall_SM,
        ensemble_S=np.array([nested_recall(recall_M, k) for recall_M in recall_SM]),
        best_S=recall_SM.max(axis=1),
    )


def draw_nested(
    recall_M: FloatArray, num_words: int, rng: np.random.Generator
) -> BoolArray:
    """Draw which words to keep voters keep if a weaker one drops all a better one does.

    Args:
        recall_M: (M,) recalls in [0, 1].
        num_words: N.
        rng: where the draws come from.

    Returns:
        (N, M) flags: each word has one difficulty that all voters face.

    Source: ours.
    """
    kept_NM: BoolArray = rng.random((num_words, 1)) < np.asarray(recall_M)
    return kept_NM


def draw_independent(
    recall_M: FloatArray, num_words: int, rng: np.random.Generator
) -> BoolArray:
    """Draw which words to keep voters keep if they err independently.

    Args:
        recall_M: (M,) recalls in [0, 1].
        num_words: N.
        rng: where the draws come from.

    Returns:
        (N, M) flags.

    Source: ours.
    """
    recall_M = np.asarray(recall_M)
    kept_NM: BoolArray = rng.random((num_words, len(recall_M))) < recall_M
    return kept_NM


def draw_equicorrelated(
    recall: float,
    num_voters: int,
    correlation: float,
    num_words: int,
    rng: np.random.Generator,
) -> BoolArray:
    """Draw which words to keep equal voters keep if each two correlate equally.

    Each word's difficulty is a Beta draw; given it, voters are independent. Equal
    marginals and correlations alone leave the number of drops open: this is the
    beta-binomial's way.

    Args:
        recall: of each voter, inside (0, 1).
        num_voters: M.
        correlation: ρ, inside (0, 1).
        num_words: N.
        rng: where the draws come from.

    Returns:
        (N, M) flags.

    Source: Skellam 1948.
    """
    total = 1 / correlation - 1
    chance_N = rng.beta(recall * total, (1 - recall) * total, num_words)
    kept_NM: BoolArray = rng.random((num_words, num_voters)) < chance_N[:, None]
    return kept_NM


def recall_of(kept_NM: BoolArray, k: int) -> float:
    """Give the share of drawn words that the rule `k_of_n` keeps.

    Args:
        kept_NM: (N, M) which words to keep each voter keeps.
        k: drops needed, at least 1.

    Returns:
        A share in [0, 1].

    Raises:
        InvalidConfig: k is below 1.

    Source: `kompress.aggregation.rules.plain`.
    """
    num_words, num_voters = kept_NM.shape
    posterior = KOfN(k).aggregate(
        kept_NM.astype(np.float64),
        np.ones(num_voters),
        np.zeros(num_words, dtype=np.intp),
    )
    return float((posterior.mean_N >= 0.5).mean())
