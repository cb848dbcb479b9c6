"""What a student learns from: the recipe's mix, laid out document by document.

No document is taught twice: one that several parts of the mix could take goes to the
part that is furthest from its share, without shares to the first.

N = words of one text
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kompress.config import MixPart, RecipeConfig, RoundConfig
from kompress.selection.mix import MixDocument, thin
from kompress.types import (
    ABSTAIN,
    KEEP,
    UNKNOWN,
    CodeArray,
    FloatArray,
    Label,
    VoteRow,
)

GOLD = "gold"
# The variance of Beta(1, 1): what is known of a word that nobody voted on.
UNIFORM_VARIANCE = 1 / 12
# Labels that several voters stand behind.
POSTERIORS = ("consensus", "self_label+teacher")


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """One document and what a student learns from it.

    Attributes:
        document_id: the document.
        text_id: its text.
        kind: its kind.
        group_id: its group.
        source: where its label comes from.
        probability: its π; None for gold, which no sampling decided on.
        target_N: (N,) P(keep).
        weight_N: (N,) how sure that is; None for 1 everywhere.
    """

    document_id: int
    text_id: int
    kind: str
    group_id: str
    source: str
    probability: float | None
    target_N: FloatArray
    weight_N: FloatArray | None


def mix_of(config: RoundConfig) -> tuple[MixPart, ...]:
    """Give the mix; without one, the round's label source on every document."""
    if config.recipe.mix:
        return config.recipe.mix
    return (MixPart(source=config.label_source),)


def describe_sources(config: RoundConfig) -> str:
    """Name what a student is trained on, in the order of the mix."""
    return ", ".join(dict.fromkeys(part.source for part in mix_of(config)))


def thin_examples(
    found: Sequence[Sequence[TrainingExample]],
    digests: Mapping[int, bytes],
    config: RoundConfig,
) -> list[TrainingExample]:
    """Thin the parts until their shares hold; the examples in the order of documents.

    Args:
        found: what each part of the mix could take.
        digests: sha256 by text id: decides who stays.
        config: the round's.
    """
    chosen = thin(
        [
            [MixDocument(x.document_id, x.kind, digests[x.text_id]) for x in part]
            for part in found
        ],
        mix_of(config),
        config.recipe.seed,
    )
    examples = [
        example
        for part, ids in zip(found, map(set, chosen), strict=True)
        for example in part
        if example.document_id in ids
    ]
    return sorted(examples, key=lambda example: example.document_id)


def once_each(found: Sequence[Sequence[TrainingExample]]) -> list[TrainingExample]:
    """Take every document once, by its first part, whatever the shares."""
    by_id: dict[int, TrainingExample] = {}
    for part in found:
        for example in part:
            by_id.setdefault(example.document_id, example)
    return [by_id[document_id] for document_id in sorted(by_id)]


def is_held_out(group_id: str, share: float) -> bool:
    """Tell whether a document group is held out, by hash: in every round the same."""
    digest = hashlib.sha256(f"held_out:{group_id}".encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()[:8], "big") < share * 2**64


def label_targets(
    label: Label, source: str, recipe: RecipeConfig
) -> tuple[FloatArray, FloatArray | None]:
    """Turn a label into (N,) targets and (N,) weights, None for 1 everywhere.

    Only a label of several voters has a posterior that is worth its digits; one that a
    single voter or student gave is its mask, whatever the recipe asks. Certainty is
    1 − sd² / (1/12), cut at 0 and 1: nothing for a word that nobody voted on (a uniform
    posterior), 1 where the posterior is a point. So a well-known .52 is a target as
    exact as .98; its mask is right 52 times in 100, so a mask counts |2·mean − 1| of
    that: how much oftener it is right than wrong.

    Source: soft targets and certainty: ours.
    """
    is_posterior = source in POSTERIORS
    soft = is_posterior and recipe.targets == "soft"
    target_N = (label.mean_N if soft else label.keep_N).astype(np.float64)
    if not (is_posterior and recipe.weigh_certainty):
        return target_N, None
    variance_N = label.sd_N.astype(np.float64) ** 2
    weight_N = np.clip(1 - variance_N / UNIFORM_VARIANCE, 0.0, 1.0)
    if not soft:
        weight_N *= np.abs(2 * label.mean_N.astype(np.float64) - 1)
    return target_N, weight_N


def gold_targets(codes_N: CodeArray) -> tuple[FloatArray, FloatArray]:
    """Turn gold into targets 1 and 0, and weights 0 where the truth is unknown."""
    known_N = codes_N != UNKNOWN
    return (codes_N == KEEP).astype(np.float64), known_N.astype(np.float64)


def first_voter(names: Sequence[str], rows: Sequence[VoteRow]) -> str | None:
    """Give the first voter, in the config's order, that said anything about a text."""
    heard = {row.voter for row in rows if (row.codes_N != ABSTAIN).any()}
    return next((name for name in names if name in heard), None)
