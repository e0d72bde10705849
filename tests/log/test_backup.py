"""Backup while the log is written, restore with ids that begin anew, and an upgrade that keeps the old file."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.log.days import days, written
from tradingd.app.lock import InstanceLock
from tradingd.app.state_directory import StateFiles
from tradingd.cli import cli
from tradingd.log.backup import back_up
from tradingd.log.log_file import migrations
from tradingd.log.order_log import OrderLog
from tradingd.log.recovery import FORMER_INSTANCES
from tradingd.log.sqlite_store import SqliteStore
from tradingd.log.store_errors import StoreCorrupt
from tradingd.log.verify import verify
from tradingd.messages import Envelope, SnapshotAsked

CONFIG = Path(__file__).parents[2] / "config/mock.toml"


def tradingd(state: Path, *values: object) -> Result:
    environment = {"TRADINGD_CONFIG": str(CONFIG), "TRADINGD_RUN__STATE_DIR": str(state)}
    return CliRunner().invoke(cli, [str(value) for value in values], env=environment)


async def read(path: Path) -> list[Envelope]:
    store = SqliteStore(path, is_read_only=True)
    await store.open()
    found = await store.read()
    await store.close()
    return found


async def test_a_backup_is_the_log_as_it_was_at_one_moment_while_it_grows(tmp_path: Path) -> None:
    path, groups = tmp_path / "orders.db", days()
    store = await written(path, groups)
    whole = [row for rows in groups for row in rows]
    first_seq, is_over = whole[-1].seq + 2, False

    async def grow() -> int:
        seq = first_seq
        while not is_over:
            await store.write([Envelope(seq, whole[-1].at, "supervisor", SnapshotAsked("more"))])
            seq += 1
        return seq - first_seq

    growing = asyncio.create_task(grow())
    counts = []
    for n in range(3):
        found = await asyncio.to_thread(back_up, path, tmp_path / f"b{n}")
        counts.append(found.rows)
        assert found.faults == ()
    is_over = True
    more = await growing
    await store.close()
    assert counts == sorted(counts)
    assert len(whole) <= counts[0] <= counts[-1] <= len(whole) + more
    copied = await read(tmp_path / "b2" / "orders.db")
    assert copied == (await read(path))[: counts[-1]]


async def test_a_backup_brought_up_to_date_copies_only_new_days(tmp_path: Path) -> None:
    path, groups, to = tmp_path / "orders.db", days(), tmp_path / "b"
    store = await written(path, groups[:3])
    back_up(path, to)
    before = {file.name: file.stat().st_ino for file in (to / "segments").iterdir()}
    await store.close()
    await (await written(path, groups[3:])).close()
    damaged = to / "segments" / "orders-20240305.sqlite"
    damaged.chmod(0o600)
    damaged.write_bytes(b"rot")
    found = back_up(path, to)
    after = {file.name: file.stat().st_ino for file in (to / "segments").iterdir()}
    assert len(after) == 3
    assert after["orders-20240304.sqlite"] == before["orders-20240304.sqlite"]
    assert found.rows == sum(len(rows) for rows in groups), "and what rotted there was renewed"


async def test_a_damaged_log_makes_no_backup_that_counts(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    await (await written(path, days())).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE order_log SET at = at + 1 WHERE seq = 310")
    with pytest.raises(StoreCorrupt, match=r"orders\.db: does not follow"):
        back_up(path, tmp_path / "b")


async def test_what_was_backed_up_is_restored_with_new_ids_and_halted(tmp_path: Path) -> None:
    state, to = tmp_path / "s", tmp_path / "b"
    state.mkdir()
    groups = days()
    await (await written(state / "orders.db", groups[:3])).close()
    assert tradingd(state, "backup", to).exit_code == 0
    await (await written(state / "orders.db", groups[3:])).close()

    done = tradingd(state, "restore", to)
    assert done.exit_code == 0, done.output
    log = OrderLog(state / "orders.db")
    log.open()
    assert log.read() == [row for rows in groups[:3] for row in rows]
    instance_id = log.get("genesis")
    assert instance_id != "abcdef"
    assert log.get(FORMER_INSTANCES) == "abcdef"
    log.close()
    assert verify(state / "orders.db").faults == ()
    assert "restored from" in StateFiles(state).halt.read_text()
    assert "HALTED" in done.output
    kept = await read(state / "replaced/1/orders.db")
    assert kept == [row for rows in groups for row in rows], "nothing that was there is deleted"
    assert (await read(to / "orders.db")) == [row for rows in groups[:3] for row in rows]

    assert tradingd(state, "restore", to).exit_code == 0
    log.open()
    assert log.get("genesis") not in (instance_id, "abcdef")
    log.close()
    assert (state / "replaced/2/orders.db").exists()


async def test_a_crash_in_a_restore_leaves_no_log_with_the_old_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that started on it would say ids a second time, which the broker knows already."""
    state, to = tmp_path / "s", tmp_path / "b"
    state.mkdir()
    await (await written(state / "orders.db", days())).close()
    back_up(state / "orders.db", to)
    rename, found = Path.rename, []

    def look_first(part: Path, place: Path) -> Path:
        if place == state / "orders.db":
            with closing(sqlite3.connect(part)) as db:
                found.append(dict(db.execute("SELECT key, value FROM store_values")))
        return rename(part, place)

    monkeypatch.setattr(Path, "rename", look_first)
    assert tradingd(state, "restore", to).exit_code == 0
    (values,) = found
    assert values["genesis"] != "abcdef"
    assert values[FORMER_INSTANCES] == "abcdef"


async def test_a_restore_takes_what_a_crash_left_in_the_write_ahead_log(tmp_path: Path) -> None:
    """A log of `replaced/N` may be that of a killed daemon: its last rows are not in the file itself yet."""
    state, to, groups = tmp_path / "s", tmp_path / "b", days()
    to.mkdir()
    store = await written(to / "orders.db", groups[:3])
    await store.write(groups[3])
    killed = shutil.copytree(to, tmp_path / "killed")
    await store.close()
    done = tradingd(state, "restore", killed)
    assert done.exit_code == 0, done.output
    assert await read(state / "orders.db") == [row for rows in groups for row in rows]


async def test_a_log_goes_on_after_a_restore_and_still_verifies(tmp_path: Path) -> None:
    state, to, groups = tmp_path / "s", tmp_path / "b", days()
    state.mkdir()
    await (await written(state / "orders.db", groups[:3])).close()
    back_up(state / "orders.db", to)
    assert tradingd(state, "restore", to).exit_code == 0
    await (await written(state / "orders.db", groups[3:])).close()
    found = verify(state / "orders.db")
    assert (found.rows, found.segments, found.faults) == (200, 3, ())


async def test_a_restore_is_refused_while_a_daemon_holds_the_folder(tmp_path: Path) -> None:
    state, to = tmp_path / "s", tmp_path / "b"
    state.mkdir(mode=0o700)
    await (await written(state / "orders.db", days())).close()
    back_up(state / "orders.db", to)
    before = await read(state / "orders.db")
    with InstanceLock(state):
        assert tradingd(state, "restore", to).exit_code == 65
    assert await read(state / "orders.db") == before
    assert not StateFiles(state).halt.exists()


async def test_a_damaged_backup_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    state, to = tmp_path / "s", tmp_path / "b"
    state.mkdir(mode=0o700)
    await (await written(state / "orders.db", days())).close()
    back_up(state / "orders.db", to)
    before = await read(state / "orders.db")
    file = to / "segments" / "orders-20240305.sqlite"
    content = bytearray(file.read_bytes())
    content[random.Random(1).randrange(len(content))] ^= 4
    file.chmod(0o600)
    file.write_bytes(content)
    done = tradingd(state, "restore", to)
    assert done.exit_code == 1
    assert file.name in done.output
    assert await read(state / "orders.db") == before
    assert not StateFiles(state).halt.exists()


async def test_an_upgrade_goes_forward_and_keeps_the_file_of_before(tmp_path: Path) -> None:
    path, rows = tmp_path / "orders.db", days()[0]
    with closing(sqlite3.connect(path)) as db:
        db.executescript(migrations()[0] + "PRAGMA user_version = 1;")
    old = OrderLog(tmp_path / "now.db")
    old.open()
    old.write(rows)
    old.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("ATTACH ? AS now", (str(tmp_path / "now.db"),))
        db.execute("INSERT INTO order_log SELECT * FROM now.order_log")
        db.execute("INSERT INTO checkpoints VALUES (5, x'80')")

    store = SqliteStore(path)
    await store.open()
    assert await store.read() == rows
    assert await store.latest_checkpoint() is None, "the state of before is learned from the log"
    await store.close()
    assert verify(path).faults == ()
    kept = tmp_path / "schema-1" / "orders.db"
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(kept)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM order_log").fetchone() == (len(rows),)
        assert db.execute("SELECT * FROM checkpoints").fetchall() == [(5, b"\x80")]
