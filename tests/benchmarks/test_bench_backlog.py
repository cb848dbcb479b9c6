from benchmarks.bench_backlog import NUM_LOOPS, fill, measure
from tests.worker.worlds import query


def test_it_measures_a_backlog_that_is_really_there(sessions):
    fill(sessions, num_done=60, num_pending=90)

    figures = measure(sessions)

    assert set(figures) == {"choose_hints", "reserve with a budget"}
    assert all(milliseconds > 0 for milliseconds in figures.values())
    ((loops, jobs),) = query(
        sessions, "SELECT count(DISTINCT round_id), count(*) FROM jobs"
    )
    assert (loops, jobs) == (NUM_LOOPS, 150)
