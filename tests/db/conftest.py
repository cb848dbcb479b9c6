"""A small world to store things about: texts, a corpus, a loop and its first round."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy.orm import Session

from db.models import Job, Loop, Round
from db.queries import corpora, texts, voters
from kompress.types import STRATA, Fingerprint


@dataclass(frozen=True)
class World:
    text_ids: list[int]
    digests: list[bytes]
    corpus_id: int
    document_ids: list[int]
    loop_id: int
    round_id: int
    voter_id: int


def digest(content: str) -> bytes:
    return hashlib.sha256(content.encode()).digest()


def new_text(content: str) -> texts.NewText:
    """A text whose first word is a number and whose others are plain."""
    num_words = len(content.split())
    counts = [num_words - 1, 0, 1] + [0] * (len(STRATA) - 3)
    codes = bytes([2] + [0] * (num_words - 1))
    strata = {"farm": texts.NewStrata("farm-1", "words-1", codes, counts, 1)}
    return texts.NewText(content, digest(content), num_words, strata)


def build(session: Session, num_texts: int = 3, name: str = "small") -> World:
    # Stored in the order of digests, so that ids ascend with their place in the lists.
    contents = sorted(
        (f"{number} words of {name}" for number in range(num_texts)), key=digest
    )
    ids = texts.store_texts(session, [new_text(content) for content in contents])
    text_ids = [ids[digest(content)] for content in contents]
    corpus = corpora.create_corpus(session, name)
    corpora.append_documents(
        session,
        corpus.id,
        [
            corpora.NewDocument(
                text_id, "note", f"note-{number}", f"g{number}", "train"
            )
            for number, text_id in enumerate(text_ids)
        ],
    )
    loop = Loop(name=name, corpus_id=corpus.id, corpus_seq=num_texts, config={})
    session.add(loop)
    session.flush()
    round_ = Round(loop_id=loop.id, number=1, config={"label_source": "silver"})
    session.add(round_)
    session.flush()
    voter_id = voters.register_voter(
        session, Fingerprint("salience", {"corpus": name}), "salience", {}
    )
    document_ids = [row.id for row in corpora.documents(session, corpus.id, num_texts)]
    return World(
        text_ids,
        [digest(content) for content in contents],
        corpus.id,
        document_ids,
        loop.id,
        round_.id,
        voter_id,
    )


@pytest.fixture
def world(session: Session) -> World:
    return build(session)


@pytest.fixture
def build_world() -> Callable[..., World]:
    return build


@pytest.fixture
def make_text() -> Callable[[str], texts.NewText]:
    return new_text


@pytest.fixture
def add_round() -> Callable[..., int]:
    def add(session: Session, world: World, number: int, **config: object) -> int:
        row = Round(loop_id=world.loop_id, number=number, config=config)
        session.add(row)
        session.flush()
        return row.id

    return add


@pytest.fixture
def add_job() -> Callable[..., int]:
    def add(session: Session, world: World, stage: str, **values: object) -> int:
        row = Job(round_id=world.round_id, stage=stage, queue="cpu", **values)
        session.add(row)
        session.flush()
        return row.id

    return add
