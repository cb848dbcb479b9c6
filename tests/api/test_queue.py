import numpy as np
import pytest
from sqlalchemy import text

from api import queue
from api.errors import InvalidRequest
from api.intake import ingest
from db.errors import Conflict, NotFound
from db.queries import jobs, loops, parked, records, voters
from kompress.config import LoopConfig, parse_config
from kompress.errors import InvalidConfig
from kompress.stop_reason import JobFailed, LimitReached
from kompress.types import Document, Fingerprint, Gold

VOTER = {"name": "salience", "kind": "salience"}
MODEL = {"engine": "vllm", "model": "m"}
JUDGE = {
    "name": "j",
    "kind": "teacher",
    "params": {**MODEL, "protocol": "pairwise"},
}


@pytest.fixture
def corpus(sessions):
    ingest(sessions, "c", [Document("one two", "log", "a", split="train")])
    return "c"


def make(rounds=(), **base):
    base = {"voters": [VOTER], **base}
    return parse_config(LoopConfig, {"base": base, "rounds": list(rounds)})


def start(session, config=None):
    return queue.start_loop(session, "x", "c", config or make(), actor="me")


def end_round(session, loop):
    row = loops.rounds_of(session, loop.id)[-1]
    loops.finish_round(session, row.id, LimitReached("rounds", 1, 1))
    loops.stop_loop(session, loop.id, LimitReached("rounds", 1, 1), None)
    session.expire_all()


def test_a_loop_starts_with_its_first_round_one_job_and_an_event(sessions, corpus):
    with sessions.begin() as session:
        loop = start(session, make(rounds=[{"folds": 0}]))
        (first,) = loops.rounds_of(session, loop.id)
        jobs = session.execute(text("SELECT stage, queue, status FROM jobs")).all()
        (event,) = records.list_events(session, loop.id)

    assert (loop.corpus_seq, loop.status) == (1, "running")
    assert (first.number, first.config["folds"]) == (1, 0)
    assert jobs == [("select", "control", "pending")]
    assert (event.actor, event.kind) == ("me", "loop_started")


def test_a_loop_needs_a_name_of_its_own_and_a_corpus_with_documents(sessions, corpus):
    with sessions.begin() as session:
        start(session)

    with sessions() as session:
        with pytest.raises(Conflict, match="'x' exists"):
            start(session)
        with pytest.raises(NotFound, match="no corpus is named 'd'"):
            queue.start_loop(session, "y", "d", make())
        with pytest.raises(InvalidRequest, match="loop name"):
            queue.start_loop(session, "y z", "c", make())


@pytest.mark.parametrize(("given", "kept"), [({}, 2), ({"reliability_version": 1}, 1)])
def test_a_loop_keeps_the_version_of_the_rule_that_it_began_with(
    sessions, corpus, given, kept
):
    with sessions.begin() as session:
        loop = start(session, make(rounds=[{}, {"folds": 3}], aggregation=given))
        end_round(session, loop)
        again = queue.enqueue_round(session, loop, "me")

        for config in (loop.config["base"], again.config):
            assert config["aggregation"]["reliability_version"] == kept


def test_a_loop_from_before_versions_has_the_first():
    config = make().resolve(1)

    assert config.aggregation.reliability_version == 1


def test_a_further_round_waits_for_the_open_one_and_merges_its_changes(
    sessions, corpus
):
    with sessions.begin() as session:
        loop = start(session, make(rounds=[{}, {"folds": 3}]))
        with pytest.raises(Conflict, match="round 1 of loop 'x' is still running"):
            queue.enqueue_round(session, loop, "me")
        end_round(session, loop)

        changes = {"recipe": {"epochs": 7}}
        row = queue.enqueue_round(session, loop, "me", changes)

        assert (row.number, row.stage, row.open_jobs) == (2, "select", 1)
        assert row.config["folds"] == 3
        assert row.config["recipe"]["epochs"] == 7
        assert row.config["recipe"]["seed"] == 0
        assert (loop.status, loop.stop_reason) == ("running", "")
        events = records.list_events(session, loop.id)
        assert events[-1].detail == {"number": 2, "changes": changes}


def test_wrong_changes_of_a_round_are_named(sessions, corpus):
    with sessions.begin() as session:
        loop = start(session)
        end_round(session, loop)

        with pytest.raises(InvalidConfig, match=r"recipe\.epochs: .*integer"):
            queue.enqueue_round(session, loop, "me", {"recipe": {"epochs": "many"}})
        with pytest.raises(InvalidConfig, match=r"voters\.v\.kind: found 'oracle'"):
            voters = [{"name": "v", "kind": "oracle"}]
            queue.enqueue_round(session, loop, "me", {"voters": voters})


def test_a_paused_or_cancelled_loop_takes_no_round(sessions, corpus):
    with sessions.begin() as session:
        loop = start(session)
        queue.pause_loop(session, loop, "me")
        queue.pause_loop(session, loop, "me")
        with pytest.raises(Conflict, match="paused; resume it first"):
            queue.enqueue_round(session, loop, "me")
        queue.resume_loop(session, loop, "me")
        queue.cancel_loop(session, loop, "me")
        with pytest.raises(Conflict, match="cancelled; start another"):
            queue.enqueue_round(session, loop, "me")
        with pytest.raises(Conflict, match="cancelled"):
            queue.resume_loop(session, loop, "me")

        kinds = [event.kind for event in records.list_events(session, loop.id)]
        assert kinds == [
            "loop_started",
            "loop_paused",
            "loop_resumed",
            "loop_cancelled",
        ]


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ({"voters": [{"name": "v", "kind": "oracle"}]}, r"voters\.v\.kind: .*'oracle'"),
        (
            {"voters": [{"name": "v", "kind": "salience", "params": {"depth": 1}}]},
            r"voters\.v\.params: .*depth",
        ),
        (
            {"voters": [VOTER | {"max_replicates": 2}]},
            r"voters\.salience\.max_replicates: found 2; .*says the same each time",
        ),
        ({"aggregation": {"rule": "best"}}, "aggregation: .*'best' is unknown"),
        ({"aggregation": {"compare": ["best"]}}, r"aggregation\.compare: .*'best'"),
        ({"evaluation": {"suites": ["exam"]}}, r"evaluation\.suites: found 'exam'"),
        ({"voters": [VOTER, JUDGE]}, r"voters\.j: .*move it to pairwise\.judges"),
        (
            {"pairwise": {"judges": [{"name": "j", "kind": "syntax"}]}},
            r"pairwise\.judges\.j: found kind 'syntax'.*protocol pairwise",
        ),
        (
            {"pairwise": {"judges": [JUDGE | {"params": MODEL}]}},
            r"pairwise\.judges\.j: .*protocol None",
        ),
        (
            {"pairwise": {"judges": [JUDGE | {"params": {"model": "m"}}]}},
            r"pairwise\.judges\.j\.params: .*engine",
        ),
        (
            {
                "protocol": "pairwise",
                "pairwise": {"judges": [JUDGE]},
                "aggregation": {"rule": "k_of_n", "params": {"k": 2}},
            },
            r"aggregation\.params\.k: found 2 under protocol pairwise",
        ),
    ],
)
def test_what_this_farm_does_not_have_is_named_with_its_round(base, message):
    with pytest.raises(InvalidConfig, match="round 1: " + message):
        queue.check_loop_config(make(**base))


@pytest.mark.parametrize(
    ("evaluation", "stop", "message"),
    [
        ({"suites": ["dense", "agent"]}, {}, "expected 'planted' among them"),
        ({"suites": ["planted"]}, {}, "expected 'agent' among them"),
        ({}, {"target_keep_rate": 0.75}, r"expected the stop\.target_keep_rate, 0\.75"),
    ],
)
def test_a_loop_that_could_not_converge_is_refused(evaluation, stop, message):
    config = make(evaluation=evaluation)
    config = config.model_copy(
        update={"stop": config.stop.model_copy(update={"max_rounds": 3} | stop)}
    )

    with pytest.raises(InvalidConfig, match=message):
        queue.check_loop_config(config)

    # Two rounds cannot show that two rounds brought no gain: a limit ends the loop.
    short = config.stop.model_copy(update={"max_rounds": 2})
    queue.check_loop_config(config.model_copy(update={"stop": short}))


def test_judges_that_judge_are_taken():
    queue.check_loop_config(make(pairwise={"judges": [JUDGE]}, protocol="both"))


def test_a_mistake_of_a_later_round_is_found_at_the_start():
    config = make(rounds=[{}, {"evaluation": {"suites": ["exam"]}}])

    with pytest.raises(InvalidConfig, match="round 2: evaluation"):
        queue.check_loop_config(config)


REFERENCES = {"name": "r", "kind": "references", "params": {"origin": "qa"}}
HOSTED = {
    "name": "t",
    "kind": "teacher",
    "params": {"engine": "openai", "endpoint": "hosted", "model": "m"},
}
ENDPOINTS = """
[hosted]
url = "https://api.example.com/v1"
models = ["m"]
external = true
forced_tokens = true
logprobs = true
"""


@pytest.mark.parametrize(
    ("base", "said"),
    [
        (
            {"recipe": {"mix": [{"source": "gold"}]}},
            (
                "round 1: recipe.mix trains on gold, and no train document of corpus "
                "'c' has calibration gold"
            ),
        ),
        (
            {"recipe": {"mix": [{"source": "consensus", "kinds": ["poem"]}]}},
            (
                "round 1: recipe.mix trains on documents of kinds poem; the train "
                "documents of corpus 'c' are of log"
            ),
        ),
        (
            {"voters": [VOTER, REFERENCES]},
            "round 1: voters.r reads references of origin 'qa'; corpus 'c' has none",
        ),
        (
            {"voters": [VOTER, HOSTED]},
            "round 1: voters.t asks the endpoint 'hosted', which is external",
        ),
        (
            {"voters": [{**VOTER, "name": "bad"}]},
            "round 1: in quarantine: bad; release the voter",
        ),
    ],
)
def test_a_loop_that_could_not_come_to_its_end_is_refused_at_its_start(
    sessions, corpus, tmp_path, base, said
):
    path = tmp_path / "endpoints.toml"
    path.write_text(ENDPOINTS)
    with sessions.begin() as session:
        voters.register_voter(session, Fingerprint("bad", {}), "salience", {})
        voters.quarantine(session, "bad", on=True)

        with pytest.raises(InvalidConfig) as refusal:
            queue.check_start(session, "x", "c", make(**base), endpoints=path)

    assert str(refusal.value).startswith(said)
    assert len(str(refusal.value).splitlines()) == 1


def test_a_loop_may_train_on_gold_where_there_is_some(sessions):
    truth = Gold("me", "calibrate", np.array([0, 1], dtype=np.uint8))
    ingest(sessions, "c", [Document("one two", "log", "a", split="train", gold=truth)])

    with sessions() as session:
        mix = {"mix": [{"source": "gold"}]}
        queue.check_start(session, "x", "c", make(recipe=mix))


def test_a_corpus_without_train_documents_starts_no_loop(sessions):
    ingest(sessions, "c", [Document("one two", "log", "a", split="audit")])

    with sessions() as session, pytest.raises(Conflict, match="none of them in train"):
        start(session)


def test_a_retry_opens_the_loop_that_ended_unless_it_went_on(sessions, corpus):
    with sessions.begin() as session:
        loop = start(session)
        (row,) = jobs.list_jobs(session)
        session.execute(text("UPDATE jobs SET status = 'failed', last_error = 'oh'"))
        held = loops.lock_round(session, loops.rounds_of(session, loop.id)[0].id)
        assert parked.end_failed_round(session, held)
        session.expire_all()
        assert (loop.status, loop.stop) == ("stopped", JobFailed("select", row["id"],
                                                                 "oh", 1))  # fmt: skip

        queue.retry_job(session, row["id"], "me")

        session.expire_all()
        assert (loop.status, loop.stop_reason, loop.stop) == ("running", "", None)
        event = records.list_events(session, loop.id)[-1]
        assert (event.kind, event.job_id) == ("job_retried", row["id"])
        session.execute(text("UPDATE jobs SET status = 'failed'"))
        parked.end_failed_round(session, held)
        session.expire_all()
        queue.enqueue_round(session, loop, "me")
        with pytest.raises(Conflict, match="gone on with round 2"):
            queue.retry_job(session, row["id"], "me")
