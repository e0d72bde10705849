"""The trace that is kept when something critical happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.broker.conftest import House
from tradingd.broker.rest import AlpacaRest
from tradingd.broker.settings import AlpacaSettings
from tradingd.broker.trace_dump import FILES_MAX, TraceDump
from tradingd.instruments.calendar import ns_of
from tradingd.messages import (
    ActorFailed,
    AlertRaised,
    Level,
    LevelChanged,
    Message,
    Severity,
)
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.ports import Lane
from tradingd.runtime.wire_trace import BYTES_MAX, TEXT_MAX, TracedSocket, WireTrace
from tradingd.simulator.settings import SimulatorSettings, build_world
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.network import SimulatorNetwork
from tradingd.simulator.wire.session import Keys

MSGPACK = {"Content-Type": "application/msgpack"}
START = ns_of("2024-03-05", "10:00")

CRITICAL = AlertRaised("broker", Severity.CRITICAL, "order id/clash", "text")


def test_a_critical_alert_is_followed_by_one_private_file_a_minute(tmp_path: Path) -> None:
    clock = ManualClock(1_700_000_000_000_000_000)
    wire_trace = WireTrace(clock, ("geheim",))
    wire_trace.note("<", "frame", "geheim order")
    folder = tmp_path / "traces"
    trace = TraceDump(str(folder), wire_trace, clock)
    trace.handle(AlertRaised("broker", Severity.WARNING, "x", "y"))
    assert not folder.exists()
    trace.handle(CRITICAL)
    clock.advance(10)
    trace.handle(CRITICAL)
    (file,) = folder.iterdir()
    assert file.name == "1700000000000000000_order_id_clash.txt"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().splitlines() == [
        "broker order id/clash: text",
        "1700000000000000000 < frame *** order",
    ]


def _for_orders(keys: Keys) -> str:
    data = {"key_id": keys.key_id, "secret_key": keys.secret_key}
    return msgspec.json.encode({"action": "authenticate", "data": data}).decode()


def _for_market(keys: Keys) -> bytes:
    auth = {"action": "auth", "key": keys.key_id, "secret": keys.secret_key}
    return msgspec.msgpack.encode(auth)


def test_old_files_make_room_for_new_ones(tmp_path: Path) -> None:
    clock = ManualClock(1_700_000_000_000_000_000)
    trace = TraceDump(str(tmp_path), WireTrace(clock), clock)
    for _ in range(FILES_MAX + 5):
        trace.handle(CRITICAL)
        clock.advance(61_000_000_000)
    assert len(list(tmp_path.iterdir())) == FILES_MAX


def kept(folder: Path) -> str:
    (file,) = folder.iterdir()
    return file.read_text()


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    clock = ManualClock(1_700_000_000_000_000_000)
    TraceDump(str(blocked / "traces"), WireTrace(clock), clock).handle(CRITICAL)


async def test_the_edge_keeps_its_trace_on_any_alert_of_the_house(
    houses: Callable[..., House], tmp_path: Path
) -> None:
    system = await houses(trace_folder=str(tmp_path)).connected()
    system.bus.publish("supervisor", CRITICAL)
    text = kept(tmp_path)
    assert "GET /v2/account" in text
    assert '{"action":"authenticate"' in text
    assert ':"***"}' in text


@pytest.mark.parametrize("message", [
    ActorFailed("risk", "KeyError: 'x'", "Traceback"), LevelChanged(Level.HALTED, ("operator",)),
])  # fmt: skip
def test_a_halt_and_a_dead_station_leave_a_trace(tmp_path: Path, message: Message) -> None:
    clock = ManualClock(1_700_000_000_000_000_000)
    trace = TraceDump(str(tmp_path), WireTrace(clock), clock)
    trace.handle(LevelChanged(Level.FLATTENING, ("stop",)))
    trace.handle(LevelChanged(Level.HALTED, ("stopped",)))
    trace.handle(LevelChanged(Level.NORMAL, ()))
    assert not list(tmp_path.iterdir())
    trace.handle(message)
    assert len(list(tmp_path.iterdir())) == 1
    clock.advance(61_000_000_000)
    trace.handle(LevelChanged(Level.HALTED, ("operator", "loss")))
    assert len(list(tmp_path.iterdir())) == 1 + isinstance(message, ActorFailed)


async def test_no_secret_reaches_a_trace_whatever_crossed_the_wire(tmp_path: Path) -> None:
    """Requests, replies, errors and frames of both sockets, JSON and MessagePack, with canaries in all."""
    given = SimulatorSettings(start=START, minutes=10, symbols=("ACMX",))
    keys = Keys(key_id="CANARYKEY", secret_key="canary-secret")
    alpaca = LocalAlpaca(build_world(given), replace(given.wire, keys=keys))
    clock = ManualClock(START)
    network = SimulatorNetwork(alpaca, clock, is_paced=False)
    settings = AlpacaSettings(
        trading_url="http://simulator", trading_stream_url="ws://simulator/stream",
        key_id=keys.key_id, secret_key=keys.secret_key, trace_folder=str(tmp_path),
    )  # fmt: skip
    rest = AlpacaRest(network, clock, settings)
    identity = await rest.verify()
    assert identity.account_id
    for path, auth in (("/stream", _for_orders(keys)), ("/v2/iex", _for_market(keys))):
        socket = await rest.wire.connect(f"ws://simulator{path}", headers=MSGPACK)
        await socket.send(auth)
        await socket.receive()
        await socket.close()
    await rest.call("lookup", "GET", f"/orders?note={keys.secret_key}", Lane.POLL)
    trace = TraceDump(str(tmp_path), rest.wire.trace, clock)
    trace.handle(AlertRaised("x", Severity.CRITICAL, "y", f"of {identity.account_id}"))
    text = kept(tmp_path)
    assert "/v2/iex" in text
    assert "authenticate" in text
    secrets = (keys.key_id, keys.secret_key, identity.account_id, identity.account_number)
    assert not [secret for secret in secrets if secret in text]
    assert max(map(len, text.splitlines())) < TEXT_MAX + 30
    await network.close()


def test_the_trace_is_bounded_in_bytes() -> None:
    wire_trace = WireTrace(ManualClock(0), text_max=BYTES_MAX // 8)
    for n in range(20):
        wire_trace.note("<", str(n), b"x" * BYTES_MAX)
    lines = wire_trace.lines()
    assert [line.split(" ")[2] for line in lines] == ["17", "18", "19"]
    wire_trace.clear()
    assert wire_trace.lines() == []


async def test_of_a_market_all_but_the_flood_is_traced() -> None:
    frames: list[str | bytes] = [
        b"welcome",
        b"authenticated",
        b"subscription",
        b"q1",
        b"q2",
        "q3",
        b"an error",
        b"q4",
    ]

    class Flood:
        async def send(self, frame: str | bytes) -> None:
            del frame

        async def receive(self) -> str | bytes:
            return frames.pop(0)

        async def close(self) -> None:
            return

    wire_trace = WireTrace(ManualClock(0))
    socket = TracedSocket(Flood(), wire_trace, "/v2/iex", is_market=True)
    while frames:
        await socket.receive()
    await socket.send(b"subscribe")
    settings = [line.rpartition("/v2/iex ")[2] for line in wire_trace.lines()]
    assert settings == ["welcome", "authenticated", "subscription", "q1", "an error", "subscribe"]
