"""Read what a student could learn from; what it does: `labelling.training_examples`.

`gold` is calibration gold of the pinned corpus' train split, whether or not the round
selected the document: it is known without asking. It is what was there when the round
selected, so that all students of a round learn from the same.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from db.queries import corpora, labels, selections, texts, votes
from db.queries.loops import RoundRow
from kompress.config import MixPart, RoundConfig
from kompress.errors import TrainingFailed
from kompress.labelling.training_examples import (
    GOLD,
    TrainingExample,
    first_voter,
    gold_targets,
    label_targets,
    mix_of,
    thin_examples,
)
from kompress.types import Label
from worker.evidence import load_known, pinned_evidence


def load_examples(
    session: Session, held: RoundRow, config: RoundConfig
) -> list[list[TrainingExample]]:
    """Read every document that each part of the mix could take.

    Raises:
        TrainingFailed: a part has no document; says which and where to look.
    """
    rows = [
        row
        for row in selections.load_selections(session, held.id)
        if row.role == "train"
    ]
    found: list[list[TrainingExample]] = []
    for number, part in enumerate(mix_of(config), 1):
        if part.source == GOLD:
            every = _load_gold(session, held)
        else:
            every = _load_labels(session, held, config, part, rows)
        own = [
            example for example in every if not part.kinds or example.kind in part.kinds
        ]
        if not own:
            raise TrainingFailed(_explain(number, part))
        found.append(own)
    return found


def choose_examples(
    session: Session, found: Sequence[Sequence[TrainingExample]], config: RoundConfig
) -> list[TrainingExample]:
    """Thin the parts until their shares hold; see `thin_examples`."""
    wanted = {example.text_id for part in found for example in part}
    return thin_examples(found, texts.load_hashes(session, sorted(wanted)), config)


def _load_gold(session: Session, held: RoundRow) -> list[TrainingExample]:
    documents = corpora.documents(
        session, held.corpus_id, held.corpus_seq, split="train"
    )
    text_ids = sorted(document.text_id for document in documents)
    runs = pinned_evidence(held).corpus_gold_runs or ()
    known = load_known(session, text_ids, runs, held.id)
    return [
        TrainingExample(
            document.id,
            document.text_id,
            document.kind,
            document.group_id,
            GOLD,
            None,
            *gold_targets(known[document.text_id]),
        )
        for document in sorted(documents, key=lambda document: document.id)
        if document.text_id in known
    ]


def _load_labels(
    session: Session,
    held: RoundRow,
    config: RoundConfig,
    part: MixPart,
    rows: Sequence[selections.SelectionRow],
) -> list[TrainingExample]:
    found: Mapping[int, Label] = labels.load_labels(session, held.id, part.source)
    mine = set(found)
    if part.voter:
        names = config.panel()
        cast = votes.load_round_votes(session, held.id, sorted(mine))
        mine = {n for n in cast if first_voter(names, cast[n]) == part.voter}
    return [
        TrainingExample(
            row.document_id,
            row.text_id,
            row.kind,
            row.group_id,
            part.source,
            row.probability,
            *label_targets(found[row.text_id], part.source, config.recipe),
        )
        for row in rows
        if row.text_id in mine
    ]


def _explain(number: int, part: MixPart) -> str:
    if part.source == GOLD:
        return (
            f"part {number} of the mix is gold, and no train document had calibration "
            "gold when the round selected its documents; add some and start another "
            "loop, or leave the part out"
        )
    where = f" of kinds {', '.join(part.kinds)}" if part.kinds else ""
    where += f" by the voter {part.voter}" if part.voter else ""
    return (
        f"no label of source {part.source!r}{where} to train on; see what was "
        "labelled, and which jobs failed"
    )
