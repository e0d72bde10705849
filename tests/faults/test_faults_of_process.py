"""Faults 18, 48 to 50, 54, 57, 59, 61 and 62: what happens to the process. 51 to 53, 55, 56, 58, 60: with their subjects."""

from __future__ import annotations

import asyncio
import configparser
import io
import json
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.app.lives import Town
from tests.crash.broker import Broker
from tests.faults.environment import Scene, day, patient, pause
from tests.faults.restarts import again, lives
from tests.systemd.daemon import with_strategy
from tests.systemd.manager import MOCK, ROOT, environment, started
from tradingd.cli.talk import SOCKET_FILE, call
from tradingd.messages import (
    Envelope,
    IntentClosed,
    Level,
    OrderAccepted,
    OrderApproved,
    OrderFilled,
    OrderNotSent,
    OrderSent,
)
from tradingd.observability import logs
from tradingd.simulator.wire.fault import SimulatedFault

REAL_S_MAX = 60.0
TURNS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 60, 90)


@pytest.mark.parametrize("turns", TURNS)
def test_fault_48_a_kill_at_any_moment_of_an_orders_life_is_recovered_from(
    tmp_path: Path, turns: int
) -> None:
    async def story(town: Town, scene: Scene) -> None:
        parent = scene.buy(20)
        for _ in range(turns):
            await asyncio.sleep(0)
        await scene.life.crash()
        await pause(2)
        await again(scene)
        await scene.normal(120)
        await scene.agreed()
        rows = await town.store.read()
        counted = sum(e.message.quantity for e in rows if isinstance(e.message, OrderFilled))
        assert counted == scene.held() in (0, 20)
        assert scene.posts(parent) <= 1
        await scene.life.stop(300)
        assert town.exchange.positions() == []

    lives(tmp_path, story)


def lose(town: Town, is_lost: Callable[[Envelope], bool]) -> None:
    """Take the latest rows out of the log, as a crash does with what was not committed."""
    rows = town.store.rows
    cut = next(i for i, envelope in enumerate(rows) if is_lost(envelope))
    del rows[cut:]


def test_fault_49_killed_between_the_durable_intent_and_the_wire_nothing_is_sent_any_more(
    tmp_path: Path,
) -> None:
    async def story(town: Town, scene: Scene) -> None:
        scene.trouble("refuse", method="POST", path="/v2/orders")
        parent = scene.buy(20)
        await scene.published(parent, OrderSent)
        await pause(1)
        await scene.life.crash()
        lose(town, lambda envelope: isinstance(envelope.message, OrderSent))
        assert any(isinstance(e.message, OrderApproved) for e in town.store.rows), "it is durable"
        scene.calm()
        await pause(60)
        await again(scene)
        await scene.published(parent, IntentClosed, within_s=120)
        assert [each.reason for each in scene.of(parent, OrderNotSent)] == ["restart"]
        assert (scene.posts(parent), scene.held()) == (0, Decimal(0))
        await scene.normal()
        await scene.published(scene.buy(20), OrderFilled)  # and the limits have its room back
        await scene.life.stop(300)

    lives(tmp_path, story)


@pytest.mark.parametrize("is_departure_known", [True, False])
def test_fault_50_killed_between_the_wire_and_the_answer_the_order_is_adopted(
    tmp_path: Path, is_departure_known: bool
) -> None:
    async def story(town: Town, scene: Scene) -> None:
        scene.trouble("hang", method="POST", path="/v2/orders", is_processed=True, count=1)
        scene.trouble("lose")
        parent = scene.buy(20)
        await scene.until(lambda: scene.held() == 20)
        await scene.life.crash()
        if not is_departure_known:
            lose(town, lambda envelope: isinstance(envelope.message, OrderSent))
        scene.calm()
        await pause(5)
        await again(scene)
        await scene.published(parent, OrderFilled, within_s=60)
        assert scene.posts(parent) == len(scene.of(parent, OrderAccepted)) == 1
        assert scene.filled(parent) == scene.held() == 20
        await scene.normal(120)
        await scene.life.stop(300)
        assert town.exchange.positions() == []

    lives(tmp_path, story)


GREEDY = """
class Greedy:
    def __init__(self):
        self.bars = 0

    def on_bar(self, bar, view):
        self.bars += 1
        if self.bars > 3:
            self.hoard = bytearray(8 * 1024**3)
"""


@pytest.mark.wire
def test_fault_54_a_strategy_that_eats_all_memory_is_switched_off_alone(tmp_path: Path) -> None:
    config = with_strategy(tmp_path, "Greedy", GREEDY)
    with started(tmp_path, config) as unit:
        resource.prlimit(unit.process.pid, resource.RLIMIT_AS, (3 * 1024**3, 3 * 1024**3))
        unit.wait_event("signal.strategy_stopped")
        unit.wait_word("WATCHDOG", 3)
        unit.process.send_signal(signal.SIGTERM)
        assert unit.wait_end() == 0
    assert "MemoryError" in json.dumps(unit.records)


def test_fault_54_and_59_the_unit_ends_what_is_out_of_memory_and_gives_up_on_a_crash_loop() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "systemd/tradingd.service")
    assert unit["Service"]["OOMPolicy"] == "stop"
    assert unit["Service"]["Restart"] == "on-failure"
    restarts_s = int(unit["Service"]["RestartSec"]) * int(unit["Unit"]["StartLimitBurst"])
    assert restarts_s < int(unit["Unit"]["StartLimitIntervalSec"]), "else it would never give up"


@pytest.mark.wire
def test_fault_59_a_daemon_that_crashes_at_every_start_sends_nothing(tmp_path: Path) -> None:
    broker = Broker(tmp_path, 5)
    try:
        given = environment(tmp_path, mock__simulator=broker.url, api__port="1")
        for _ in range(3):
            done = subprocess.run(  # noqa: S603 - our own program
                [sys.executable, "-m", "tradingd", "run", "-c", str(MOCK)], cwd=tmp_path, env=given,
                capture_output=True, timeout=REAL_S_MAX, check=False,
                preexec_fn=_without_files,
            )  # fmt: skip
            assert done.returncode not in (0, 20)
        assert asyncio.run(broker.account()).orders == []
    finally:
        broker.close()


def _without_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))


@pytest.mark.wire
def test_fault_57_after_a_stop_of_the_whole_process_it_looks_before_it_trades(
    tmp_path: Path,
) -> None:
    broker = Broker(tmp_path, 5)
    try:
        with started(tmp_path, mock__simulator=broker.url) as unit:
            unit.wait_event("fill.received")
            unit.process.send_signal(signal.SIGSTOP)
            time.sleep(4)  # 80 market seconds: the time is the fault
            seen = len(unit.records)
            unit.process.send_signal(signal.SIGCONT)
            unit.wait(lambda: "daemon.loop_lagged" in _events(unit.records[seen:]), "the lag")
            unit.wait(lambda: _is_normal(unit.records[seen:]), "back to normal")
            after = unit.records[seen:]
            lagged = _events(after).index("daemon.loop_lagged")
            until = next(i for i, r in enumerate(after) if i > lagged and _is_normal([r]))
            entered = [r for r in after[lagged:until] if r["event"] == "order.submitted"
                       and "entry" in str(r["msg"])]  # fmt: skip
            assert entered == []
            unit.process.send_signal(signal.SIGTERM)
            assert unit.wait_end() == 0
    finally:
        broker.close()


def _events(records: list[dict[str, Any]]) -> list[str]:
    return [str(record["event"]) for record in records]


def _is_normal(records: list[dict[str, Any]]) -> bool:
    return any(
        record["event"] == "halt.level_changed" and record["system_level"] == "normal"
        for record in records
    )


class Broken:
    """Takes no line, counts no record, and has no text."""

    def __init__(self) -> None:
        self.raised = 0

    def write(self, line: str) -> None:
        self._raise(line)

    def count(self, level: str) -> None:
        self._raise(level)

    def now(self) -> int:
        self._raise("")
        return 0

    def _raise(self, _: str) -> None:
        self.raised += 1
        raise OSError("no space left on device")


@pytest.mark.parametrize("what", ["writer", "counter", "clock"])
def test_fault_61_a_logger_or_a_metric_that_raises_breaks_no_order(
    tmp_path: Path, what: str
) -> None:
    broken, times = Broken(), logs.Times()

    async def story(scene: Scene) -> None:
        was = structlog.get_config()
        times.market_ns = broken.now if what == "clock" else None
        logs.configure(
            broken if what == "writer" else io.StringIO(),
            run_id="r", mode="mock", level="debug", times=times,
            on_record=broken.count if what == "counter" else None,
        )  # fmt: skip
        try:
            scene.trouble("drop_reply", method="POST", path="/v2/orders", count=1)
            parent = scene.buy()
            await scene.published(parent, OrderFilled)
            await scene.published(scene.sell(), OrderFilled)
            assert broken.raised
            assert len(scene.of(parent, OrderAccepted)) == 1
            assert not {"edge_task_failed", "edge_stream_failed"} & set(scene.life.alerts())
            assert scene.life.is_at(Level.NORMAL)
        finally:
            structlog.configure(**was)

    day(tmp_path, story, retell=patient)


@pytest.mark.wire
def test_fault_18_a_flatten_cut_off_from_the_broker_tries_to_its_ceiling_and_says_not_flat(
    tmp_path: Path,
) -> None:
    broker = Broker(tmp_path, 5)
    try:
        with started(tmp_path, mock__simulator=broker.url, run__stop_ceiling_s="6") as unit:
            unit.wait_event("position.changed")
            asyncio.run(broker.arm(SimulatedFault(fault="refuse")))
            asyncio.run(broker.arm(SimulatedFault(fault="close", code=1006)))
            unit.process.send_signal(signal.SIGTERM)
            assert unit.wait_end() == 20
            unit.wait_event("daemon.not_flat")
            assert _real_s_of(unit.records, "daemon.not_flat") >= 5, "to its ceiling, and not less"
            alerts = (tmp_path / "s/alerts.jsonl").read_text().splitlines()
            assert json.loads(alerts[-1])["kind"] == "stopped_not_flat"
            asyncio.run(broker.arm(SimulatedFault(fault="clear")))
            assert asyncio.run(broker.account()).positions, "and so it was"

        # The next life gets out well within its ceiling: it proves what became of the sale on its way.
        with started(tmp_path, mock__simulator=broker.url, run__stop_ceiling_s="20") as unit:
            unit.wait(lambda: _is_normal(unit.records), "back to normal")
            unit.process.send_signal(signal.SIGTERM)
            assert unit.wait_end() == 0
        assert asyncio.run(broker.account()).positions == {}
    finally:
        broker.close()


def _real_s_of(records: list[dict[str, object]], event: str) -> float:
    """Return the seconds between the start of the flatten and an event, by the daemon's own stamps."""
    settings = {str(each.get("system_level", each["event"])): str(each["ts"]) for each in records}
    spent = datetime.fromisoformat(settings[event]) - datetime.fromisoformat(settings["flattening"])
    return spent.total_seconds()


FILES_MAX = 64
QUIET = """
class Quiet:
    def on_bar(self, bar, view):
        return None
"""


@pytest.mark.wire
def test_fault_62_without_file_descriptors_entries_stop_and_it_comes_back_with_them(
    tmp_path: Path,
) -> None:
    broker = Broker(tmp_path, 5)
    held: list[socket.socket] = []
    try:
        with started(tmp_path, mock__simulator=broker.url) as unit:
            unit.wait_event("fill.received")
            resource.prlimit(unit.process.pid, resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))
            address = next(r["url"] for r in unit.records if r["event"] == "daemon.listening")
            port = int(str(address).rpartition(":")[2])
            held += [socket.create_connection(("127.0.0.1", port)) for _ in range(FILES_MAX)]
            seen = len(unit.records)
            asyncio.run(broker.arm(SimulatedFault(fault="close", code=1006)))
            unit.wait(lambda: "stream.lost" in _events(unit.records[seen:]), "the loss")
            unit.wait(lambda: any(
                r["event"] == "halt.level_changed" and r["system_level"] == "no_entries"
                for r in unit.records[seen:]
            ), "no entries")  # fmt: skip
            for each in held:
                each.close()
            seen = len(unit.records)
            unit.wait(lambda: _is_normal(unit.records[seen:]), "back to normal")
            unit.process.send_signal(signal.SIGTERM)
            assert unit.wait_end() == 0
    finally:
        broker.close()


@pytest.mark.wire
def test_fault_62_without_file_descriptors_cancels_still_go_out_over_the_kept_connection(
    tmp_path: Path,
) -> None:
    broker = Broker(tmp_path, 5)
    try:
        config = with_strategy(tmp_path, "Quiet", QUIET)
        with started(
            tmp_path, config, mock__simulator=broker.url, router__order_timeout_s="600"
        ) as unit:
            unit.wait(lambda: _is_normal(unit.records), "normal")
            pid = unit.process.pid
            seen = len(unit.records)
            resting = _rest(broker, tmp_path / "s" / SOCKET_FILE)
            usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            # What is open stays open; nothing new can be, not even in the place of what is closed.
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, usual[1]))
            asyncio.run(broker.arm(SimulatedFault(fault="close", code=1006)))
            unit.wait(lambda: "stream.lost" in _events(unit.records[seen:]), "the loss")
            unit.wait(lambda: _status(broker, resting) == "canceled", "the cancel at the broker")
            assert "stream.connected" not in _events(unit.records[seen:])
            assert not _is_normal(unit.records[seen:])
            resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
            unit.wait(lambda: _is_normal(unit.records[seen:]), "back to normal")
            unit.process.send_signal(signal.SIGTERM)
            assert unit.wait_end() == 0
        assert asyncio.run(broker.account()).positions == {}
    finally:
        broker.close()


def _rest(broker: Broker, address: Path) -> str:
    """Have the daemon work an entry well below the market, once there is one; returns its id."""
    deadline = time.monotonic() + REAL_S_MAX
    is_asked = False
    emitted: dict[str, Any] = {}
    while time.monotonic() < deadline:
        if not is_asked:
            bid = broker._call("/v2/stocks/quotes/latest?symbols=ACMX")["quotes"]["ACMX"]["bp"]
            price = round(Decimal(str(bid)) * Decimal("0.985"), 2)
            order = {"symbol": "ACMX", "side": "buy", "quantity": "1", "limit_price": str(price)}
            reply = call(address, "POST", "/api/orders", {**order, "reason": "to be called back"})
            emitted = reply.body
            is_asked = emitted.get("verdict") == "approved"
            time.sleep(0.3)  # as often as anyone may ask
        elif working := asyncio.run(broker.account()).open_orders:
            return working[0]
    raise AssertionError(f"it never came to the broker: {emitted}")


def _status(broker: Broker, order_id: str) -> str:
    return str(broker._call(f"/v2/orders:by_client_order_id?client_order_id={order_id}")["status"])
