import asyncio
import time

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

from db.queries import endpoints
from worker.transports.limiter import Limiter

REPORT_S = 0.05


def limiter(sessions, worker="w1", *, max_concurrency=4):
    return Limiter(
        sessions, "e", worker, max_concurrency=max_concurrency, report_s=REPORT_S
    )


def concurrency(sessions):
    with sessions.begin() as session:
        return session.execute(text("SELECT concurrency FROM endpoints")).scalar_one()


def held(sessions):
    with sessions.begin() as session:
        rows = session.execute(text("SELECT worker, slots FROM endpoint_workers"))
        return {row.worker: row.slots for row in rows}


def test_no_more_are_let_in_than_the_endpoint_bears(sessions):
    most = 0

    async def one(limits):
        nonlocal most
        async with limits.slot():
            most = max(most, limits.num_open)
            await asyncio.sleep(0.01)
            limits.answered()

    async def work():
        async with limiter(sessions, max_concurrency=3) as limits:
            await asyncio.gather(*(one(limits) for _ in range(20)))

    asyncio.run(work())

    assert most == 3
    assert held(sessions) == {}  # given back at the end


def test_first_come_is_first_served(sessions):
    order = []

    async def one(limits, number):
        async with limits.slot():
            order.append(number)
            await asyncio.sleep(0)

    async def work():
        async with limiter(sessions, max_concurrency=2) as limits:
            await asyncio.gather(*(one(limits, number) for number in range(10)))

    asyncio.run(work())

    assert order == list(range(10))


def test_a_burst_halves_the_limit_once_however_late_its_last_refusal(
    sessions, monkeypatch
):
    # Reports are told apart by what was sent before, not by the database's burst.
    monkeypatch.setattr(endpoints, "BURST_S", 0.0)

    async def one(limits, wait_s):
        async with limits.slot() as sent_at:
            await asyncio.sleep(wait_s)
            limits.refused(sent_at)

    async def work():
        async with limiter(sessions, max_concurrency=16) as limits:
            # all sent before the first refusal; the last is refused reports later
            await asyncio.gather(*(one(limits, 0.03 * i) for i in range(16)))

    asyncio.run(work())

    # 16 / 2
    assert concurrency(sessions) == 8.0


def test_answers_count_only_while_all_slots_are_used(sessions):
    async def one(limits):
        async with limits.slot():
            await asyncio.sleep(2 * REPORT_S)
            limits.answered()

    async def work(number):
        async with limiter(sessions, max_concurrency=16) as limits:
            await asyncio.gather(*(one(limits) for _ in range(number)))

    asyncio.run(work(1))
    with sessions.begin() as session:
        session.execute(text("UPDATE endpoints SET concurrency = 4"))

    asyncio.run(work(2))
    assert concurrency(sessions) > 4.0  # 2 wanted, 2 given: all were used

    before = concurrency(sessions)
    asyncio.run(work(0))
    assert concurrency(sessions) == before


def test_nobody_enters_while_the_endpoint_is_paused(sessions):
    entered = []

    async def work():
        async with (
            limiter(sessions, "w1") as one,
            limiter(sessions, "w2") as other,
        ):
            async with one.slot() as sent_at:
                one.refused(sent_at, pause_s=0.5)
            began = time.monotonic()
            # told to the database by the next report, for a request that waits
            waiting = asyncio.create_task(_enter(one, entered))
            await asyncio.sleep(4 * REPORT_S)
            async with other.slot():
                entered.append(time.monotonic())
            await waiting
        return began

    began = asyncio.run(work())

    assert min(entered) - began >= 0.4


async def _enter(limits, entered):
    async with limits.slot():
        entered.append(time.monotonic())


def test_one_that_gives_up_waiting_takes_no_slot(sessions):
    async def work():
        async with limiter(sessions, max_concurrency=1) as limits:
            async with limits.slot():
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05), limits.slot():
                        pass
                assert limits.num_open == 1
            async with asyncio.timeout(1), limits.slot():
                assert limits.num_open == 1

    asyncio.run(work())


def test_without_a_database_nobody_sends(caplog):
    away = sessionmaker(create_engine("postgresql+psycopg://u@127.0.0.1:1/none"))

    async def work():
        async with limiter(away) as limits, asyncio.timeout(0.3), limits.slot():
            pass

    with pytest.raises(TimeoutError):
        asyncio.run(work())

    assert "the limit of endpoint 'e' cannot be shared" in caplog.text
