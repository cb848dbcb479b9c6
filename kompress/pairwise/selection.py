"""Which reference wins, and how far that is from the best and from a simple choice.

I = candidates of one text, N = its words
"""

import numpy as np
from numpy.typing import NDArray

from kompress.types import ABSTAIN, KEEPS_FROM, BoolArray, CodeArray, FloatArray

# oracle: the best candidate, chosen by gold: what coverage allows;
# oracle_sound: the best of those that the verifier lets through;
# voted: the highest score, unverified; verified: the winner;
# random: any candidate, in the mean; majority: the words that half of them keep.
STRATEGIES = ("oracle", "oracle_sound", "voted", "verified", "random", "majority")


def choose_winner(
    quality_I: FloatArray, sound_I: BoolArray, num_kept_I: NDArray[np.int64]
) -> int | None:
    """Choose the sound candidate of the highest quality.

    Args:
        quality_I: (I,) quality, NaN for a candidate that nobody judged.
        sound_I: (I,) whether the verifier lets it win.
        num_kept_I: (I,) words that it keeps: of equal qualities the shorter one wins,
            then the earlier.

    Returns:
        The winner's place; None if no sound candidate was judged.

    Source: ours.
    """
    able = np.flatnonzero(np.asarray(sound_I, np.bool_) & ~np.isnan(quality_I))
    if not able.size:
        return None
    order = np.lexsort((able, num_kept_I[able], -quality_I[able]))
    return int(able[order[0]])


def majority_mask(keep_IN: BoolArray) -> BoolArray:
    """Keep the words that at least half of the candidates keep.

    Args:
        keep_IN: (I, N) masks, at least one.

    Source: the per-word majority; ties keep (design §1).
    """
    return np.asarray(2 * keep_IN.sum(axis=0) >= len(keep_IN), dtype=np.bool_)


def count_choices(
    keep_IN: BoolArray,
    quality_I: FloatArray,
    sound_I: BoolArray,
    gold_N: CodeArray,
) -> dict[str, FloatArray]:
    """Hold every way of choosing a reference against gold; never used to choose.

    Args:
        keep_IN: (I, N) masks, at least one.
        quality_I: (I,) quality, NaN where nobody judged.
        sound_I: (I,) what the verifier says.
        gold_N: (N,) codes of the truth, 255 unknown.

    Returns:
        By the names of `STRATEGIES`, (4,) words: kept and to keep, kept and to drop,
        dropped and to keep, known. `random` has the candidates' means. What cannot
        choose (nothing is sound, nothing was judged) is left out.

    Source: coverage against selection: Brown et al. 2024, arXiv 2407.21787; ours.
    """
    counts_I4 = _count_words(keep_IN, gold_N)
    f1_I = find_f1(counts_I4)
    num_kept_I = keep_IN.sum(axis=1)
    everything_I = np.ones(len(keep_IN), dtype=np.bool_)
    chosen = {
        "oracle": choose_winner(f1_I, everything_I, num_kept_I),
        "oracle_sound": choose_winner(f1_I, sound_I, num_kept_I),
        "voted": choose_winner(quality_I, everything_I, num_kept_I),
        "verified": choose_winner(quality_I, sound_I, num_kept_I),
    }
    found = {
        name: counts_I4[place] for name, place in chosen.items() if place is not None
    }
    found["random"] = counts_I4.mean(axis=0)
    found["majority"] = _count_words(majority_mask(keep_IN)[None], gold_N)[0]
    return found


def find_f1(counts_I4: FloatArray) -> FloatArray:
    """Give F1 of keep, 0 where there is nothing to find and nothing was kept.

    Args:
        counts_I4: (I, 4) rows as `count_choices` makes them.

    Source: design §1.
    """
    doubled_I = 2 * counts_I4[:, 0]
    whole_I = doubled_I + counts_I4[:, 1] + counts_I4[:, 2]
    return np.where(whole_I > 0, doubled_I / np.where(whole_I > 0, whole_I, 1), 0.0)


def _count_words(keep_IN: BoolArray, gold_N: CodeArray) -> FloatArray:
    """(I, 4) words: kept and to keep, kept and to drop, dropped and to keep, known."""
    known_N = gold_N != ABSTAIN
    truth_N = (gold_N >= KEEPS_FROM) & known_N
    return np.stack(
        [
            (keep_IN & truth_N).sum(axis=1),
            (keep_IN & ~truth_N & known_N).sum(axis=1),
            (~keep_IN & truth_N).sum(axis=1),
            np.full(len(keep_IN), known_N.sum()),
        ],
        axis=1,
    ).astype(np.float64)
