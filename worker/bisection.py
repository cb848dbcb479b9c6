"""What becomes of a job whose lease was lost again and again.

A text that kills its worker is found by halving the shard; alone in a shard it becomes
a row in `failures` and the round goes on. Jobs without a shard of documents are parked.
"""

from sqlalchemy.orm import Session

from db.queries import jobs, loops, records, selections
from db.queries.dispatch import MAX_LOST_LEASES, ExpiredJob
from db.queries.jobs import JobSpec
from worker.pipeline import advance, shard_wave

DIVISIBLE = frozenset({"teach", "compare", "self_label"})


def after_lost_lease(session: Session, expired: ExpiredJob) -> None:
    """Halve, give up on one text, or park, once a job lost too many leases."""
    if expired.num_lost_leases < MAX_LOST_LEASES:
        return
    if expired.stage not in DIVISIBLE:
        jobs.park(
            session,
            expired.id,
            f"{expired.num_lost_leases} leases were lost: its worker dies or hangs "
            "(out of memory, a crash in a library); see the worker's log, then "
            "retry the job",
        )
        advance(session, expired.round_id, num_finished=1)
        return
    loops.lock_round(session, expired.round_id)
    job = jobs.get_job(session, expired.id)
    wave = shard_wave(job.stage, job.wave)
    documents = selections.shard_documents(session, job.round_id, wave, job.shard)
    if len(documents) > 1:
        middle = len(documents) // 2
        ids = [document.id for document in documents]
        children = selections.add_child_shards(
            session, job.round_id, wave, [ids[:middle], ids[middle:]]
        )
        specs = [
            JobSpec(job.stage, job.wave, job.voter, shard, job.args, job.deadline_s)
            for shard in children
        ]
        jobs.insert_jobs(session, job.round_id, specs)
        jobs.mark_split(session, job.id)
    else:
        error = (
            f"its worker died or hung {expired.num_lost_leases} times on this text "
            "alone"
        )
        # Under the voter's id, so that no later round asks it about this text again.
        decided = loops.read_round(session, job.round_id).decisions
        voter_id = decided.voters[job.voter] if job.voter else None
        records.add_failures(
            session,
            [
                (d.text_id, voter_id, job.stage, job.attempt, job.round_id, error)
                for d in documents
            ],
        )
        jobs.mark_split(session, job.id)
    # Recounts: the parent has ended, its children (if any) are open.
    advance(session, job.round_id, num_finished=0)
