"""A caller is told that work goes on, and work that it is too late."""

from worker.transports.ticker import Ticker


def test_a_tick_is_called_at_once_and_not_at_every_beat():
    ticks = []
    ticker = Ticker(lambda: ticks.append(1), deadline_s=60)

    for _ in range(1_000):
        ticker.beat()

    # A busy machine may take longer than `TICK_S` for all.
    assert 1 <= len(ticks) < 100


def test_what_came_too_late_may_be_asked_again():
    ticker = Ticker(lambda: None, deadline_s=-1)

    assert ticker.is_late()
    assert ticker.late().is_transient
    assert not Ticker(lambda: None, deadline_s=60).is_late()
