"""The sealed log: closed days in files of their own, read as one, never in two places, let go after years."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.log.days import DAYS, ROWS_OF_DAY, days, written
from tradingd.log import sqlite_store
from tradingd.log.order_log import OrderLog
from tradingd.log.segments import Due, Segment, write_segment
from tradingd.log.sqlite_store import SqliteStore
from tradingd.log.store_errors import StoreBeginsLater, StoreCorrupt, StoreOlder
from tradingd.log.verify import verify
from tradingd.messages import Envelope, LevelChanged, SnapshotAsked
from tradingd.runtime.ports import Checkpoint

SEALED = [f"orders-{day.replace('-', '')}.sqlite" for day in DAYS[:-1]]


def flat(groups: list[list[Envelope]]) -> list[Envelope]:
    return [row for rows in groups for row in rows]


def files(path: Path) -> list[str]:
    return sorted(file.name for file in (path.parent / "segments").iterdir())


def live_rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM order_log").fetchone()[0])


async def test_closed_days_rest_in_files_of_their_own_and_are_read_as_one(tmp_path: Path) -> None:
    path, groups = tmp_path / "orders.db", days()
    store = await written(path, groups)
    assert files(path) == SEALED
    assert live_rows(path) == ROWS_OF_DAY

    whole = flat(groups)
    assert await store.read() == whole
    assert await store.read(whole[70].seq) == whole[71:]
    levels = [row for row in whole if isinstance(row.message, LevelChanged)]
    assert await store.read_types([LevelChanged]) == levels
    assert await store.read_types([LevelChanged], levels[1].seq) == levels[2:]
    asked = [row.seq for row in whole if isinstance(row.message, SnapshotAsked)]
    for place in (1, 10, 49, 50, 120, len(asked)):
        assert await store.seq_of_last(SnapshotAsked, place) == asked[-place]
    assert await store.seq_of_last(SnapshotAsked, len(asked) + 1) == -1
    some = await store.sample(SnapshotAsked, 20)
    assert some[-1].seq == asked[-1]
    assert {row.seq // 100 for row in some} == {0, 1, 2, 3}, "some of every day"
    await store.close()
    found = verify(path)
    assert (found.segments, found.rows, found.faults) == (3, len(whole), ())


async def test_a_reader_sees_every_row_once_whatever_day_is_being_sealed(tmp_path: Path) -> None:
    path, groups = tmp_path / "orders.db", days()
    store = await written(path, groups[:3])
    log, reader = store._log, OrderLog(path, is_read_only=True)
    await store.write(groups[3])
    due = log.due(groups[3][-1].seq)
    assert due is not None
    segment = write_segment(path, due)
    reader.open()
    last = groups[2][-1].seq
    for step in (lambda: None, lambda: log.take_in(segment), log.clear_some):
        step()
        assert reader.read() == flat(groups)
        assert reader.seq_of_last(SnapshotAsked, ROWS_OF_DAY) == last, "one of today's is a level"
        found = verify(path)
        assert found.faults == ()
        assert bool(found.unregistered) is (log.segments[-1].day != segment.day)
    reader.close()
    await store.close()


@pytest.mark.parametrize("dies_at", ["write_segment", "take_in", "clear_some"])
async def test_a_crash_while_sealing_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    class Died(BaseException):
        """Nothing catches it."""

    def dies(*_: object) -> None:
        raise Died

    path, groups = tmp_path / "orders.db", days()
    store = await written(path, groups[:3])
    with monkeypatch.context() as patch:
        if dies_at == "write_segment":

            def half(log: Path, due: Due) -> Segment:
                write_segment(log, due)
                raise Died

            patch.setattr(sqlite_store, "write_segment", half)
        else:
            patch.setattr(OrderLog, dies_at, dies)
        with pytest.raises(Died):
            await written_on(store, groups[3])
    again = tmp_path / "again"
    shutil.copytree(path.parent, again, ignore=lambda *_: ["again"])
    await store.close()
    path = again / "orders.db"
    store = SqliteStore(path)
    await store.open()
    assert await store.read() == flat(groups)
    await checkpoint_at(store, groups[3][-1].seq)
    assert await store.read() == flat(groups)
    await store.close()
    assert files(path) == SEALED
    assert live_rows(path) == ROWS_OF_DAY
    assert verify(path).faults == ()


async def written_on(store: SqliteStore, rows: list[Envelope]) -> None:
    await store.write(rows)
    await checkpoint_at(store, rows[-1].seq)


async def checkpoint_at(store: SqliteStore, seq: int) -> None:
    await store.save_checkpoint(Checkpoint(seq, {"timers": b"x"}))


async def test_sealed_days_are_for_reading_only(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    await (await written(path, days())).close()
    for name in SEALED:
        assert (path.parent / "segments" / name).stat().st_mode & 0o777 == 0o400


async def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_and_then_for_a_sealed_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "orders.db"
    await (await written(path, days())).close()
    store = SqliteStore(path)
    found = []
    for _ in range(3):
        await store.open()
        checkpoint = await store.latest_checkpoint()
        await store.close()
        assert checkpoint is not None
        assert checkpoint.states == {"timers": b"%d" % checkpoint.seq}
        found.append(checkpoint.seq)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE checkpoints SET states = x'80' WHERE seq = ?", (found[-1],))
    last_day = days()[3]
    sealed_with_last = last_day[9].seq + 1
    assert found == [last_day[-1].seq + 1, sealed_with_last, sealed_with_last]


async def test_without_any_whole_checkpoint_the_log_is_read_from_its_beginning(
    tmp_path: Path,
) -> None:
    path = tmp_path / "orders.db"
    store = await written(path, days())
    newest, older = await store.latest_checkpoint(), None
    seen = 0
    while newest is not None:
        seen, older = seen + 1, newest
        newest = await store.latest_checkpoint(newest.seq)
    assert seen >= 4
    assert older is not None
    assert older.seq < days()[1][10].seq, "the first sealed day has one of its own"
    await store.close()


async def test_rows_that_a_checkpoint_knows_and_the_log_lost_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    await (await written(path, days())).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM order_log WHERE seq = (SELECT max(seq) FROM order_log)")
    store, seen = SqliteStore(path), tmp_path / "orders.seen"
    with pytest.raises(StoreOlder, match="had come to row 399"):
        await store.open()
    seen.write_text("39")  # torn by a power cut: it says nothing
    await store.open()
    with pytest.raises(StoreCorrupt, match="gone or changed"):
        await store.latest_checkpoint()
    await store.close()
    assert [fault.text for fault in verify(path).faults] == [
        "a checkpoint knows rows up to here that are gone or changed"
    ]


async def test_a_log_without_one_of_its_days_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    await (await written(path, days())).close()
    (path.parent / "segments" / SEALED[1]).unlink()
    with pytest.raises(StoreCorrupt, match=f"{SEALED[1]}: the sealed day is gone"):
        await SqliteStore(path).open()
    (fault,) = verify(path).faults
    assert (fault.file, fault.text) == (SEALED[1], "is gone, with rows 100 to 198")


LONG = ("2014-02-03", "2014-02-04", "2023-03-06", "2024-03-04", "2024-03-05")


async def test_by_default_no_day_is_ever_let_go(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    await (await written(path, days(LONG))).close()
    assert len(files(path)) == 4
    assert verify(path).let_go_seq is None


async def test_days_beyond_the_years_kept_are_let_go_and_the_rest_still_verifies(
    tmp_path: Path,
) -> None:
    path, groups = tmp_path / "orders.db", days(LONG)
    store = await written(path, groups, keep_years=10)
    assert files(path) == ["orders-20230306.sqlite", "orders-20240304.sqlite"]
    assert await store.read() == flat(groups[2:])
    assert (await store.latest_checkpoint()) is not None
    await store.close()
    found = verify(path)
    assert (found.faults, found.let_go_seq) == ((), groups[1][-1].seq)


async def test_a_start_that_would_need_days_that_were_let_go_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    store = await written(path, days(LONG), keep_years=10)
    with pytest.raises(StoreBeginsLater, match="no whole checkpoint, and rows to 198 let go"):
        await store.latest_checkpoint(before_seq=0)
    await store.close()
