"""What a student learns from: the recipe's mix, laid out document by document.

No document is taught twice: one that several parts of the mix could take goes to the
part that is furthest from its share, without shares to the first. `gold` is calibration
gold of the pinned corpus' train split, whether or not the round selected the document:
it is known without asking. It is what was there when the round selected, so that all
students of a round learn from the same.

N = words of one text
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from db.queries import corpora, labels, selections, texts, votes
from db.queries.loops import RoundRow
from kompress.config import MixPart, RecipeConfig, RoundConfig
from kompress.errors import TrainingFailed
from kompress.selection.mix import MixDocument, thin
from kompress.types import ABSTAIN, KEEPS_FROM, CodeArray, FloatArray, Label, VoteRow
from worker.scope import load_known, pinned_evidence

GOLD = "gold"
# The variance of Beta(1, 1): what is known of a word that nobody voted on.
UNIFORM_VARIANCE = 1 / 12
# Labels that several voters stand behind.
POSTERIORS = ("consensus", "self_label+teacher")


@dataclass(frozen=True, slots=True)
class Lesson:
    """One document and what it teaches.

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


def parts_of(config: RoundConfig) -> tuple[MixPart, ...]:
    """Give the mix; without one, the round's label source on every document."""
    if config.recipe.mix:
        return config.recipe.mix
    return (MixPart(source=config.label_source),)


def describe_sources(config: RoundConfig) -> str:
    """Name what a student is trained on, in the order of the mix."""
    return ", ".join(dict.fromkeys(part.source for part in parts_of(config)))


def load_lessons(
    session: Session, held: RoundRow, config: RoundConfig
) -> list[list[Lesson]]:
    """Read every document that each part of the mix could take.

    Raises:
        TrainingFailed: a part has no document; says which and where to look.
    """
    rows = [
        row
        for row in selections.load_selections(session, held.id)
        if row.role == "train"
    ]
    found: list[list[Lesson]] = []
    for number, part in enumerate(parts_of(config), 1):
        if part.source == GOLD:
            every = _gold_lessons(session, held)
        else:
            every = _label_lessons(session, held, config, part, rows)
        own = [
            lesson for lesson in every if not part.kinds or lesson.kind in part.kinds
        ]
        if not own:
            raise TrainingFailed(_explain(number, part))
        found.append(own)
    return found


def choose_lessons(
    session: Session, found: Sequence[Sequence[Lesson]], config: RoundConfig
) -> list[Lesson]:
    """Thin the parts until their shares hold; the lessons in the order of documents."""
    wanted = {lesson.text_id for part in found for lesson in part}
    digests = texts.load_hashes(session, sorted(wanted))
    chosen = thin(
        [
            [MixDocument(x.document_id, x.kind, digests[x.text_id]) for x in part]
            for part in found
        ],
        parts_of(config),
        config.recipe.seed,
    )
    lessons = [
        lesson
        for part, ids in zip(found, map(set, chosen), strict=True)
        for lesson in part
        if lesson.document_id in ids
    ]
    return sorted(lessons, key=lambda lesson: lesson.document_id)


def first_lessons(found: Sequence[Sequence[Lesson]]) -> list[Lesson]:
    """Take every document once, by its first part, whatever the shares."""
    by_id: dict[int, Lesson] = {}
    for part in found:
        for lesson in part:
            by_id.setdefault(lesson.document_id, lesson)
    return [by_id[document_id] for document_id in sorted(by_id)]


def is_held_out(group_id: str, share: float) -> bool:
    """Tell whether a document group is held out, by hash: in every round the same."""
    digest = hashlib.sha256(f"held_out:{group_id}".encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()[:8], "big") < share * 2**64


def as_lesson(
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


def gold_lesson(codes_N: CodeArray) -> tuple[FloatArray, FloatArray]:
    """Turn gold into targets 1 and 0, and weights 0 where the truth is unknown."""
    known_N = codes_N != ABSTAIN
    target_N = np.where(known_N, codes_N >= KEEPS_FROM, 0).astype(np.float64)
    return target_N, known_N.astype(np.float64)


def first_voter(names: Sequence[str], rows: Sequence[VoteRow]) -> str | None:
    """Give the first voter, in the config's order, that said anything about a text."""
    heard = {row.voter for row in rows if (row.codes_N != ABSTAIN).any()}
    return next((name for name in names if name in heard), None)


def _gold_lessons(session: Session, held: RoundRow) -> list[Lesson]:
    documents = corpora.documents(
        session, held.corpus_id, held.corpus_seq, split="train"
    )
    text_ids = sorted(document.text_id for document in documents)
    runs = pinned_evidence(held).corpus_gold_runs or ()
    known = load_known(session, text_ids, runs)
    return [
        Lesson(
            document.id,
            document.text_id,
            document.kind,
            document.group_id,
            GOLD,
            None,
            *gold_lesson(known[document.text_id]),
        )
        for document in sorted(documents, key=lambda document: document.id)
        if document.text_id in known
    ]


def _label_lessons(
    session: Session,
    held: RoundRow,
    config: RoundConfig,
    part: MixPart,
    rows: Sequence[selections.SelectionRow],
) -> list[Lesson]:
    found: Mapping[int, Label] = labels.load_labels(session, held.id, part.source)
    mine = set(found)
    if part.voter:
        names = config.panel()
        cast = votes.load_round_votes(session, held.id, sorted(mine))
        mine = {n for n in cast if first_voter(names, cast[n]) == part.voter}
    return [
        Lesson(
            row.document_id,
            row.text_id,
            row.kind,
            row.group_id,
            part.source,
            row.probability,
            *as_lesson(found[row.text_id], part.source, config.recipe),
        )
        for row in rows
        if row.text_id in mine
    ]


def _explain(number: int, part: MixPart) -> str:
    if part.source == GOLD:
        return (
            f"part {number} of the mix is gold, and no train document had calibration "
            "gold when the round selected its documents; add some with `farm gold add` "
            "and start another loop, or leave the part out"
        )
    where = f" of kinds {', '.join(part.kinds)}" if part.kinds else ""
    where += f" by the voter {part.voter}" if part.voter else ""
    return (
        f"no label of source {part.source!r}{where} to train on; see `farm quality` "
        "for what was labelled and `farm job list` for what failed"
    )
