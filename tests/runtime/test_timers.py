"""Timers and the virtual loop, in virtual time: no test waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tradingd.messages import CancelTimer, Envelope, SetTimer, TimerFired
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.timers import WAIT_REAL_S_MAX, Timers
from tradingd.runtime.virtual_loop import Deadlock, VirtualClock, VirtualLoop
from tradingd.wiring import WIRING

SECOND = 1_000_000_000
ORIGIN = 1_700_000_000 * SECOND
Main = Callable[[], Coroutine[Any, Any, None]]


def run_virtually(main: Main, seed: object = 0) -> float:
    """Run to the end; return the virtual seconds it took."""
    loop = VirtualLoop(seed)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
        return loop.time()


def fired(log: list[Envelope]) -> list[tuple[str, float]]:
    return [
        (e.message.key, (e.at - ORIGIN) / SECOND) for e in log if isinstance(e.message, TimerFired)
    ]


def test_timers_fire_at_their_time_moved_or_canceled_as_asked() -> None:
    log: list[Envelope] = []

    async def main() -> None:
        clock = VirtualClock(asyncio.get_running_loop(), ORIGIN)
        bus = Bus(clock, log, WIRING)
        task = asyncio.create_task(Timers(bus, clock).run())
        owner = bus.mailbox("quotes")
        for key, after in (("late", 300), ("early", 2), ("gone", 3), ("moved", 4)):
            bus.publish("quotes", SetTimer("quotes", key, ORIGIN + after * SECOND))
        await asyncio.sleep(1)
        bus.publish("quotes", CancelTimer("quotes", "gone"))
        bus.publish("quotes", SetTimer("quotes", "moved", ORIGIN + 100 * SECOND))
        bus.publish("quotes", SetTimer("quotes", "past", ORIGIN))
        bus.publish("strategy", SetTimer("strategy", "another's", ORIGIN + 5 * SECOND))
        await asyncio.sleep(400)
        assert owner.qsize() == 4
        task.cancel()

    run_virtually(main)

    expected = [("past", 1), ("early", 2), ("another's", 5), ("moved", 100), ("late", 300)]
    assert [key for key, _ in fired(log)] == [key for key, _ in expected]
    assert [at for _, at in fired(log)] == pytest.approx([at for _, at in expected], abs=0.01)


def test_no_timer_fires_before_the_clock_says_so() -> None:
    log: list[Envelope] = []

    async def main() -> None:
        clock = ManualClock(ORIGIN)  # stands still while the loop's time runs
        bus = Bus(clock, log, WIRING)
        timers = Timers(bus, clock)
        timers.restore([Envelope(0, 0, "quotes", SetTimer("quotes", "t", ORIGIN + SECOND))])
        task = asyncio.create_task(timers.run())
        await asyncio.sleep(3)
        assert log == []
        clock.advance(2 * SECOND)
        await asyncio.sleep(2)
        task.cancel()

    run_virtually(main)

    assert fired(log) == [("t", 2.0)]


def test_a_clock_that_stepped_forward_is_noticed_within_the_named_wait() -> None:
    log: list[Envelope] = []

    async def main() -> None:
        clock = ManualClock(ORIGIN)
        bus = Bus(clock, log, WIRING)
        timers = Timers(bus, clock)
        task = asyncio.create_task(timers.run())
        bus.publish("quotes", SetTimer("quotes", "t", ORIGIN + 3_600 * SECOND))
        await asyncio.sleep(0.1)
        clock.advance(3_600 * SECOND)
        await asyncio.sleep(WAIT_REAL_S_MAX)
        task.cancel()

    run_virtually(main)

    assert [key for key, _ in fired(log)] == ["t"]


def test_an_hour_of_waiting_takes_no_time_and_timeouts_work() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3_600):
                await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(10))
            group.create_task(asyncio.sleep(20))

    assert run_virtually(main) == pytest.approx(3_620)


def test_one_seed_gives_one_schedule_and_another_seed_another() -> None:
    def order(seed: int) -> list[int]:
        seen: list[int] = []

        async def worker(n: int) -> None:
            for _ in range(3):
                seen.append(n)
                await asyncio.sleep(0)

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                for n in range(5):
                    group.create_task(worker(n))

        run_virtually(main, seed)
        return seen

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(5)}) > 1


def test_waiting_for_nothing_is_a_deadlock_found_at_once() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    loop = VirtualLoop(0)
    task = loop.create_task(main())
    with pytest.raises(Deadlock, match="nothing is scheduled"):
        loop.run_until_complete(task)
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()


def test_threads_are_refused_in_virtual_time() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="no threads"):
            await asyncio.to_thread(print)

    run_virtually(main)
