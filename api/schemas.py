"""What goes over the wire: bodies that come in, bodies that go out."""

import datetime as dt
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

JSON = dict[str, Any]


class _In(BaseModel):
    # An unknown key is a typing mistake: say so rather than ignore it.
    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class LoopIn(_In):
    """A loop to start; `config` is a `kompress.config.LoopConfig` as plain data."""

    name: str
    corpus: str
    config: JSON
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0


class RoundIn(_In):
    """A further round; `changes` holds the keys of its config that differ."""

    changes: JSON = Field(default_factory=dict)


class RoundOut(_Out):
    """One round and where it stands."""

    id: int
    number: int
    status: str
    stop_reason: str
    stage: str
    wave: int
    open_jobs: int
    config: JSON
    created_at: dt.datetime
    finished_at: dt.datetime | None


class LoopOut(_Out):
    """A loop with its rounds."""

    id: int
    name: str
    corpus: str
    corpus_seq: int
    status: str
    stop_reason: str
    priority: int
    promoted_student_id: int | None
    config: JSON
    created_at: dt.datetime
    finished_at: dt.datetime | None
    rounds: list[RoundOut]


class BadLineOut(_Out):
    """A line of an upload that is no document; counted from 1."""

    number: int
    reason: str


class UploadOut(BaseModel):
    """What became of an upload; `bad` holds the first 1,000 of `num_bad` lines."""

    corpus: str
    added: int
    duplicates: int
    num_bad: int
    num_moved: int
    bad: list[BadLineOut]


class QualityOut(BaseModel):
    """Rows of the views `round_summary` and `label_quality`, columns as in SQL."""

    loop: str
    round_summary: list[JSON]
    label_quality: list[JSON]


class EventOut(_Out):
    """One entry of the audit trail."""

    id: int
    at: dt.datetime
    actor: str
    kind: str
    round_id: int | None
    job_id: int | None
    detail: JSON


class EventsOut(BaseModel):
    """A page of events; ask for the next one with `after_id=next_after_id`."""

    loop: str
    events: list[EventOut]
    next_after_id: int


class StudentOut(BaseModel):
    """A student's recipe and lineage, with its rows of the view `student_scores`."""

    id: int
    loop: str | None
    round: int | None
    recipe: str
    seed: int
    fold: int
    parent_id: int | None
    label_source: str
    artifact_hash: str
    checkpoint_id: str
    manifest_hash: str
    num_texts: int
    num_steps: int
    num_tokens: int
    recipe_config: JSON
    created_at: dt.datetime
    scores: list[JSON]
