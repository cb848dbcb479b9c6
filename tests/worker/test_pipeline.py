import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.queries import loops
from kompress.config import RoundConfig, parse_config
from tests.worker.worlds import (
    change,
    eventually,
    make_world,
    query,
    someone_waits,
)
from worker.pipeline import (
    RoundState,
    advance,
    last_wave,
    next_jobs,
    shard_wave,
)

TWO_SHARDS = {1: (0, 1), 2: (0,), 3: (0, 1)}
TAIL = ["evaluate", "conclude"]


LABELS = ["count", "fit", "aggregate", "judge"]
JUDGES = [{"name": f"j{n}", "kind": "teacher"} for n in range(2)]


def config(
    *waves,
    folds=0,
    suites=("planted",),
    label_source="consensus",
    mix=(),
    protocol="words",
):
    return parse_config(
        RoundConfig,
        {
            "protocol": protocol,
            "pairwise": {"judges": JUDGES},
            "voters": [
                {"name": f"v{n}", "kind": "simulated", "wave": wave}
                for n, wave in enumerate(waves)
            ],
            "folds": folds,
            "evaluation": {"suites": suites},
            "label_source": label_source,
            "recipe": {"mix": mix},
        },
    )


def walk(config, shards=TWO_SHARDS, *, is_last=False):
    """All steps from select to the end."""
    steps = []
    stage, wave = "select", 0
    while True:
        step = next_jobs(RoundState(stage, wave, config, shards, is_last))
        if step is None:
            return steps
        steps.append(step)
        stage, wave = step.stage, step.wave
        assert len(steps) < 100


def names(steps):
    return [step.stage if not step.wave else (step.stage, step.wave) for step in steps]


def test_one_wave_runs_from_teach_to_conclude():
    found = names(walk(config(1, 1)))

    assert found == [("teach", 1), *LABELS, "train", *TAIL]


def test_a_shard_that_a_budget_bought_for_some_voters_is_asked_of_them_alone():
    state = RoundState(
        "escalate",
        1,
        config(1, 2, 2),
        {1: (0,), 2: (0, 1, 2)},
        is_last=False,
        asked={2: {0: {"v1": 3}, 1: {"v0": 2, "v1": 1, "v2": 1}}},
    )

    step = next_jobs(state)

    # v0 of the first wave is asked again. Shard 2 is not in it: it is for all the wave.
    asked = [(job.voter, job.shard, job.args["replicates"]) for job in step.jobs]
    assert sorted(asked) == [
        ("v0", 1, 2), ("v1", 0, 3), ("v1", 1, 1), ("v1", 2, 1), ("v2", 1, 1),
        ("v2", 2, 1),
    ]  # fmt: skip


def test_a_wave_that_only_asks_earlier_voters_again_has_jobs_for_them():
    asked = {2: {0: {"v0": 2}}}
    state = RoundState(
        "escalate", 1, config(1, 2), {1: (0,), 2: (0,)}, is_last=False, asked=asked
    )

    absent = replace(state, absent=frozenset({"v0"}))

    assert [(job.voter, job.wave) for job in next_jobs(state).jobs] == [("v0", 2)]
    # In quarantine since: nobody is left to ask.
    assert next_jobs(absent).stage == "count"


def test_a_second_wave_is_opened_by_escalate():
    found = names(walk(config(1, 2)))

    assert found == [
        ("teach", 1), ("escalate", 1), ("teach", 2), *LABELS, "train", *TAIL,
    ]  # fmt: skip


def test_a_wave_without_documents_is_passed_over():
    shards = {1: (0,), 2: (), 3: (0,)}

    found = names(walk(config(1, 2, 3), shards))

    # Wave 2 has no teaching, yet who goes on to wave 3 is still asked.
    assert found[:6] == [
        ("teach", 1), ("escalate", 1), ("escalate", 2), ("teach", 3), "count", "fit",
    ]  # fmt: skip


@pytest.mark.parametrize("source", ["self_label", "self_label+teacher"])
@pytest.mark.parametrize("is_mixed", [False, True])
def test_a_student_labels_itself_only_where_the_round_says_so(source, is_mixed):
    mix = [{"source": source}, {"source": "gold"}] if is_mixed else []
    own = "consensus" if is_mixed else source

    found = names(walk(config(1, label_source=own, mix=mix)))

    assert found == [("teach", 1), *LABELS, "self_label", "train", *TAIL]


@pytest.mark.parametrize("protocol", ["pairwise", "both"])
def test_references_are_compared_after_the_last_wave(protocol):
    found = names(walk(config(1, 2, protocol=protocol)))

    assert found == [
        ("teach", 1), ("escalate", 1), ("teach", 2), "nominate", "compare", "choose",
        *LABELS, "train", *TAIL,
    ]  # fmt: skip


@pytest.mark.parametrize("protocol", ["pairwise", "both"])
def test_each_judge_is_asked_about_each_shard_of_the_first_wave(protocol):
    steps = {step.stage: step for step in walk(config(1, 2, protocol=protocol))}

    asked = [(job.voter, job.shard) for job in steps["compare"].jobs]
    assert asked == [("j0", 0), ("j0", 1), ("j1", 0), ("j1", 1)]
    for stage in ("nominate", "choose"):
        assert [(job.voter, job.shard) for job in steps[stage].jobs] == [
            ("", 0), ("", 1),
        ]  # fmt: skip
    # One fit sees the votes of all shards.
    assert [(job.voter, job.shard) for job in steps["fit"].jobs] == [("", 0)]


def test_judges_have_nothing_to_do_where_words_decide():
    stages = {step.stage for step in walk(config(1, protocol="words"))}

    assert not stages & {"nominate", "compare", "choose"}


def test_folds_add_students_and_residuals():
    steps = {step.stage: step for step in walk(config(1, folds=2))}

    assert [job.shard for job in steps["train"].jobs] == [0, 1, 2]
    assert [job.shard for job in steps["residuals"].jobs] == [0, 1]
    assert {job.deadline_s for job in steps["train"].jobs} == {6 * 3600}


def test_the_last_round_measures_no_residuals():
    steps = {step.stage: step for step in walk(config(1, folds=2), is_last=True)}

    assert "residuals" not in steps
    # Its fold students are trained all the same: the config asks for them.
    assert len(steps["train"].jobs) == 3


def test_teaching_asks_each_voter_of_the_wave_about_each_shard():
    teach = walk(config(1, 2, 1))[0]

    asked = [(job.voter, job.shard) for job in teach.jobs]
    assert asked == [("v0", 0), ("v0", 1), ("v2", 0), ("v2", 1)]
    assert {(job.stage, job.wave) for job in teach.jobs} == {("teach", 1)}


def test_one_job_scores_one_suite():
    evaluate = walk(config(1, suites=("dense", "planted")))[-2]

    assert [job.shard for job in evaluate.jobs] == [0, 1]


def test_only_teaching_has_shards_of_its_own_in_each_wave():
    assert shard_wave("teach", 2) == 2
    assert shard_wave("self_label", 0) == 1


@given(
    waves=st.lists(st.integers(1, 4), max_size=4).map(lambda found: [1, *found]),
    folds=st.sampled_from([0, 2, 5]),
    suites=st.sampled_from([(), ("dense",), ("dense", "agent")]),
    source=st.sampled_from(["silver", "corrected", "consensus", "self_label"]),
    sizes=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    is_last=st.booleans(),
    protocol=st.sampled_from(["words", "pairwise", "both"]),
)
def test_every_round_ends_in_conclude_and_visits_nothing_twice(
    waves, folds, suites, source, sizes, is_last, protocol
):
    made = config(
        *waves, folds=folds, suites=suites, label_source=source, protocol=protocol
    )
    shards = {n: tuple(range(size)) for n, size in enumerate(sizes, start=1)}

    steps = walk(made, shards, is_last=is_last)

    visited = [(step.stage, step.wave) for step in steps]
    assert visited[-1] == ("conclude", 0)
    assert len(set(visited)) == len(visited)
    assert all(step.jobs for step in steps)
    assert all(wave <= last_wave(made) for _, wave in visited)
    keys = [(j.stage, j.wave, j.voter, j.shard) for step in steps for j in step.jobs]
    assert len(set(keys)) == len(keys)


def read(sessions, world):
    return query(sessions, "SELECT stage, wave, open_jobs FROM rounds WHERE id = :id",
                 id=world.round_id)[0]  # fmt: skip


def test_the_count_falls_by_what_ended(sessions):
    world = make_world(sessions, num_shards=3)

    with sessions.begin() as session:
        advance(session, world.round_id, num_finished=1)

    assert read(sessions, world) == ("aggregate", 0, 2)


def test_a_recount_believes_the_rows_and_not_the_count(sessions):
    world = make_world(sessions, num_shards=3)
    change(sessions, "UPDATE rounds SET open_jobs = 1")
    change(sessions, "UPDATE jobs SET status = 'failed' WHERE shard = 0")
    change(sessions, "UPDATE jobs SET status = 'done' WHERE shard = 1")

    with sessions.begin() as session:
        advance(session, world.round_id, num_finished=0)

    # One is pending; one is parked, and waited for no more.
    assert read(sessions, world) == ("aggregate", 0, 1)


def test_at_zero_the_next_step_is_open_with_its_jobs(sessions):
    world = make_world(sessions)

    with sessions.begin() as session:
        advance(session, world.round_id, num_finished=1)

    assert read(sessions, world) == ("judge", 0, 1)
    made = query(sessions, "SELECT stage, status FROM jobs ORDER BY id")
    assert made == [("aggregate", "pending"), ("judge", "pending")]


def test_two_that_end_at_once_count_one_after_the_other(sessions):
    world = make_world(sessions, num_shards=2)

    def end():
        with sessions.begin() as session:
            advance(session, world.round_id, num_finished=1)

    second = threading.Thread(target=end)
    with sessions.begin() as session:
        advance(session, world.round_id, num_finished=1)
        second.start()
        # Neither sees the other's count before it is committed.
        eventually(lambda: someone_waits(sessions))
    second.join(20)

    assert read(sessions, world) == ("judge", 0, 1)


def test_after_conclude_nothing_is_open(sessions):
    world = make_world(sessions, stage="conclude")

    with sessions.begin() as session:
        advance(session, world.round_id, num_finished=1)

    assert read(sessions, world) == ("conclude", 0, 0)


@pytest.mark.parametrize("status", ["finished", "cancelled"])
def test_a_round_that_has_ended_opens_nothing(sessions, status):
    world = make_world(sessions)
    change(sessions, "UPDATE rounds SET status = :status", status=status)

    with sessions.begin() as session:
        advance(session, world.round_id, num_finished=1)
        held = loops.read_round(session, world.round_id)

    assert (held.stage, held.open_jobs) == ("aggregate", 1)
