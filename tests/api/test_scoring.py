import threading
import time

import numpy as np
import pytest

from api.errors import ServerBusy, ServerStopping
from api.scoring import BatchScorer
from tests.api.half import Half


@pytest.fixture
def student():
    return Half()


def make_scorer(student, **changes):
    scorer = BatchScorer(student, **{"max_queue": 8, "max_batch": 100} | changes)
    scorer.start()
    return scorer


def test_what_waits_is_scored_together_up_to_the_budget(student):
    student.go.clear()
    scorer = make_scorer(student)
    held = scorer.submit("held")
    assert student.entered.wait(10)
    # 3 characters a token: 41 + 41 fit into 100, with 41 more they do not.
    futures = [scorer.submit("x" * 120) for _ in range(3)]
    long = scorer.submit("y" * 3_000)
    student.go.set()
    scorer.stop()

    assert all(future.done() for future in (held, *futures, long))
    assert [len(batch) for batch in student.batches] == [1, 2, 1, 1]


def test_a_cancelled_request_makes_room_in_a_full_queue(student):
    student.go.clear()
    scorer = make_scorer(student, max_queue=1)
    scorer.submit("held")
    assert student.entered.wait(10)
    waiting = scorer.submit("a")
    with pytest.raises(ServerBusy):
        scorer.submit("b")

    waiting.cancel()
    late = scorer.submit("c")
    student.go.set()
    scorer.stop()

    assert late.result().shape == (1,)
    assert student.batches == [["held"], ["c"]]


def test_a_stopping_scorer_finishes_what_waits_and_takes_no_more(student):
    student.go.clear()
    scorer = make_scorer(student)
    futures = [scorer.submit("a b"), scorer.submit("c")]
    assert student.entered.wait(10)

    stopper = threading.Thread(target=scorer.stop)
    stopper.start()
    while scorer.is_ready:
        time.sleep(0.001)
    with pytest.raises(ServerStopping):
        scorer.submit("late")
    student.go.set()
    stopper.join()

    assert [future.result().shape for future in futures] == [(2,), (1,)]


def test_a_long_text_lets_short_ones_pass_between_its_parts(student):
    student.go.clear()
    scorer = make_scorer(student)
    long = scorer.submit("long " * 250)  # 1,250 characters: over 100 tokens
    assert student.entered.wait(10)
    short = scorer.submit("short text")
    student.go.set()
    scorer.stop()

    sizes = [sum(len(text.split()) for text in batch) for batch in student.batches]
    assert sizes == [100, 2, 100, 50]
    assert long.result().shape == (250,)
    assert not np.isnan(long.result()).any()
    assert short.result().shape == (2,)


def test_a_long_text_whose_client_has_gone_is_not_scored_on(student):
    student.go.clear()
    scorer = make_scorer(student)
    long = scorer.submit("long " * 1_000)
    assert student.entered.wait(10)
    long.cancel()
    student.go.set()
    scorer.stop()

    assert len(student.batches) == 1


def test_who_waits_too_long_is_answered_without_scores(student):
    student.go.clear()
    scorer = make_scorer(student, deadline_s=0.05)
    scorer.submit("held")
    assert student.entered.wait(10)
    late = scorer.submit("two words")
    time.sleep(0.1)
    student.go.set()
    scorer.stop()

    assert np.isnan(late.result()).tolist() == [True, True]
    assert student.batches == [["held"]]


def test_a_long_text_that_fails_hurts_itself_only(student):
    scorer = make_scorer(student)
    long, short = scorer.submit("poison " * 250), scorer.submit("good")
    scorer.stop()

    with pytest.raises(ValueError, match="poison"):
        long.result()
    assert short.result().shape == (1,)
