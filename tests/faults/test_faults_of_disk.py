"""Faults of the disk under the order log (63-71) and of its version (78): without a log nothing new leaves."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from tests.faults.disks import Disk, at_home, next_life
from tests.faults.environment import SYMBOL, Scene, pause
from tradingd.app.system import CHECKPOINT_REAL_S
from tradingd.log import log_file
from tradingd.log.backup import back_up, restore
from tradingd.log.journal import Journal, JournalFailed
from tradingd.log.memory_tape import NullTape
from tradingd.log.order_log import OrderLog
from tradingd.log.sqlite_store import SqliteStore
from tradingd.log.store_errors import StoreCorrupt, StoreError, StoreOlder, StoreTooNew
from tradingd.log.tape import MarketTape
from tradingd.log.verify import verify
from tradingd.messages import (
    Ask,
    BreakOpened,
    Envelope,
    Level,
    Mark,
    OrderApproved,
    OrderFilled,
    OrderNotSent,
    OrderSent,
    Quote,
    SnapshotAsked,
)
from tradingd.observability.outlet import LogWriter, to_descriptor
from tradingd.supervisor.latch import latch_file


def has_nothing(scene: Scene) -> bool:
    return not scene.town.exchange.positions() and not scene.town.exchange.open_orders()


def has_failed(scene: Scene) -> bool:
    return scene.life.system.journal.failed is not None


async def holding(scene: Scene) -> tuple[str, str]:
    """Hold a position, and let an entry rest."""
    held, resting = scene.buy(10), scene.buy(5, "-1.8")
    await scene.published(held, OrderFilled)
    await scene.until(lambda: bool(scene.town.exchange.open_orders()), 30)
    return held, resting


async def down_to_nothing(scene: Scene, disk: Disk, before: int) -> None:
    """Order until the log fails; then everything is closed, and nothing that was asked since has left."""
    late: list[str] = []
    while not has_failed(scene):
        late.append(scene.buy(1))
        await pause(1)
        assert len(late) < 200, "the disk never failed"
    await scene.until(lambda: has_nothing(scene), 120)
    assert scene.life.is_at(Level.HALTED)
    assert "failure:journal" in scene.life.causes
    assert "station_failed" in scene.life.alerts()
    assert scene.town.halt_file.exists()
    durable = {e.message.order_id for e in disk.log.read() if isinstance(e.message, OrderApproved)}
    local = {order.client_order_id for order in scene.town.exchange.orders()}
    opening = {each for each in local if each.startswith(f"{scene.life.instance_id}-o-")}
    assert opening <= durable, "nothing opens without a durable approval"
    posted = len(scene.town.exchange.orders())
    refused = scene.buy(1)
    await pause(5)
    assert scene.posts(refused) == 0
    assert len(scene.town.exchange.orders()) == posted
    assert disk.attempts >= before


async def halted_again(scene: Scene) -> None:
    """Come up halted, open nothing, and go on once a person has looked."""
    await scene.until(lambda: scene.life.is_at(Level.HALTED), 30)
    await pause(60)
    assert scene.life.entries_sent() == []
    scene.life.ask(Ask.ACCEPT, "looked at the account")
    await pause(2)
    scene.life.ask(Ask.RESUME, "there is room again")
    await scene.normal(120)
    fresh = scene.buy(2)
    await scene.published(fresh, OrderFilled)
    await scene.life.stop(300)
    assert has_nothing(scene)


def test_fault_63_a_full_disk_lets_no_new_order_out_and_everything_in(tmp_path: Path) -> None:
    async def story(scene: Scene, disk: Disk) -> None:
        await holding(scene)
        disk.fill_up()
        await down_to_nothing(scene, disk, disk.attempts)
        assert "database or disk is full" in str(scene.life.system.journal.failed)
        await scene.life.crash()
        disk.log.close()
        disk.log = OrderLog(disk.path)
        await disk.open()
        assert verify(disk.path).faults == ()
        await halted_again(await next_life(scene, disk))
        assert verify(disk.path).faults == ()

    at_home(tmp_path, story)


@pytest.mark.parametrize("is_written_anyway", [False, True])
def test_fault_64_an_fsync_that_failed_is_never_tried_again_as_success(
    tmp_path: Path, is_written_anyway: bool
) -> None:
    async def story(scene: Scene, disk: Disk) -> None:
        await holding(scene)
        disk.error, disk.is_written_anyway = (
            sqlite3.OperationalError("disk I/O error"),
            is_written_anyway,
        )
        attempts = disk.attempts
        asked = scene.buy(1)
        await scene.until(lambda: has_failed(scene), 10)
        disk.error = None  # the next fsync would say that all is well
        await scene.until(lambda: has_nothing(scene), 120)
        await pause(30)
        assert disk.attempts == attempts + 1
        assert scene.posts(asked) == 0
        with pytest.raises(JournalFailed, match="disk I/O error"):
            await scene.life.system.journal.durable(0)
        assert scene.life.is_at(Level.HALTED)
        await scene.life.crash()
        await halted_again(await next_life(scene, disk))
        assert verify(disk.path).faults == ()

    at_home(tmp_path, story)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7, 1.0])
def test_fault_65_after_a_power_cut_nothing_is_at_the_broker_that_the_log_does_not_know(
    tmp_path: Path, kept: float
) -> None:
    async def story(scene: Scene, disk: Disk) -> None:
        await holding(scene)
        disk.slow_s = 0.5
        asked = [scene.buy(1) for _ in range(3)]
        await scene.until(lambda: disk.is_writing, 10)
        await scene.life.crash()
        found = disk.lose_power(tmp_path / "afterwards", kept)
        await found.open()
        assert verify(found.path).faults == ()
        durable = {
            e.message.order_id for e in found.log.read() if isinstance(e.message, OrderApproved)
        }
        assert {order.client_order_id for order in scene.town.exchange.orders()} <= durable
        again = await next_life(scene, found)
        await again.normal(60)
        for parent in asked:
            assert again.posts(parent) <= 1
        await again.life.stop(300)
        assert has_nothing(again)
        assert not again.life.published(BreakOpened)
        await found.close()
        assert verify(found.path).faults == ()

    at_home(tmp_path, story)


def test_fault_66_a_corrupt_page_is_refused_with_its_remedy_which_works(tmp_path: Path) -> None:
    async def story(scene: Scene, disk: Disk) -> None:
        await holding(scene)
        back_up(disk.path, tmp_path / "backup")
        await scene.life.crash()
        await disk.close()
        content = bytearray(disk.path.read_bytes())
        content[4096 * 2 : 4096 * 3] = os.urandom(4096)
        disk.path.write_bytes(content)
        with pytest.raises(StoreCorrupt) as refused:
            OrderLog(disk.path).open()
        assert "Restore it from a backup" in refused.value.remedy
        again = await restored(scene, tmp_path)
        await again.until(lambda: again.life.is_at(Level.HALTED), 30)
        await halted_again(again)

    at_home(tmp_path, story)


def test_fault_66_a_wal_that_lost_its_end_opens_nothing_until_a_person_accepts(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene, disk: Disk) -> None:
        await scene.published(scene.buy(10), OrderFilled)
        await pause(2)
        disk._synced_bytes = (
            disk._wal_bytes() * 2 // 3
        )  # a sector that was synced and cannot be read
        await scene.life.crash()
        found = disk.lose_power(tmp_path / "afterwards", 0)
        await found.open()
        again = await next_life(scene, found)
        await again.until(lambda: bool(again.life.published(BreakOpened)), 60)
        await again.until(lambda: any(mark.symbol == SYMBOL for mark in again.life.published(Mark)))
        asked = again.buy(1)
        await pause(10)
        assert again.posts(asked) == 0
        assert again.life.entries_sent() == []
        again.life.ask(Ask.ACCEPT, "the broker is right")
        await again.normal(60)
        await again.life.stop(300)
        assert has_nothing(again)

    at_home(tmp_path, story)


async def restored(scene: Scene, folder: Path) -> Scene:
    """Start on the backup, as `tradingd restore` puts it in place."""
    (folder / "restored").mkdir()
    log = folder / "restored" / "orders.db"
    restore(folder / "backup" / "orders.db", log, Random(5))
    latch_file(scene.town.halt_file, "restore", "the order log was restored")
    disk = Disk(log)
    await disk.open()
    return await next_life(scene, disk)


async def test_fault_67_a_reader_and_a_backup_hold_nothing_up(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    store = SqliteStore(path)
    await store.open()
    await store.write([_fact(0)])
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM order_log").fetchone() == (1,)
        await store.write([_fact(1)])
        assert back_up(path, tmp_path / "b").rows == 2
        await store.write([_fact(2)])
        assert reader.execute("SELECT count(*) FROM order_log").fetchone() == (1,)
    assert len(await store.read()) == 3
    await store.close()


async def test_fault_67_a_lock_is_waited_for_and_no_event_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    store = SqliteStore(path)
    await store.open()
    journal = Journal(store, NullTape())
    writing = asyncio.create_task(journal.run())
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for seq in range(50):
            journal.append(_fact(seq))
        waiting = asyncio.create_task(journal.durable(49))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done, "nothing is durable while another holds the file"
        other.rollback()
    await waiting
    assert await store.read() == [_fact(seq) for seq in range(50)]
    journal.close()
    await writing
    await store.close()
    assert log_file.BUSY_REAL_MS_MAX >= 10_000, "a lock of ten seconds is outlasted"


async def test_fault_67_a_lock_for_ever_is_a_failed_log_and_no_lost_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "BUSY_REAL_MS_MAX", 100)
    path = tmp_path / "orders.db"
    store = SqliteStore(path)
    await store.open()
    journal = Journal(store, NullTape())
    writing = asyncio.create_task(journal.run())
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        journal.append(_fact(0))
        with pytest.raises(JournalFailed, match="locked"):
            await journal.durable(0)
    await writing
    assert await store.read() == []
    await store.close()


def _fact(seq: int) -> Envelope:
    return Envelope(seq, seq, "supervisor", SnapshotAsked(str(seq)))


def test_fault_68_a_halt_does_not_wait_for_a_slow_disk_and_new_orders_do(tmp_path: Path) -> None:
    async def story(scene: Scene, disk: Disk) -> None:
        resting = [scene.buy(1, "-1.8") for _ in range(10)]
        await scene.until(lambda: len(scene.town.exchange.open_orders()) == 10, 30)
        disk.slow_s = 2.0
        late = scene.buy(1)
        await scene.until(lambda: bool(scene.of(late, OrderApproved)), 5)
        await pause(1)
        assert scene.of(late, OrderSent) == [], "not before it is durable"
        scene.life.ask(Ask.HALT, "now")
        took_s = await scene.until(lambda: not scene.town.exchange.open_orders(), 5)
        assert took_s < 1, "and the disk took two"
        assert resting
        await pause(10)
        (kept,) = scene.of(late, OrderNotSent)
        assert scene.posts(late) == 0
        assert kept.reason
        disk.slow_s = 0
        scene.life.ask(Ask.RESUME, "the disk is well")
        await scene.normal(60)
        await scene.life.stop(300)
        assert has_nothing(scene)

    at_home(tmp_path, story)


def test_fault_68_orders_go_on_at_the_pace_of_the_disk(tmp_path: Path) -> None:
    async def story(scene: Scene, disk: Disk) -> None:
        disk.slow_s = 2.0
        parents = [scene.buy(1) for _ in range(5)]
        for parent in parents:
            await scene.published(parent, OrderFilled, within_s=120)
        durable = {
            e.message.order_id for e in disk.log.read() if isinstance(e.message, OrderApproved)
        }
        assert {order.client_order_id for order in scene.town.exchange.orders()} <= durable
        await scene.life.stop(300)
        assert has_nothing(scene)

    at_home(tmp_path, story)


def test_fault_69_an_old_backup_is_adopted_and_halted_until_a_person_accepts(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene, disk: Disk) -> None:
        await scene.published(scene.buy(10), OrderFilled)
        await scene.agreed()
        back_up(disk.path, tmp_path / "backup")
        await scene.published(scene.buy(7), OrderFilled)
        resting = scene.buy(5, "-1.8")
        await scene.until(lambda: bool(scene.town.exchange.open_orders()), 30)
        await scene.life.crash()

        again = await restored(scene, tmp_path)
        assert again.life.instance_id != scene.life.instance_id
        await again.until(lambda: bool(again.life.published(BreakOpened)), 60)
        differ = {emitted.kind: emitted.reported for emitted in again.life.published(BreakOpened)}
        assert differ["position"] == "17"
        assert differ["foreign_order"].startswith(resting)
        await pause(60)
        assert again.life.is_at(Level.HALTED)
        assert again.life.entries_sent() == []

        again.life.ask(Ask.RESUME, "not looked at yet")
        await pause(2)
        assert again.life.is_at(Level.HALTED)
        assert "resume_refused" in again.life.alerts()
        assert again.town.exchange.open_orders() == [], "the edge took it back"
        assert "former_order" in again.life.alerts()
        assert again.held() == 17
        again.life.ask(Ask.ACCEPT, "the seven are ours")
        await pause(2)
        again.life.ask(Ask.RESUME, "looked at")
        await again.normal(60)
        fresh = again.buy(2)
        await again.published(fresh, OrderFilled)
        ids = [order.client_order_id for order in again.town.exchange.orders()]
        assert len(ids) == len(set(ids))
        await again.life.stop(300)
        assert again.town.exchange.positions() == []

    at_home(tmp_path, story)


def test_fault_69_a_flatten_after_a_restore_needs_no_hand_at_the_broker(tmp_path: Path) -> None:
    async def story(scene: Scene, disk: Disk) -> None:
        await scene.published(scene.buy(10), OrderFilled)
        await scene.agreed()
        back_up(disk.path, tmp_path / "backup")
        for off_pct in ("-1.7", "-1.8"):
            scene.buy(5, off_pct)
        await scene.until(lambda: len(scene.town.exchange.open_orders()) == 2, 30)
        await scene.life.crash()

        again = await restored(scene, tmp_path)
        await again.until(lambda: not again.town.exchange.open_orders(), 60)
        assert again.life.is_at(Level.HALTED)
        assert again.held() == 10
        again.life.ask(Ask.FLATTEN, "get out")
        await again.until(lambda: has_nothing(again), 120)
        await again.until(lambda: again.life.is_at(Level.HALTED), 60)
        assert again.life.entries_sent() == []
        await again.life.crash()

    at_home(tmp_path, story)


def test_fault_69_an_old_file_put_there_by_hand_is_refused(tmp_path: Path) -> None:
    async def story(scene: Scene, disk: Disk) -> None:
        await scene.published(scene.buy(10), OrderFilled)
        back_up(disk.path, tmp_path / "backup")
        await scene.published(scene.buy(7), OrderFilled)
        await pause(CHECKPOINT_REAL_S)
        await scene.life.crash()
        await disk.close()
        disk.path.with_name("orders.db-wal").unlink(missing_ok=True)
        later = disk.path.read_bytes()
        shutil.copy(tmp_path / "backup" / "orders.db", disk.path)
        with pytest.raises(StoreOlder, match="had come to row") as refused:
            await disk.open()
        assert "tradingd restore" in refused.value.remedy
        disk.path.write_bytes(later)
        await disk.open()
        again = await next_life(scene, disk)
        await again.normal(60)
        await again.life.stop(300)
        assert has_nothing(again)

    at_home(tmp_path, story)


async def test_fault_70_a_file_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    await _made(path)
    store = SqliteStore(Path("/proc/orders.db"))
    with pytest.raises(StoreError, match=r"/proc/orders\.db") as refused:
        await store.open()
    assert "Mend" in refused.value.remedy


def test_fault_70_a_file_system_that_turns_read_only_stops_new_orders(tmp_path: Path) -> None:
    async def story(scene: Scene, disk: Disk) -> None:
        await holding(scene)
        disk.lock()
        await down_to_nothing(scene, disk, disk.attempts)
        assert "readonly database" in str(scene.life.system.journal.failed)
        await scene.life.crash()

    at_home(tmp_path, story)


def test_fault_71_a_full_disk_under_the_logs_holds_nobody_up() -> None:
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123 - a device, not a file
        outlet = LogWriter(to_descriptor(full.fileno()), lines_max=100)
        for n in range(10_000):
            outlet.write(f"line {n}\n")
        assert not outlet.close(5)
    assert outlet.dropped == 10_000


async def test_fault_71_what_the_house_writes_without_end_has_a_cap(tmp_path: Path) -> None:
    cap = 256 * 1024
    tape = MarketTape(tmp_path / "tape", cap)
    rng = Random(1)
    for seq in range(60_000):
        price = rng.uniform(1, 1000)
        tape.append(Envelope(seq, seq, "quotes", Quote("ACMX", price, 1.0, price + 0.01, 1.0, seq)))
    await tape.close()
    used = sum(file.stat().st_size for file in (tmp_path / "tape").iterdir())
    assert cap / 2 < used <= cap
    assert tape.failed is None
    kept = [envelope.seq for envelope in tape.read()]
    assert kept == list(range(kept[0], 60_000)), "the oldest went"
    assert kept[0] > 0


def test_fault_71_a_unit_leaves_its_lines_to_the_journal_and_its_caps() -> None:
    unit = (Path(__file__).parents[2] / "systemd/tradingd.service").read_text()
    for line in ("StandardOutput=journal", "StandardError=journal", "StateDirectory=tradingd"):
        assert line in unit.splitlines()


async def test_fault_78_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    await _made(path)
    with closing(sqlite3.connect(path)) as db:
        newer = len(log_file.migrations()) + 1
        db.execute(f"PRAGMA user_version = {newer}")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    for is_read_only in (False, True):
        with pytest.raises(StoreTooNew, match=f"schema {newer}") as refused:
            await SqliteStore(path, is_read_only=is_read_only).open()
        assert "Run the version that wrote it" in refused.value.remedy
    assert path.read_bytes() == before


async def _made(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    await store.write([_fact(0)])
    await store.close()
