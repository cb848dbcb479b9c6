"""Small worlds for the job engine: a loop whose jobs leave an event each."""

import hashlib
import threading
import time
from dataclasses import dataclass

from sqlalchemy import text

from db.models import Loop, Round
from db.queries import corpora, loops, records, selections, texts
from db.queries.jobs import JobSpec
from tests.end_to_end.farm import loop_config
from worker.artifacts import ArtifactStore
from worker.runtime import Runtime
from worker.settings import WorkerSettings
from worker.stage import Stage

EVERYTHING = (
    "texts, corpora, voters, loops, workers, students, events, costs, failures, "
    "endpoints"
)
# Moves all times of the job table into the past, as if so many seconds had gone by.
AGE = text("""
    UPDATE jobs SET run_after = run_after - make_interval(secs => :s),
                    sent_at = sent_at - make_interval(secs => :s),
                    lease_until = lease_until - make_interval(secs => :s)
""")


@dataclass(frozen=True)
class World:
    loop_id: int
    round_id: int
    job_ids: list[int]
    text_ids: list[int]


def make_runtime(sessions, folder, worker="w1", **settings):
    """A runtime whose leases and heartbeats are short."""
    given = {"lease_s": 30.0, "heartbeat_s": 0.02} | settings
    return Runtime(
        settings=WorkerSettings(
            database_url="postgresql://none",
            broker_url="redis://none",
            artifacts=f"file://{folder}",
            **given,
        ),
        sessions=sessions,
        artifacts=ArtifactStore(f"file://{folder}"),
        worker=worker,
    )


def make_world(
    sessions,
    *,
    name="loop",
    stage="aggregate",
    wave=0,
    voters=("",),
    num_shards=1,
    documents_per_shard=1,
    priority=0,
    deadline_s=3600,
    **config,
):
    """A loop in the middle of a stage: frozen shards, open jobs, stored texts."""
    with sessions.begin() as session:
        num_texts = num_shards * documents_per_shard
        text_ids, document_ids, corpus_id = add_corpus(session, name, num_texts)
        whole = loop_config(**config)
        loop = Loop(
            name=name,
            corpus_id=corpus_id,
            corpus_seq=num_texts,
            config=whole.model_dump(mode="json"),
            priority=priority,
        )
        session.add(loop)
        session.flush()
        row = Round(
            loop_id=loop.id, number=1, config=whole.resolve(1).model_dump(mode="json")
        )
        session.add(row)
        session.flush()
        shards = [document_ids[n::num_shards] for n in range(num_shards)]
        selections.freeze_shards(session, row.id, 1, shards)
        specs = [
            JobSpec(stage, wave, voter, shard, deadline_s=deadline_s)
            for voter in voters
            for shard in range(num_shards)
        ]
        loops.open_stage(session, row.id, stage, wave, specs)
        job_ids = session.scalars(text("SELECT id FROM jobs ORDER BY id")).all()
        mine = list(job_ids)[-len(specs) :]
        return World(loop.id, row.id, mine, text_ids)


def add_corpus(session, name, num_texts):
    contents = [f"{name} says {number}" for number in range(num_texts)]
    digests = [hashlib.sha256(content.encode()).digest() for content in contents]
    ids = texts.store_texts(
        session,
        [
            texts.NewText(content, digest, 3)
            for content, digest in zip(contents, digests, strict=True)
        ],
    )
    corpus = corpora.create_corpus(session, name)
    corpora.append_documents(
        session,
        corpus.id,
        [
            corpora.NewDocument(ids[digest], "note", f"n{n}", f"g{n}", "train")
            for n, digest in enumerate(digests)
        ],
    )
    documents = corpora.documents(session, corpus.id, num_texts)
    return [ids[d] for d in digests], [row.id for row in documents], corpus.id


def nothing(session, job):
    """Load nothing."""
    return job.id


def passing(runtime, inputs, heartbeat):
    """Compute nothing."""
    heartbeat.progress(1, 1)
    return inputs


def leave_an_effect(session, job, out):
    """Store one event a job."""
    records.add_event(session, "test", "effect", job_id=job.id)


PLAIN = Stage(load=nothing, compute=passing, store=leave_an_effect)


def stage_of(*, load=nothing, compute=passing, store=leave_an_effect):
    return Stage(load=load, compute=compute, store=store)


def query(sessions, statement, **values):
    with sessions() as session:
        return [tuple(r) for r in session.execute(text(statement), values).all()]


def change(sessions, statement, **values):
    with sessions.begin() as session:
        return session.execute(text(statement), values).rowcount


def job_row(sessions, job_id, columns):
    """Some columns of one job."""
    return query(sessions, f"SELECT {columns} FROM jobs WHERE id = :id", id=job_id)[0]


def effects(sessions):
    """How many effects each job has left."""
    rows = query(
        sessions,
        "SELECT job_id, count(*) FROM events WHERE kind = 'effect' GROUP BY 1",
    )
    return {int(job_id): int(count) for job_id, count in rows}


def age(sessions, seconds):
    with sessions.begin() as session:
        session.execute(AGE, {"s": seconds})


def eventually(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def at_once(*functions):
    """Run functions in threads of their own; raise what any of them raised."""
    errors = []

    def guarded(function):
        try:
            function()
        except Exception as error:  # noqa: BLE001  # raised again below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def someone_waits(sessions):
    """Whether a statement of this database waits for a lock."""
    return query(
        sessions,
        """SELECT count(*) > 0 FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock'""",
    )[0][0]
