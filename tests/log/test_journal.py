"""The journal: durable means written, groups are whole, failure is for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tradingd.log.journal import Journal, JournalFailed
from tradingd.log.memory_store import MemoryStore, NullStore
from tradingd.log.memory_tape import MemoryTape, NullTape
from tradingd.messages import Envelope, Quote, SnapshotAsked


class PacedStore(MemoryStore):
    """Each write waits until it is let go, and may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Semaphore(0)
        self.error: Exception | None = None
        self.groups: list[list[int]] = []
        self.written = asyncio.Event()

    async def write(self, group: Sequence[Envelope]) -> None:
        await self.gate.acquire()
        if self.error is not None:
            raise self.error
        self.groups.append([envelope.seq for envelope in group])
        await super().write(group)
        self.written.set()


def ask(seq: int) -> Envelope:
    return Envelope(seq, seq, "supervisor", SnapshotAsked(str(seq)))


def quote(seq: int) -> Envelope:
    return Envelope(seq, seq, "feed", Quote("IBM", 1.0, 1.0, 1.0, 1.0, seq))


async def passes(turns: int = 8) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(journal: Journal) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(journal.run())
    yield task
    task.cancel()
    await asyncio.wait([task])


async def test_durable_waits_for_its_own_group_and_no_longer() -> None:
    store = PacedStore()
    journal = Journal(store, NullTape())
    async with running(journal):
        journal.append(ask(0))
        first = asyncio.create_task(journal.durable(0))
        await passes()
        journal.append(ask(1))
        journal.append(ask(2))
        second, third = (asyncio.create_task(journal.durable(seq)) for seq in (2, 1))
        await passes()
        assert not first.done()
        store.gate.release()
        await passes()
        assert first.done()
        assert not second.done()
        assert not third.done()
        store.gate.release()
        await asyncio.gather(second, third)

    assert store.groups == [[0], [1, 2]]
    assert (journal.groups, journal.rows, journal.pending) == (2, 3, 0)


async def test_without_a_waiter_the_group_is_written_a_moment_later() -> None:
    store = PacedStore()
    store.gate.release()
    journal = Journal(store, NullTape())
    async with running(journal):
        journal.append(ask(0))
        journal.append(ask(1))
        await passes()
        assert store.groups == []
        async with asyncio.timeout(60):
            await store.written.wait()

    assert store.groups == [[0, 1]]


async def test_market_data_goes_to_the_tape_and_is_waited_for_by_nobody() -> None:
    store, tape = PacedStore(), MemoryTape()
    journal = Journal(store, tape)
    async with running(journal):
        journal.append(quote(0))
        await journal.durable(0)
        journal.append(ask(1))
        journal.append(quote(2))
        waiter = asyncio.create_task(journal.durable(2))
        await passes()
        assert not waiter.done()
        store.gate.release()
        await waiter

    assert [e.seq for e in tape.read()] == [0, 2]
    assert store.groups == [[1]]


async def test_a_failed_disk_fails_everyone_who_waits_now_and_for_ever() -> None:
    store, failures = PacedStore(), list[JournalFailed]()
    store.error = OSError(28, "No space left on device")
    journal = Journal(store, NullTape(), failures.append)
    async with running(journal) as task:
        journal.append(ask(0))
        waiter = asyncio.create_task(journal.durable(0))
        await passes()
        store.gate.release()
        with pytest.raises(JournalFailed, match="No space left"):
            await waiter
        with pytest.raises(JournalFailed, match="No space left"):
            await journal.durable(0)
        journal.append(ask(1))
        await passes()
        assert task.done()

    assert failures == [journal.failed]
    assert journal.pending == 0


async def test_a_disk_that_does_not_keep_up_counts_as_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tradingd.log.journal.PENDING_MAX", 3)
    journal = Journal(PacedStore(), NullTape())
    async with running(journal):
        for seq in range(4):
            journal.append(ask(seq))

    assert "wait for the disk" in str(journal.failed)


async def test_fault_60_canceling_the_writer_lets_a_begun_group_finish() -> None:
    store = PacedStore()
    journal = Journal(store, NullTape())
    async with running(journal) as task:
        journal.append(ask(0))
        waiter = asyncio.create_task(journal.durable(0))
        await passes()
        task.cancel()
        await passes()
        assert not task.done()
        store.gate.release()
    waiter.cancel()

    assert store.groups == [[0]]


async def test_fault_60_a_waiter_that_was_canceled_hurts_nobody() -> None:
    store = PacedStore()
    journal = Journal(store, NullTape())
    async with running(journal):
        journal.append(ask(0))
        gone, stays = (asyncio.create_task(journal.durable(0)) for _ in range(2))
        await passes()
        gone.cancel()
        store.gate.release()
        await stays

    assert gone.cancelled()


async def test_closing_writes_what_is_left() -> None:
    store = MemoryStore()
    journal = Journal(store, NullTape())
    task = asyncio.create_task(journal.run())
    journal.append(ask(0))
    journal.close()
    await task

    assert await store.read() == [ask(0)]
    assert await store.read(0) == []


async def test_the_null_store_forgets() -> None:
    store = NullStore()
    await store.write([ask(0)])
    await store.put("genesis", "abc")

    assert await store.read() == []
    assert await store.get("genesis") == "abc"
