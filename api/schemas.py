"""What goes over the wire: bodies that come in, bodies that go out."""

import datetime as dt
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

JSON = dict[str, Any]


class _In(BaseModel):
    # An unknown key is a typing mistake, and so is `false` for a number: say so.
    model_config = ConfigDict(extra="forbid", strict=True)


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class LoopIn(_In):
    """A loop to start, as `farm loop start` takes it.

    `config` is a `kompress.config.LoopConfig` as plain data; only the keys that differ
    from its defaults are needed. In its place `recipe` may name a recipe that
    ships, fitted to the corpus; `origins` and `silver_voter` are that recipe's. Without
    both it is the config of `farm demo`.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"corpus": "logs"}]})

    corpus: str
    name: str = Field("", description="The default is CORPUS-NUMBER.")
    config: JSON | None = None
    recipe: str = ""
    origins: dict[str, str] = Field(
        default_factory=dict,
        description="The corpus' own name of references, by the recipe's name.",
    )
    silver_voter: str = Field(
        "", description="What votes where references are missing; `none` for nothing."
    )
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


class LoopListedOut(_Out):
    """A loop as a listing shows it."""

    id: int
    name: str
    corpus: str
    corpus_seq: int
    status: str
    stop_reason: str
    priority: int
    promoted_student_id: int | None
    created_at: dt.datetime
    finished_at: dt.datetime | None


class LoopOut(LoopListedOut):
    """A loop with its rounds; `notes` says how a recipe was fitted to the corpus."""

    config: JSON
    rounds: list[RoundOut]
    notes: list[str] = Field(default_factory=list)


class LoopsOut(BaseModel):
    """A page of loops; the next one has `before_id=next_before_id`, null at the end."""

    loops: list[LoopListedOut]
    next_before_id: int | None


class BadLineOut(_Out):
    """A line of an upload that is no document; counted from 1."""

    number: int
    reason: str


class CorpusOut(_Out):
    """A corpus: its documents by split, and its words."""

    name: str
    num_documents: int
    documents: dict[str, int]
    num_words: int
    external_ok: bool


class CorporaOut(BaseModel):
    """Every corpus, by name."""

    corpora: list[CorpusOut]


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


class StudentListedOut(_Out):
    """A student as a listing shows it; `loop` and `round` are null where imported."""

    id: int
    loop: str | None
    round: int | None
    recipe: str
    seed: int
    fold: int
    parent_id: int | None
    label_source: str
    checkpoint_id: str
    num_steps: int
    num_tokens: int
    created_at: dt.datetime


class StudentOut(StudentListedOut):
    """A student's recipe and lineage, with its rows of the view `student_scores`."""

    artifact_hash: str
    manifest_hash: str
    num_texts: int
    recipe_config: JSON
    scores: list[JSON]


class StudentsOut(BaseModel):
    """A page of students; ask for the next one with `after_id=next_after_id`."""

    students: list[StudentListedOut]
    next_after_id: int


class JobOut(BaseModel):
    """One unit of work, with the error that it met last."""

    id: int
    loop: str
    round: int
    stage: str
    wave: int
    voter: str
    shard: int
    queue: str
    status: str
    attempt: int
    worker: str
    num_errors: int
    num_lost_leases: int
    progress_done: int
    progress_total: int
    seconds: float | None
    last_error: str


class JobsOut(BaseModel):
    """A page of jobs; the next one has `before_id=next_before_id`, null at the end."""

    jobs: list[JobOut]
    next_before_id: int | None
