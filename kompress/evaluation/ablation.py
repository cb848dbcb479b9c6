"""One student for each kind of label: does the ensemble's gain reach the student?

N = words of one text
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kompress.aggregation.learned import Learned
from kompress.config import AggregationConfig, RecipeConfig
from kompress.errors import InvalidText
from kompress.evaluation.baselines.voters import (
    NO_FITS,
    Clock,
    VoterPool,
    voter_baselines,
)
from kompress.types import FloatArray

if TYPE_CHECKING:
    from kompress.students import Student


@dataclass(frozen=True, slots=True)
class TextLabel:
    """One source's label of one text.

    Attributes:
        target_N: (N,) 1 to keep, 0 to drop.
        weight_N: (N,) 1, or 0 where the source abstained.
    """

    target_N: FloatArray
    weight_N: FloatArray


@dataclass(frozen=True, slots=True)
class Trained:
    """A student and the labels it learnt from.

    Attributes:
        source: name of the voter or rule.
        student: the student.
        num_tokens: tokens it was trained on.
        seconds: how long that took.
    """

    source: str
    student: "Student"
    num_tokens: int
    seconds: float


def labels_by_source(
    pool: VoterPool,
    rules: AggregationConfig,
    texts: Sequence[str],
    fits: Mapping[str, Learned] = NO_FITS,
) -> dict[str, list[TextLabel]]:
    """Label the same texts by each voter and each rule.

    Args:
        pool: the voters, with what they voted.
        rules: the round's rule, and those measured beside it.
        texts: the texts of the train split.
        fits: what rules have learned of these voters, by label.

    Returns:
        One label a text, by the name of its source; voters first.

    Source: design §1, `label`: kept at one half and above; words that a voter abstained
    on have no weight under its name.
    """
    matrix = pool.ask(texts)
    unvoted = {
        member.name: matrix.split(np.isnan(matrix.p_WM[:, column]))
        for column, member in enumerate(pool.members)
    }
    nobody = matrix.split(np.asarray(np.isnan(matrix.p_WM).all(axis=1)))
    found = {}
    for named in voter_baselines(pool, rules, fits):
        scores = named.baseline.score(texts)
        masks = named.baseline.keep(texts, scores, 0.0)
        silent = unvoted[named.name] if named.kind == "voter" else nobody
        found[named.name] = [
            TextLabel(keep_N.astype(np.float64), (~silent_N).astype(np.float64))
            for keep_N, silent_N in zip(masks, silent, strict=True)
        ]
    return found


def train_on_each(
    texts: Sequence[str],
    labels: Mapping[str, Sequence[TextLabel]],
    recipe: RecipeConfig,
    *,
    folder: Path,
    max_tokens: int,
    progress: Callable[[str, int, int], None],
    clock: Clock = time.perf_counter,
) -> Iterator[Trained]:
    """Train one student on each source's labels, all else equal.

    Every student starts from scratch with the recipe's seed, a tokenizer learnt on the
    same texts, the same texts in the same order, and the same number of tokens.

    Args:
        texts: the texts, none of which is evaluated on.
        labels: one label a text, by source; see `labels_by_source`.
        recipe: sizes, optimiser, epochs and seed; its parent and mix are not looked at.
        folder: where checkpoints are written, one folder a source.
        max_tokens: tokens that each student sees at most.
        progress: called with the source, the steps done and all steps.
        clock: seconds.

    Yields:
        Each student as soon as it is trained, in the order of `labels`.

    Raises:
        InvalidText: there are no texts, or no word of them has a label.
    """
    if not texts or not any(map(str.split, texts)):
        raise InvalidText(
            "no text with words to train on; expected documents of the train split "
            "that the round's voters voted on"
        )
    for number, (source, labelled) in enumerate(labels.items()):
        started = clock()
        student, num_tokens = _train_alone(
            list(zip(texts, labelled, strict=True)),
            recipe,
            folder=folder / f"source-{number}",
            max_tokens=max_tokens,
            progress=partial(progress, source),
        )
        yield Trained(source, student, num_tokens, clock() - started)


def _train_alone(
    texts: Sequence[tuple[str, TextLabel]],
    recipe: RecipeConfig,
    *,
    folder: Path,
    max_tokens: int,
    progress: Callable[[int, int], None],
) -> tuple["Student", int]:
    """Train one student from scratch; give it and the tokens it saw."""
    from kompress.students import load  # noqa: PLC0415  # loads torch
    from kompress.training import train  # noqa: PLC0415
    from kompress.training.texts import TrainText  # noqa: PLC0415

    result = train(
        [TrainText(text, label.target_N, label.weight_N) for text, label in texts],
        recipe.model_copy(update={"parent": "scratch", "mix": ()}),
        tokenizer_json=None,
        init=None,
        epochs=recipe.epochs,
        seed=recipe.seed,
        folder=folder,
        resume=None,
        progress=lambda step, num_steps, *_: progress(step, num_steps),
        max_tokens=max_tokens,
    )
    return load(result.folder), result.num_tokens


def share_retained(
    *,
    rule: float | None,
    best_voter: float | None,
    student_on_rule: float | None,
    student_on_best_voter: float | None,
) -> float | None:
    """Give the share of an ensemble's gain that survives in a student.

    The gain of a rule over the round's best voter is the difference of their quality
    on gold, and what a student keeps of it is the same difference between the student
    trained on the rule's labels and the one trained on that voter's:

        (student_on_rule - student_on_best_voter) / (rule - best_voter)

    1: all of the gain arrived; 0: the student could as well have learnt from the best
    voter; below 0: it had better. Undefined where the rule gains nothing.

    Args:
        rule: the rule's quality on gold, for example F1 on `planted`.
        best_voter: the best voter's, on the same words.
        student_on_rule: of the student trained on the rule's labels.
        student_on_best_voter: of the student trained on the best voter's labels.

    Returns:
        The share, None where the rule's gain is not above 0 or a figure is missing.
    """
    if rule is None or best_voter is None or rule <= best_voter:
        return None
    if student_on_rule is None or student_on_best_voter is None:
        return None
    return (student_on_rule - student_on_best_voter) / (rule - best_voter)
