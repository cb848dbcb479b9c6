"""A whole farm in one process: each pending job runs here, in order, no Celery."""

import importlib

from api.intake import ingest
from db.queries import loops
from kompress.corpora.generators import generate
from tests.end_to_end.farm import loop_config
from tests.worker.worlds import make_runtime, query
from worker.stage import run_stage

RESULTS = {
    "votes": """
        SELECT r.number, v.name, w.replicate, encode(t.sha256, 'hex'),
               encode(w.codes, 'hex'), w.num_samples
        FROM round_votes rv JOIN rounds r ON r.id = rv.round_id
        JOIN votes w ON w.id = rv.vote_id JOIN voters v ON v.id = w.voter_id
        JOIN texts t ON t.id = w.text_id ORDER BY 1, 2, 3, 4""",
    "labels": """
        SELECT r.number, b.source, encode(t.sha256, 'hex'), encode(b.mean, 'hex'),
               encode(b.sd, 'hex')
        FROM labels b JOIN rounds r ON r.id = b.round_id
        JOIN texts t ON t.id = b.text_id ORDER BY 1, 2, 3""",
    "counts": """
        SELECT r.number, c.source, c.kind, c.category, c.rule_set, c.num_documents,
               c.num_words, c.num_kept, c.num_must_keep, c.num_must_keep_kept
        FROM label_counts c JOIN rounds r ON r.id = c.round_id
        ORDER BY 1, 2, 3, 4, 5""",
    "voters": """
        SELECT r.number, s.voter, s.stratum, s.truth, s.num_keep_kept,
               s.num_drop_dropped, s.num_agreed, s.keep_codes, s.drop_codes
        FROM voter_stats s JOIN rounds r ON r.id = s.round_id ORDER BY 1, 2, 3, 4""",
    "must_keep": """
        SELECT r.number, s.document_id, s.num_must_keep, s.num_must_keep_kept
        FROM selections s JOIN rounds r ON r.id = s.round_id ORDER BY 1, 2""",
}


class InProcessFarm:
    """Sessions, artifacts, and the jobs of one loop at a time."""

    def __init__(self, sessions, folder):
        self.sessions = sessions
        self.runtime = make_runtime(sessions, folder, heartbeat_s=1.0)

    def add_documents(self, num_documents=20, seed=0):
        ingest(self.sessions, "corpus", generate(num_documents, seed))

    def start(self, name="loop", *, by_round=(), **changes):
        whole = loop_config(**changes).model_copy(update={"rounds": tuple(by_round)})
        with self.sessions.begin() as session:
            return loops.create_loop(
                session,
                name,
                "corpus",
                whole.model_dump(mode="json"),
                whole.resolve(1).model_dump(mode="json"),
            ).id

    def run(self, *, until="", before_round=0):
        """Run pending jobs, but none of a stage or of a round that is to wait."""
        while due := self.query(
            """SELECT j.id, j.stage FROM jobs j JOIN rounds r ON r.id = j.round_id
               WHERE j.status = 'pending' AND j.run_after <= clock_timestamp()
                 AND j.stage <> :until AND r.number <> :before_round
               ORDER BY j.id LIMIT 1""",
            until=until,
            before_round=before_round,
        ):
            ((job_id, stage),) = due
            module = importlib.import_module(f"worker.stages.{stage}")
            assert run_stage(module.STAGE, self.runtime, job_id) is not None

    def query(self, statement, **values):
        return query(self.sessions, statement, **values)

    def results(self, *names):
        return {name: self.query(RESULTS[name]) for name in names or RESULTS}

    def parked(self):
        return self.query(
            "SELECT stage, num_errors, last_error FROM jobs WHERE status = 'failed'"
        )


def two_waves():
    """The voters of a loop; the last one is asked in a second wave."""
    voters = [voter.model_dump() for voter in loop_config().base.voters]
    voters[2]["wave"] = 2
    return voters
