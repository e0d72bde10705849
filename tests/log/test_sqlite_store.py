"""The order log on disk: whole groups, reopened, read-only, damaged, from the future."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import stat
import threading
from collections.abc import Sequence
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradingd.log.journal import Journal
from tradingd.log.memory_tape import NullTape
from tradingd.log.order_log import OrderLog
from tradingd.log.sqlite_store import LogThread, SqliteStore, StoreCorrupt, StoreError, StoreTooNew
from tradingd.log.verify import verify
from tradingd.messages import (
    CashMoved,
    Envelope,
    Level,
    LevelChanged,
    SnapshotAsked,
)
from tradingd.runtime.ports import Checkpoint


def facts(*seqs: int) -> list[Envelope]:
    return [Envelope(seq, seq * 10, "supervisor", SnapshotAsked(str(seq))) for seq in seqs]


async def filled(path: Path, *groups: Sequence[Envelope]) -> None:
    store = SqliteStore(path)
    await store.open()
    for group in groups:
        await store.write(group)
    await store.close()


async def test_what_was_written_is_there_when_the_store_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    money = Envelope(7, 70, "broker", CashMoved("a1", "CSD", Decimal("-0.10"), 5))
    await filled(path, facts(0, 2), [money])
    store = SqliteStore(path)
    await store.open()

    assert await store.read() == [*facts(0, 2), money]
    assert await store.read(0) == [*facts(2), money]
    assert await store.read_types([CashMoved]) == [money]
    assert await store.read_types([CashMoved, SnapshotAsked], after_seq=0) == [*facts(2), money]
    assert verify(path).faults == ()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "orders.db-wal").stat().st_mode) == 0o600
    await store.close()


async def test_a_group_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "orders.db")
    await store.open()
    await store.write(facts(0))
    with pytest.raises(sqlite3.IntegrityError):
        await store.write(facts(1, 1))
    await store.write(facts(2))

    assert await store.read() == facts(0, 2)
    assert verify(tmp_path / "orders.db").faults == ()
    await store.close()


async def test_values_and_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    store = SqliteStore(path)
    await store.open()
    assert await store.latest_checkpoint() is None
    assert await store.get("genesis") is None
    await store.put("genesis", "abcdef")
    for seq in (3, 9, 27):
        await store.save_checkpoint(Checkpoint(seq, {"risk": b"r%d" % seq, "broker": b"\0"}))
    await store.close()
    await store.open()

    assert await store.get("genesis") == "abcdef"
    assert await store.latest_checkpoint() == Checkpoint(27, {"risk": b"r27", "broker": b"\0"})
    await store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT seq FROM checkpoints").fetchall() == [(9,), (27,)]
    db.close()


async def test_another_process_may_look_on_and_not_write(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    writer, reader = SqliteStore(path), SqliteStore(path, is_read_only=True)
    await writer.open()
    await writer.write(facts(0))
    await reader.open()
    await writer.write(facts(1))

    assert await reader.read() == facts(0, 1)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await reader.write(facts(2))
    await reader.close()
    await writer.close()


async def test_looking_for_a_store_that_is_not_there_does_not_make_one(tmp_path: Path) -> None:
    reader = SqliteStore(tmp_path / "orders.db", is_read_only=True)

    with pytest.raises(StoreError, match="unable to open"):
        await reader.open()
    assert not (tmp_path / "orders.db").exists()


async def test_what_is_private_in_aiosqlite_is_as_in_the_version_pinned(tmp_path: Path) -> None:
    assert version("aiosqlite").startswith("0.22.")
    thread = LogThread(OrderLog(tmp_path / "orders.db"))
    await thread.begin()
    assert await thread.do(threading.current_thread) is thread._thread, "work runs where it lives"
    first, second = thread.do(threading.get_ident), thread.do(threading.get_ident)
    assert {*await asyncio.gather(first, second)} == {thread._thread.ident}
    await thread.close()
    await asyncio.to_thread(thread._thread.join, 5)
    assert not thread._thread.is_alive()


async def test_an_opening_that_fails_leaves_no_thread_behind(tmp_path: Path) -> None:
    (tmp_path / "orders.db").write_bytes(b"no database at all" * 99)
    thread = LogThread(OrderLog(tmp_path / "orders.db"))
    with pytest.raises(StoreCorrupt):
        await thread.begin()
    assert not thread._thread.is_alive()


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    await filled(path, facts(0))
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()

    with pytest.raises(StoreTooNew, match="schema 99"):
        await SqliteStore(path).open()


async def test_a_file_that_is_no_order_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    path.write_bytes(b"this is not a database" * 1000)

    with pytest.raises(StoreCorrupt, match="not a database"):
        await SqliteStore(path).open()


async def test_a_damaged_order_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    await filled(path, facts(*range(2_000)))
    content = bytearray(path.read_bytes())
    content[8192:16384] = bytes(random.Random(1).randbytes(8192))
    path.write_bytes(content)

    with pytest.raises(StoreCorrupt):
        await SqliteStore(path).open()


async def test_an_edited_row_is_found_by_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    await filled(path, facts(0, 1), facts(5, 6))
    db = sqlite3.connect(path)
    db.execute("UPDATE order_log SET at = at + 1 WHERE seq = 5")
    db.commit()
    db.close()

    (fault,) = verify(path).faults
    assert (fault.file, fault.seq) == ("orders.db", 5)


async def test_the_journal_is_durable_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    store = SqliteStore(path)
    await store.open()
    journal = Journal(store, NullTape())
    for envelope in facts(0, 1):
        journal.append(envelope)
    task = asyncio.create_task(journal.run())
    await journal.durable(1)
    looking = SqliteStore(path, is_read_only=True)
    await looking.open()

    assert await looking.read() == facts(0, 1)
    await looking.close()
    journal.close()
    await task
    await store.close()


GROUPS = st.lists(st.lists(st.booleans(), min_size=1, max_size=5), min_size=1, max_size=8)


@given(GROUPS, st.data())
@settings(max_examples=15)
def test_a_crash_between_groups_loses_only_the_tail(
    tmp_path_factory: pytest.TempPathFactory, shapes: list[list[bool]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("crash")
    rows = iter(facts(*range(100)))
    groups = [[next(rows) for _ in shape] for shape in shapes]
    survived = data.draw(st.integers(0, len(groups)))

    async def life() -> list[Envelope]:
        store, again = SqliteStore(folder / "a.db"), SqliteStore(folder / "b.db")
        await store.open()
        for n, group in enumerate(groups):
            if n == survived:
                break
            await store.write(group)
        for suffix in ("", "-wal"):  # what the disk holds at the moment of the crash
            shutil.copy(folder / f"a.db{suffix}", folder / f"b.db{suffix}")
        await store.close()
        await again.open()
        found = await again.read()
        assert verify(folder / "b.db").faults == ()
        await again.close()
        return found

    assert asyncio.run(life()) == [row for group in groups[:survived] for row in group]


async def test_enumerated_words_come_back_as_words(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    changed = Envelope(0, 0, "supervisor", LevelChanged(Level.HALTED, ("loss", "operator")))
    await filled(path, [changed])
    store = SqliteStore(path)
    await store.open()
    (found,) = await store.read()
    await store.close()

    assert found == changed
    assert isinstance(found.message, LevelChanged)
    assert found.message.level is Level.HALTED


async def test_a_row_that_is_no_message_is_named_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    await filled(path, facts(0))
    db = sqlite3.connect(path)
    db.execute("UPDATE order_log SET body = x'c1'")
    db.commit()
    db.close()
    store = SqliteStore(path)
    await store.open()
    with pytest.raises(StoreCorrupt, match="a row is no message"):
        await store.read()
    await store.close()
