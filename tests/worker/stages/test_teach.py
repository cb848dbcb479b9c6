from types import SimpleNamespace

import numpy as np
import pytest

from db.queries import voters as voter_rows
from kompress.config import VoterConfig, parse_config
from kompress.errors import VoteFailed
from kompress.must_keep import classify_words
from kompress.types import Vote
from kompress.words import join_kept, word_list
from tests.end_to_end.farm import loop_config
from tests.worker.fake_transport import (
    FakeTransport,
    agree,
    dies_at,
    open_fake,
    refuses,
)
from tests.worker.silver import (
    add_references,
    by_references,
    labels,
    say,
    third_words,
)
from tests.worker.worlds import change
from worker.errors import EngineDied, NotHere
from worker.relay import recount
from worker.stage import run_stage
from worker.stages import teach

LINKED = """
    SELECT rv.vote_id FROM round_votes rv JOIN rounds r ON r.id = rv.round_id
    JOIN loops l ON l.id = r.loop_id WHERE l.name = :loop ORDER BY 1
"""


def voters(**changes):
    return [voter.model_dump() | changes for voter in loop_config().base.voters]


def unreliable(**changes):
    found = voters(**changes)
    for voter in found:
        voter["params"]["failure_rate"] = 0.3
    return found


@pytest.mark.slow  # runs a loop
def test_another_loop_finds_the_votes_and_asks_nobody(farm):
    farm.add_documents(20)
    farm.start("one", voters=voters())
    farm.run(until="aggregate")
    stored = farm.query("SELECT id FROM votes ORDER BY id")

    farm.start("two", voters=voters())
    farm.run(until="aggregate")

    assert farm.query("SELECT id FROM votes ORDER BY id") == stored
    assert farm.query(LINKED, loop="two") == farm.query(LINKED, loop="one") == stored


@pytest.mark.slow  # runs a loop
def test_replicates_that_did_not_fail_count_in_every_loop_alike(farm):
    farm.add_documents(20)
    farm.start("one", voters=unreliable(replicates=3))
    farm.run(until="aggregate")

    farm.start("two", voters=unreliable(replicates=3))
    farm.run(until="aggregate")

    partly = farm.query(
        """SELECT count(*) FROM failures f JOIN votes v
           ON v.text_id = f.text_id AND v.voter_id = f.voter_id"""
    )
    assert partly != [(0,)]
    assert farm.query(LINKED, loop="two") == farm.query(LINKED, loop="one")


@pytest.mark.slow  # runs a loop
def test_a_replicate_more_asks_only_for_what_is_missing(farm):
    farm.add_documents(20)
    farm.start("one", voters=voters())
    farm.run(until="aggregate")
    stored = farm.query("SELECT id FROM votes ORDER BY id")

    farm.start("two", voters=voters(replicates=2))
    farm.run(until="aggregate")

    assert len(farm.query("SELECT id FROM votes")) == 2 * len(stored)
    assert set(stored) < set(farm.query(LINKED, loop="two"))


def test_progress_counts_what_is_stored_and_what_is_not_asked_for(runtime):
    inputs = teach.TeachInputs(
        round_id=1,
        voter_id=1,
        voter=parse_config(VoterConfig, {"name": "v", "kind": "simulated"}),
        snapshot_hash="",
        texts={1: "one two", 2: "three four"},
        num_replicates=3,
        known={(1, 0), (2, 0), (2, 1)},
        poison={2: "no answer"},
    )
    told = []
    beats = SimpleNamespace(progress=lambda *counts: told.append(counts))

    found = teach.compute(runtime, inputs, beats)

    # Text 1 has one of three answers, text 2 two, and will have no other.
    assert told == [(4, 6), (5, 6), (6, 6)]
    assert [(t, replicate) for t, replicate, _ in found.last_slice] == [(1, 1), (1, 2)]
    assert (found.known_texts, found.num_replicates) == ([1, 2], 3)
    assert set(found.failures) == {2}


@pytest.mark.slow  # runs a loop
def test_a_job_that_wants_fewer_answers_than_are_stored_links_those(farm):
    farm.add_documents(20)
    farm.start("one", voters=voters(replicates=3)[:1])
    farm.run(until="aggregate")
    farm.start("two", voters=voters()[:1])
    farm.run(until="aggregate")

    assert farm.query(
        """SELECT DISTINCT v.replicate FROM round_votes rv
           JOIN votes v ON v.id = rv.vote_id WHERE rv.round_id = 2"""
    ) == [(0,)]


@pytest.mark.slow  # runs a loop
def test_votes_are_stored_in_slices_as_they_come(farm, monkeypatch):
    monkeypatch.setattr(teach, "SLICE_TEXTS", 3)
    sizes = []
    store = teach.votes.store_votes

    def counted(session, round_id, voter_id, rows):
        sizes.append(len(rows))
        store(session, round_id, voter_id, rows)

    monkeypatch.setattr(teach.votes, "store_votes", counted)
    farm.add_documents(20)
    farm.start(voters=voters()[:1], shard_documents=8)

    farm.run(until="aggregate")

    # 16 selected documents or so, in shards of at most 8.
    assert max(sizes) == 3
    assert sum(sizes) == len(farm.query("SELECT id FROM votes"))


@pytest.mark.parametrize(
    ("codes", "num_samples", "is_refused"),
    [([1, 2], 1, False), ([1], 1, True), ([1, 2, 3], 1, True), ([1, 2], 0, True)],
)
def test_a_vote_has_one_code_a_word_and_at_least_one_sample(
    codes, num_samples, is_refused
):
    vote = Vote(np.array(codes, dtype=np.uint8), num_samples)

    found = teach._checked(vote, "two words")

    assert isinstance(found, VoteFailed) is is_refused
    if is_refused:
        assert "expected 2, one a word" in str(found)


def test_a_failure_stays_what_it_is():
    failure = VoteFailed("no answer")

    assert teach._checked(failure, "two words") is failure


@pytest.mark.slow  # runs a loop
def test_references_become_silver_labels_and_what_has_none_stays_unlabelled(farm):
    farm.add_documents(20)
    texts = [say(number) for number in range(24)]
    add_references(farm, texts[:20])

    farm.start("one", **by_references())
    farm.run(until="train")
    first = labels(farm, "one")
    add_references(farm, texts[20:])
    # References of texts that are there already are news all the same.
    generated = [text for (text,) in farm.query("SELECT content FROM texts")]
    add_references(farm, generated)
    farm.start("two", **by_references())
    farm.run(until="train")
    second = labels(farm, "two")

    assert farm.parked() == []
    assert first
    assert set(first) <= set(texts[:20])
    assert len(second) > len(first)
    for text, keep in (first | second).items():
        # Where words repeat, another embedding may keep the same reference.
        reference = join_kept(text, third_words(text))
        assert word_list(join_kept(text, keep)) == word_list(reference)
    corrected = labels(farm, "one", "corrected")
    for text, keep in first.items():
        caught = classify_words(word_list(text)) != 0
        assert corrected[text] == (np.array(keep) | caught).tolist()
        assert caught.sum() > 2
    voted = farm.query(
        """SELECT count(DISTINCT v.id), count(DISTINCT w.voter_id) FROM voters v
           JOIN votes w ON w.voter_id = v.id WHERE v.name = 'c3'"""
    )
    assert voted == [(2, 2)]


@pytest.mark.slow  # runs a loop
def test_a_corpus_without_such_references_says_that_they_are_to_be_added(farm):
    farm.add_documents(10)
    farm.start("one", **by_references())

    farm.run(until="train")

    ((error,),) = farm.query("SELECT last_error FROM jobs WHERE stage = 'select'")
    assert "of origin 'c3'; expected some; add them" in error


LOCAL = {"engine": "vllm", "model": "tiny"}


def teacher(name="t", **changes):
    return {"name": name, "kind": "teacher", "params": LOCAL} | changes


def start_teacher(farm, transport, *, name="loop", num_documents=12, **changes):
    if num_documents:
        farm.add_documents(num_documents)
    farm.runtime.open_transport = open_fake(transport)
    return farm.start(name, **{"voters": [teacher()]} | changes)


def job_of(farm, stage="teach"):
    return farm.query(
        "SELECT id FROM jobs WHERE stage = :stage AND status = 'pending' ORDER BY id",
        stage=stage,
    )[0][0]


@pytest.mark.slow  # runs a loop
def test_a_job_does_not_end_while_a_document_has_neither_vote_nor_failure(
    farm, monkeypatch
):
    farm.add_documents(20)
    farm.start(voters=voters()[:1])
    farm.run(until="teach")
    job_id = job_of(farm)
    whole = teach._vote

    def all_but_one(runtime, inputs, heartbeat):
        yield from list(whole(runtime, inputs, heartbeat))[1:]

    monkeypatch.setattr(teach, "_vote", all_but_one)
    run_stage(teach.STAGE, farm.runtime, job_id)

    told = "SELECT status, num_errors, last_error FROM jobs WHERE id = :id"
    ((status, num_errors, error),) = farm.query(told, id=job_id)
    assert (status, num_errors) == ("pending", 1)
    assert "neither a vote of" in error
    assert farm.query("SELECT count(*) FROM round_votes") == [(0,)]

    monkeypatch.setattr(teach, "_vote", whole)
    change(farm.sessions, "UPDATE jobs SET run_after = now()")
    run_stage(teach.STAGE, farm.runtime, job_id)
    assert farm.query(told, id=job_id)[0][0] == "done"


@pytest.mark.slow  # runs a loop
def test_a_teachers_answers_become_votes_and_are_paid_once(farm):
    transport = FakeTransport()
    start_teacher(farm, transport)
    farm.run(until="fit")
    num_asked = len(transport.asked)

    start_teacher(farm, transport, name="two", num_documents=0)
    farm.run(until="fit")

    assert farm.parked() == []
    assert num_asked == farm.query("SELECT count(*) FROM answers")[0][0] > 0
    assert len(transport.asked) == num_asked
    ((codes,),) = farm.query("SELECT codes FROM votes LIMIT 1")
    assert set(codes) == {191}  # 0.75 · 255, rounded down: (191 + 1/2) / 255 = 0.751


@pytest.mark.slow  # runs a loop
def test_another_reading_of_the_same_answers_pays_nothing(farm):
    transport = FakeTransport()
    start_teacher(farm, transport)
    farm.run(until="fit")
    num_asked = len(transport.asked)
    votes = farm.query("SELECT text_id, codes FROM votes ORDER BY 1")
    # As if a new parser had a voter of its own: the votes are gone, the answers stay.
    change(farm.sessions, "DELETE FROM votes")

    start_teacher(farm, transport, name="two", num_documents=0)
    farm.run(until="fit")

    assert len(transport.asked) == num_asked
    assert farm.query("SELECT text_id, codes FROM votes ORDER BY 1") == votes


@pytest.mark.slow  # runs a loop
@pytest.mark.parametrize(("is_transient", "stage"), [(True, "ask"), (False, "teach")])
def test_only_a_texts_own_failure_is_poison(farm, is_transient, stage):
    start_teacher(farm, FakeTransport(refuses(is_transient=is_transient)))
    farm.run(until="fit")
    failed = farm.query("SELECT DISTINCT stage, error FROM failures")

    again = FakeTransport()
    farm.runtime.give_up_engine()
    start_teacher(farm, again, name="two", num_documents=0)
    farm.run(until="fit")

    assert failed == [(stage, "no answer today")]
    assert bool(again.asked) is is_transient


@pytest.mark.slow  # runs a loop
def test_a_text_that_kills_the_engine_is_found_and_the_round_goes_on(farm):
    farm.add_documents(8)
    ((text_id, content),) = farm.query(
        """SELECT t.id, t.content FROM texts t JOIN documents d ON d.text_id = t.id
           WHERE d.split = 'train' ORDER BY t.id LIMIT 1"""
    )
    word = max(content.split(), key=len)
    deadly = [
        found
        for found, text in farm.query("SELECT id, content FROM texts")
        if word in text
    ]
    start_teacher(farm, FakeTransport(dies_at(word)), num_documents=0)

    farm.run(until="fit")

    assert farm.runtime.is_broken
    found = farm.query("SELECT text_id, stage, error FROM failures ORDER BY 1")
    assert text_id in {row[0] for row in found} <= set(deadly)
    assert {row[1:] for row in found} == {
        ("teach", "its worker died or hung 3 times on this text alone")
    }
    asked = farm.query("SELECT count(*) FROM round_votes")[0][0]
    assert asked == farm.query("SELECT count(*) FROM selections")[0][0] - len(found)
    # Each death is an event, and its job says so.
    assert farm.query("SELECT count(*) > 2 FROM events WHERE kind = 'engine_died'") == [
        (True,)
    ]


@pytest.mark.slow  # runs a loop
def test_a_job_that_this_worker_cannot_hold_goes_back_without_blame(farm):
    other = teacher("u", params=LOCAL | {"model": "other"})
    start_teacher(farm, FakeTransport(), voters=[teacher(), other])
    farm.run(until="teach")
    first, second = farm.query("SELECT id FROM jobs WHERE stage = 'teach' ORDER BY id")
    run_stage(teach.STAGE, farm.runtime, first[0])

    run_stage(teach.STAGE, farm.runtime, second[0])

    ((status, num_errors, error, is_later),) = farm.query(
        """SELECT status, num_errors, last_error, run_after > clock_timestamp()
           FROM jobs WHERE id = :id""",
        id=second[0],
    )
    assert (status, num_errors, is_later) == ("pending", 0, True)
    assert "holds 'tiny' on vllm; 'other' on vllm needs a worker of its own" in error


@pytest.mark.slow  # runs a loop
def test_an_engine_that_does_not_load_blames_no_text(farm):
    start_teacher(farm, FakeTransport())
    farm.run(until="teach")

    def fail(*_):
        raise EngineDied("out of memory")

    farm.runtime.open_transport = fail
    run_stage(teach.STAGE, farm.runtime, job_of(farm))

    assert farm.runtime.is_broken
    assert farm.query(
        "SELECT num_errors, num_lost_leases FROM jobs WHERE stage = 'teach'"
    ) == [(1, 0)]


def test_a_forked_child_holds_no_engine(runtime):
    runtime.is_forked = True
    spec = teach.VOTERS["teacher"].needs_engine(LOCAL)

    with pytest.raises(NotHere, match="forks one a slot"):
        runtime.transport(spec)


@pytest.mark.slow  # runs a loop
def test_rounds_go_on_without_a_voter_in_quarantine(farm):
    start_teacher(
        farm, FakeTransport(agree), voters=[teacher(), teacher("u")], rounds=2
    )
    farm.run(until="teach")
    run_stage(teach.STAGE, farm.runtime, job_of(farm))
    with farm.sessions.begin() as session:
        voter_rows.quarantine(session, "t", on=True)
    recount(farm.sessions)

    farm.run()

    assert farm.parked() == []
    rows = farm.query(
        "SELECT number, decisions -> 'quarantined' FROM rounds ORDER BY 1"
    )
    assert rows == [(1, ["t"]), (2, ["t"])]
    used = farm.query(
        """SELECT DISTINCT r.number, n.name FROM round_votes rv
           JOIN rounds r ON r.id = rv.round_id JOIN votes v ON v.id = rv.vote_id
           JOIN voters n ON n.id = v.voter_id ORDER BY 1, 2"""
    )
    assert used == [(1, "u"), (2, "u")]
    # What it had voted before stays stored.
    assert farm.query(
        """SELECT count(*) > 0 FROM votes v JOIN voters n ON n.id = v.voter_id
           WHERE n.name = 't'"""
    ) == [(True,)]
