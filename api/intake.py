"""Take documents into a corpus: strata, near-duplicates, split, gold, references.

What one needs to know about a text is computed once, here, before a transaction is
open. A batch is one transaction, so what was stored before a fault stays stored, and
sending the same documents again adds nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np
from sqlalchemy.orm import Session, sessionmaker

from api.names import check_name
from db.errors import Conflict
from db.queries import candidates, corpora, gold, intake, texts
from db.queries.corpora import NewDocument
from db.queries.intake import StoredDocument
from db.queries.texts import NewText
from kompress.corpora.generators import generate
from kompress.corpora.lines import BadLine
from kompress.corpora.near_duplicates import (
    MAX_COMPARED,
    HashArray,
    MinHasher,
    jaccard,
    shingles,
)
from kompress.corpora.readers import load_sample
from kompress.corpora.splits import assign_gold_use, assign_split
from kompress.errors import InvalidText
from kompress.must_keep import RULE_VERSIONS, classify_texts
from kompress.types import STRATA, Document
from kompress.words import WORD_VERSION, count_giant, word_list

BATCH_DOCUMENTS = 500
# Whichever comes first ends a batch: with texts of 8 MB, 500 of them would fill memory.
BATCH_CHARS = 4_000_000
# A file of another format has only bad lines; the first ones tell which it is.
MAX_BAD_SHOWN = 1_000
GIANT = "giant"
MIN_GIANT_SHARE = 0.05
NEAR_DUPLICATE = 0.8  # Jaccard similarity of 3-word shingles


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of an upload.

    Attributes:
        added: documents that are new in the corpus.
        duplicates: documents whose text it held already, or that came twice.
        num_bad: lines that are no document.
        num_moved: documents laid into their group's split, not the one they stated.
        bad: the first `MAX_BAD_SHOWN` bad lines.
        num_references: references that are new; a text has one of each origin and
            replicate, the first that came.
        giant: the kinds of which a twentieth or more of the characters lies in words of
            over 64, and what share does.
    """

    added: int
    duplicates: int
    num_bad: int
    num_moved: int
    bad: tuple[BadLine, ...]
    num_references: int = 0
    giant: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Item:
    """A document with what its text says by itself."""

    document: Document
    new_text: NewText
    band_keys: list[int]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a document goes."""

    group_id: str
    split: str


def ingest(
    sessions: sessionmaker[Session],
    corpus_name: str,
    documents: Iterable[Document | BadLine],
    *,
    batch: int = BATCH_DOCUMENTS,
) -> IngestReport:
    """Store documents in a corpus, which is made if there is none of that name.

    Memory is that of one batch, whatever the number of documents. A document without
    a group joins the group of a near-duplicate that came before it, else it is a group
    of its own. A group lies in one split: the first document's stated one, else a
    hash of the group's name decides.

    Args:
        sessions: each batch is a transaction of its own.
        corpus_name: the corpus.
        documents: what to store, with the lines that could not be read.
        batch: most documents of a transaction, at least 1.

    Raises:
        InvalidRequest: the corpus' name holds other characters than a URL takes.
        InvalidText: gold does not have one code for each word; its batch and later
            ones are not stored.
    """
    check_name("corpus", corpus_name)
    hasher = MinHasher()
    added = duplicates = num_moved = num_bad = num_references = 0
    bad: list[BadLine] = []
    chars: Counter[tuple[str, str]] = Counter()
    for lines in _batches(documents, batch):
        found = [line for line in lines if isinstance(line, BadLine)]
        num_bad += len(found)
        bad += found[: MAX_BAD_SHOWN - len(bad)]
        given = [line for line in lines if isinstance(line, Document)]
        if not given:
            continue
        for document in given:
            giant, whole = count_giant(document.text)
            chars.update({(document.kind, GIANT): giant, (document.kind, ""): whole})
        new, moved, references = _ingest_batch(sessions, corpus_name, given, hasher)
        added += new
        num_references += references
        num_moved += moved
        duplicates += len(given) - new
    return IngestReport(
        added, duplicates, num_bad, num_moved, tuple(bad), num_references, _giant(chars)
    )


def _giant(chars: Counter[tuple[str, str]]) -> dict[str, float]:
    """Name the kinds whose characters lie in giant words, by falling share."""
    shares = {
        kind: chars[kind, GIANT] / max(1, whole)
        for (kind, part), whole in chars.items()
        if not part
    }
    worth = {kind: share for kind, share in shares.items() if share >= MIN_GIANT_SHARE}
    return dict(sorted(worth.items(), key=lambda item: -item[1]))


def ingest_sample(
    sessions: sessionmaker[Session], corpus_name: str, *, generated: int, seed: int
) -> IngestReport:
    """Store the documents that come with the farm in a corpus, and generated ones.

    Args:
        sessions: each batch is a transaction of its own.
        corpus_name: the corpus, made if there is none of that name.
        generated: how many documents with planted facts to generate.
        seed: of the generated ones.
    """
    documents = [*load_sample(), *generate(generated, seed)]
    return ingest(sessions, corpus_name, documents)


def _batches(
    documents: Iterable[Document | BadLine], size: int
) -> Iterator[list[Document | BadLine]]:
    """Cut a stream by count and by characters."""
    batch: list[Document | BadLine] = []
    num_chars = 0
    for line in documents:
        batch.append(line)
        num_chars += len(line.text) if isinstance(line, Document) else 0
        if len(batch) >= size or num_chars >= BATCH_CHARS:
            yield batch
            batch, num_chars = [], 0
    if batch:
        yield batch


def _distinct(documents: Sequence[Document]) -> dict[bytes, Document]:
    """Key documents by their text's hash; of equal texts the first stays."""
    distinct: dict[bytes, Document] = {}
    for document in documents:
        _check_gold(document)
        digest = sha256(document.text.encode()).digest()
        first = distinct.setdefault(digest, document)
        if first is not document and document.candidates:
            merged = first.candidates + document.candidates
            distinct[digest] = replace(first, candidates=merged)
    return distinct


def _ingest_batch(
    sessions: sessionmaker[Session],
    corpus_name: str,
    given: Sequence[Document],
    hasher: MinHasher,
) -> tuple[int, int, int]:
    """Store one batch; how many are new, moved to another split, new references."""
    distinct = _distinct(given)
    with sessions() as session:
        stored = _find_stored(session, corpus_name, distinct)
    items = _prepare(
        {d: document for d, document in distinct.items() if d not in stored}, hasher
    )
    with sessions.begin() as session:
        return _store(session, corpus_name, distinct, items)


def _find_stored(
    session: Session, corpus_name: str, documents: dict[bytes, Document]
) -> dict[bytes, StoredDocument]:
    """Look up what need not be prepared: a repeated upload costs its reading alone."""
    corpus_id = intake.find_corpus(session, corpus_name)
    if corpus_id is None:
        return {}
    return intake.stored_documents(session, corpus_id, list(documents))


def _prepare(documents: dict[bytes, Document], hasher: MinHasher) -> dict[bytes, _Item]:
    """Compute what needs no database."""
    contents = [document.text for document in documents.values()]
    codes = {rule_set: classify_texts(contents, rule_set) for rule_set in RULE_VERSIONS}
    items = {}
    for number, (digest, document) in enumerate(documents.items()):
        strata = {}
        for rule_set, version in RULE_VERSIONS.items():
            codes_N = codes[rule_set][number]
            counts = np.bincount(codes_N, minlength=len(STRATA)).tolist()
            strata[rule_set] = (
                version,
                WORD_VERSION,
                codes_N.tobytes(),
                counts,
                sum(counts[1:]),
            )
        num_words = len(codes["farm"][number])
        items[digest] = _Item(
            document=document,
            new_text=NewText(document.text, digest, num_words, strata),
            band_keys=hasher.band_keys(document.text),
        )
    return items


def _check_gold(document: Document) -> None:
    if document.gold is None:
        return
    num_codes, num_words = len(document.gold.codes_N), len(word_list(document.text))
    if num_codes != num_words:
        raise InvalidText(
            f"the gold of document {document.external_id!r} has {num_codes} codes, its "
            f"text {num_words} words; make one code for each word of `text.split()`"
        )


def _store(
    session: Session,
    corpus_name: str,
    documents: dict[bytes, Document],
    items: dict[bytes, _Item],
) -> tuple[int, int, int]:
    """Store a prepared batch; counts as `_ingest_batch`."""
    # Held to the end: two uploads at once must see each other's near-duplicates.
    corpus_id = _lock_corpus(session, corpus_name)
    stored = intake.stored_documents(session, corpus_id, list(documents))
    new = {digest: item for digest, item in items.items() if digest not in stored}
    places = _place(session, corpus_id, new)
    text_ids = texts.store_texts(session, [item.new_text for item in new.values()])
    added, _ = corpora.append_documents(
        session,
        corpus_id,
        [
            NewDocument(
                text_id=text_ids[digest],
                kind=item.document.kind,
                external_id=item.document.external_id,
                group_id=places[digest].group_id,
                split=places[digest].split,
            )
            for digest, item in new.items()
        ],
    )
    corpora.add_bands(
        session, corpus_id, {text_ids[d]: item.band_keys for d, item in new.items()}
    )
    num_moved = sum(
        item.document.split not in ("", places[digest].split)
        for digest, item in new.items()
    )
    # Gold of a document that the corpus holds already is news all the same.
    places |= {d: _Place(old.group_id, old.split) for d, old in stored.items()}
    text_ids |= {d: old.text_id for d, old in stored.items()}
    _store_gold(session, documents, places, text_ids)
    num_references = candidates.store_candidates(
        session,
        [
            (text_ids[digest], candidate)
            for digest, document in documents.items()
            for candidate in document.candidates
        ],
    )
    return added, num_moved, num_references


def _lock_corpus(session: Session, name: str) -> int:
    """Hold the corpus' row, made now if there is none."""
    corpus_id = intake.lock_corpus(session, name)
    if corpus_id is None:
        # A conflict means that another upload has made it just now.
        with suppress(Conflict):
            corpora.create_corpus(session, name)
        corpus_id = intake.lock_corpus(session, name)
    assert corpus_id is not None, "a corpus is never deleted by an upload"  # noqa: S101
    return corpus_id


def _store_gold(
    session: Session,
    documents: dict[bytes, Document],
    places: dict[bytes, _Place],
    text_ids: dict[bytes, int],
) -> None:
    """Store what gold came; where its group lies decides what it is used for."""
    rows = []
    for digest, place in places.items():
        truth = documents[digest].gold
        if truth is not None:
            use = assign_gold_use(place.group_id, place.split)
            rows.append((text_ids[digest], replace(truth, use=use)))
    if rows:
        gold.store_gold(session, rows)


def _place(
    session: Session, corpus_id: int, items: dict[bytes, _Item]
) -> dict[bytes, _Place]:
    """Choose groups, then splits: a group lies where its first document was laid."""
    groups = _group(session, corpus_id, list(items.values()))
    known = corpora.splits_of_groups(session, corpus_id, set(groups))
    places = {}
    for (digest, item), group_id in zip(items.items(), groups, strict=True):
        split = known.get(group_id) or item.document.split or assign_split(group_id)
        known[group_id] = split
        places[digest] = _Place(group_id, split)
    return places


def _group(session: Session, corpus_id: int, items: Sequence[_Item]) -> list[str]:
    """Give each document its group: stated, or a near-duplicate's, or its own."""
    asked = {
        number: item.band_keys
        for number, item in enumerate(items)
        if not item.document.group_id
    }
    stored: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for near in intake.nearby_documents(session, corpus_id, asked):
        stored[near.asked].append((near.group_id, near.content))
    buckets: dict[int, list[int]] = defaultdict(list)
    groups: list[str] = []
    for number, item in enumerate(items):
        group_id = item.document.group_id
        if not group_id:
            earlier = {
                other
                for key in item.band_keys
                for other in buckets[key][-MAX_COMPARED:]
            }
            near_by = stored[number] + [
                (groups[other], items[other].document.text) for other in sorted(earlier)
            ]
            group_id = _nearest(item.document.text, near_by) or _own_group(item)
        groups.append(group_id)
        for key in item.band_keys:
            buckets[key].append(number)
    return groups


def _nearest(text: str, candidates: Sequence[tuple[str, str]]) -> str:
    """Give the group of the most similar candidate, '' if none is near enough."""
    if not candidates:
        return ""
    own_S: HashArray = shingles(text)
    best, best_group = 0.0, ""
    for group_id, content in candidates:
        similarity = jaccard(own_S, shingles(content))
        if similarity > best:
            best, best_group = similarity, group_id
    return best_group if best >= NEAR_DUPLICATE else ""


def _own_group(item: _Item) -> str:
    return f"text-{item.new_text.sha256.hex()[:16]}"
