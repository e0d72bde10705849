"""The standalone simulator under load: 50 symbols, 20,000 quotes a second, and orders between them.

    python -m bench.simulator [--rate N] [--symbols N] [--seconds S] [--orders-per-s N]

The simulator is the shipped command in a process of its own, playing a tape in real time. A subscriber in a
second process takes every quote off a real socket and counts; an order client in a third sends orders
(a limit far away and its cancel, a market order) and times each answer from the call to the whole reply.

On a shared machine a wall time also holds what neighbors took. So answers are counted in rounds of three
seconds and the least disturbed round speaks (all are told), and beside it stands what no neighbor can move:
the CPU the simulator used for a real second, how long it waited for a core it was ready to use, how far the
market kept up with the clock (a simulator that cannot follow lets market time wait), and the time of the
same requests on a silent market.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import quantiles

import aiohttp
from msgspec.msgpack import encode

from bench.calibrate import bare_loop_per_cpu_s
from tradingd.instruments.calendar import ns_of

START = ns_of("2024-03-05", "10:00")
SECOND = 1_000_000_000
ROUND_S = 3.0
LEAD_S = 2.0
"""Market seconds before the subscriber counts: connections, first quotes, warm caches."""
KEYS = {"APCA-API-KEY-ID": "SIMULATOR", "APCA-API-SECRET-KEY": "simulator-secret"}
_ARRAY_16, _ARRAY_32 = 0xDC, 0xDD


@dataclass(slots=True)
class Load:
    """What is asked of the simulator."""

    symbols: int = 50
    rate: int = 20_000
    seconds: float = 15.0
    orders_per_s: int = 100


@dataclass(slots=True)
class Found:
    """What was seen of it."""

    quotes: int = 0
    market_s: float = 0.0
    real_s: float = 0.0
    cpu_s: float = 0.0
    waited_s: float = 0.0
    """How long the simulator was ready to run and had no core."""
    rounds_ms: list[list[float]] = field(default_factory=list)
    """The time of each answer, by round."""
    refused: int = 0


def symbols(count: int) -> list[str]:
    """Return names that no company has."""
    return [f"S{chr(65 + n // 26)}{chr(65 + n % 26)}X" for n in range(count)]


def write_tape(path: Path, load: Load) -> None:
    """Write quotes of all symbols in turn, evenly spread: prices that move, sizes that change."""
    names, step = symbols(load.symbols), SECOND // load.rate
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ts", "symbol", "bid_price", "bid_size", "ask_price", "ask_size"])
        for number in range(int(load.rate * (load.seconds + 2 * LEAD_S))):
            cents = 10_000 + number // load.symbols * 7 % 11
            bid, ask = f"{cents / 100:.2f}", f"{(cents + 2) / 100:.2f}"
            at, name = START + number * step, names[number % load.symbols]
            rows.writerow([at, name, bid, 100 + number % 9, ask, 100 + number % 7])


@contextmanager
def simulator(tape: Path) -> Iterator[tuple[int, int]]:
    """Run the shipped command on a tape; yields its process id and port."""
    values = ["--port", "0", "--tape", str(tape), "--speed", "1", "--requests-per-minute", "0"]
    command = [sys.executable, "-m", "tradingd", "simulator", *values, "--cash", "100000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        assert process.stdout is not None
        try:
            yield process.pid, int(process.stdout.readline().rpartition(":")[2])
        finally:
            process.terminate()


def scheduled_s(pid: int) -> tuple[float, float]:
    """Return the seconds a process has run, and those it waited for a core."""
    ran, waited = Path(f"/proc/{pid}/schedstat").read_text().split()[:2]
    return int(ran) / SECOND, int(waited) / SECOND


def points_in(frame: bytes) -> int:
    """Return how many points a msgpack frame holds, by its first bytes alone."""
    if frame[0] == _ARRAY_16:
        return int.from_bytes(frame[1:3], "big")
    return int.from_bytes(frame[1:5], "big") if frame[0] == _ARRAY_32 else frame[0] & 0x0F


@asynccontextmanager
async def quotes_of(port: int) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Open the data socket and subscribe to every quote."""
    headers = {**KEYS, "Content-Type": "application/msgpack"}
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(
            f"http://127.0.0.1:{port}/v2/iex", headers=headers, max_msg_size=0
        )
        await socket.receive_bytes()
        await socket.receive_bytes()
        await socket.send_bytes(encode({"action": "subscribe", "quotes": ["*"]}))
        await socket.receive_bytes()
        yield socket
        await socket.close()


async def _count(port: int, seconds: float) -> int:
    """Count the quotes of some seconds of real time."""
    counted = 0
    async with quotes_of(port) as socket:
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            counted += points_in(await socket.receive_bytes())
    return counted


def subscribe(port: int, seconds: float, pipe: Connection) -> None:
    """Be the subscriber's process."""
    pipe.send("ready")
    pipe.recv()
    pipe.send(asyncio.run(_count(port, seconds)))


class OrderClient:
    """Sends one order after the other and times the answers."""

    def __init__(self, session: aiohttp.ClientSession, port: int, load: Load) -> None:
        self._session = session
        self._url = f"http://127.0.0.1:{port}"
        self._names = symbols(load.symbols)
        self.found = Found()

    async def clock(self) -> tuple[float, float]:
        """Return market and real seconds."""
        async with self._session.get(f"{self._url}/sim/clock") as reply:
            return (await reply.json())["now_ns"] / SECOND, time.monotonic()

    async def run(self, seconds: float, pause_s: float) -> None:
        """Send orders for some seconds of real time, evenly spread."""
        number, next_at = 0, time.monotonic()
        begun, ends_at = next_at, next_at + seconds
        while (now := time.monotonic()) < ends_at:
            if now - begun >= ROUND_S * len(self.found.rounds_ms):
                self.found.rounds_ms.append([])
            await asyncio.sleep(max(next_at - time.monotonic(), 0))
            next_at += pause_s
            await self._one(number)
            number += 1

    async def _one(self, number: int) -> None:
        symbol = self._names[number % len(self._names)]
        order = {"symbol": symbol, "qty": "1", "side": "buy", "time_in_force": "day"}
        if number % 2:
            await self._timed("POST", "/v2/orders", {**order, "type": "market"})
            return
        limit = {**order, "type": "limit", "limit_price": "50"}
        placed = await self._timed("POST", "/v2/orders", limit)
        if "id" in placed:
            await self._timed("DELETE", f"/v2/orders/{placed['id']}", None)

    async def _timed(self, method: str, path: str, body: object) -> dict[str, object]:
        began = time.perf_counter()
        async with self._session.request(method, self._url + path, json=body) as reply:
            raw = await reply.read()
        self.found.rounds_ms[-1].append((time.perf_counter() - began) * 1000)
        self.found.refused += reply.status >= 300
        settings: dict[str, object] = json.loads(raw) if raw else {}
        return settings


async def _order(port: int, pid: int, load: Load, pipe: Connection | None) -> Found:
    async with aiohttp.ClientSession(headers=KEYS) as session:
        client = OrderClient(session, port, load)
        pause_s = 1 / load.orders_per_s
        await client.run(LEAD_S / 2, pause_s)
        client.found = found = Found()
        if pipe is not None:
            pipe.recv()
            pipe.send("go")
        began, before = await client.clock(), scheduled_s(pid)
        await client.run(load.seconds, pause_s)
        after = scheduled_s(pid)
        found.cpu_s, found.waited_s = after[0] - before[0], after[1] - before[1]
        ended = await client.clock()
    found.market_s, found.real_s = ended[0] - began[0], ended[1] - began[1]
    return found


def under_load(tape: Path, load: Load) -> Found:
    """Trade beside a subscriber that takes every quote."""
    near, far = get_context("spawn").Pipe()
    with near, far, simulator(tape) as (pid, port):
        counting = get_context("spawn").Process(target=subscribe, args=(port, load.seconds, far))
        counting.start()
        found = asyncio.run(_order(port, pid, load, near))
        found.quotes = near.recv()
        counting.join()
    return found


def idle(tape: Path, load: Load) -> Found:
    """Trade on a simulator whose market says nothing: what the machine and HTTP alone cost."""
    with simulator(tape) as (pid, port):
        return asyncio.run(_order(port, pid, load, None))


def measure(load: Load) -> dict[str, object]:
    """Return the figures of one run."""
    with tempfile.TemporaryDirectory() as folder:
        tape, still = Path(folder, "tape.csv"), Path(folder, "still.csv")
        write_tape(tape, load)
        quiet = Load(load.symbols, load.symbols, 0.0, load.orders_per_s)
        write_tape(still, quiet)
        floor = idle(still, Load(load.symbols, 0, min(load.seconds, 4.0), load.orders_per_s))
        found = under_load(tape, load)
    best, floor_best = best_round(found), best_round(floor)
    return {
        "bench": "simulator",
        "symbols": load.symbols,
        "asked_quotes_per_s": load.rate,
        "quotes_per_s": round(found.quotes / load.seconds),
        "kept_up": round(found.market_s / found.real_s, 4),
        "cpu_share": round(found.cpu_s / found.real_s, 3),
        "waited_share": round(found.waited_s / found.real_s, 3),
        "answers": sum(map(len, found.rounds_ms)),
        "refused": found.refused,
        "order_p50_ms": round(best[0], 2),
        "order_p99_ms": round(best[1], 2),
        "order_p99_ms_by_round": [round(cuts(each)[1], 1) for each in found.rounds_ms],
        "silent_order_p50_ms": round(floor_best[0], 2),
        "silent_order_p99_ms": round(floor_best[1], 2),
        "bare_loop_per_cpu_s": round(bare_loop_per_cpu_s()),
    }


def cuts(answers_ms: list[float]) -> tuple[float, float]:
    """Return median and 99th percentile."""
    hundredths = quantiles(answers_ms, n=100)
    return hundredths[49], hundredths[98]


def best_round(found: Found) -> tuple[float, float]:
    """Return the figures of the round that neighbors disturbed least."""
    return min(map(cuts, found.rounds_ms), key=lambda each: each[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Load()
    parser.add_argument("--symbols", type=int, default=default.symbols)
    parser.add_argument("--rate", type=int, default=default.rate, help="quotes a second")
    parser.add_argument("--seconds", type=float, default=default.seconds)
    parser.add_argument("--orders-per-s", type=int, default=default.orders_per_s)
    asked = parser.parse_args()
    load = Load(asked.symbols, asked.rate, asked.seconds, asked.orders_per_s)
    print(json.dumps(measure(load)))


if __name__ == "__main__":
    main()
