"""From a quote on the socket to the order on the wire, over loopback, beside alpaca-py.

    python -m bench.wire [--orders N] [--rounds R]

The broker is another process (`wire_server`). `null` is a client of blocking sockets that decodes nothing:
what the set-up itself costs, subtracted from the others. `local` is the whole system, every actor and both
edges, with the journal off (nothing is kept) and on (SQLite, synchronous=FULL). `alpaca_py` is its stream
with `submit_order` in the handler. Microseconds; one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import multiprocessing
import socket
import statistics
import struct
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
import uvloop
from alpaca.data.live import CryptoDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide
from alpaca.trading.enums import TimeInForce as TheirTime
from alpaca.trading.requests import LimitOrderRequest
from msgspec.msgpack import encode

from bench.wire_client import KEY, trade
from bench.wire_server import DATA_PATH, SYMBOL, TRIGGER_SIZE, serve
from tradingd.log.memory_store import NullStore
from tradingd.log.sqlite_store import SqliteStore

Client = Callable[[int, int], None]
"""(port, orders): answers so many triggers."""


def local(port: int, orders: int, *, is_journaled: bool) -> None:
    """Trade with the system."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "log.sqlite3") if is_journaled else NullStore()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(trade(port, orders, store))


def reported(port: int, orders: int) -> None:
    """Trade with alpaca-py as its examples do: submit in the handler of the stream."""
    logging.disable(logging.CRITICAL)
    client = TradingClient(KEY, KEY, url_override=f"http://127.0.0.1:{port}")
    stream = CryptoDataStream(KEY, KEY, url_override=f"ws://127.0.0.1:{port}{DATA_PATH}")
    left = orders

    async def on_quote(quote: object) -> None:
        nonlocal left
        if getattr(quote, "bid_size", 0.0) != TRIGGER_SIZE or not left:
            return
        client.submit_order(
            LimitOrderRequest(
                symbol=SYMBOL,
                qty=1,
                side=OrderSide.BUY,
                time_in_force=TheirTime.GTC,
                limit_price=101.02,
            )
        )
        left -= 1
        if not left:
            await stream.stop_ws()

    stream.subscribe_quotes(on_quote, SYMBOL)
    asyncio.run(stream._run_forever())  # noqa: SLF001 - `run` adds only a message to the console


def null(port: int, orders: int) -> None:
    """Answer each trigger with bytes made before, over blocking sockets."""
    body = json.dumps({"symbol": SYMBOL, "qty": "1", "side": "buy", "type": "limit",
                       "time_in_force": "gtc", "limit_price": "101.02"}).encode()  # fmt: skip
    head = f"POST /v2/orders HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n"
    request, trigger = head.encode() + body, encode(TRIGGER_SIZE)
    with _connected(port) as data, _connected(port) as trading:
        upgrade = (
            f"GET {DATA_PATH} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        data.sendall(upgrade.encode())
        stream = data.makefile("rb")
        while stream.readline() != b"\r\n":
            pass
        for _ in ("auth", "subscribe"):
            _read_frame(stream.read)
            data.sendall(b"\x82\x81\0\0\0\0\x80")  # a masked frame of one byte: an empty map
        while orders:
            if trigger in _read_frame(stream.read):
                trading.sendall(request)
                orders -= 1
                trading.recv(65_536)


@contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def _read_frame(read: Callable[[int], bytes]) -> bytes:
    length = read(2)[1]
    if length == 126:
        (length,) = struct.unpack("!H", read(2))
    return read(length)


def latencies(port: int) -> list[float]:
    """Return what the broker stamped since it was last asked."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/latencies") as reply:
        found: list[float] = json.load(reply)
    return found


def play(client: Client, port: int, orders: int) -> list[float]:
    """Let a client answer so many triggers in a process of its own; leave out the first tenth."""
    latencies(port)
    process = multiprocessing.get_context("spawn").Process(target=client, args=(port, orders))
    process.start()
    process.join()
    assert process.exitcode == 0, f"{client} ended with {process.exitcode}"
    return latencies(port)[orders // 10 : orders]


def ours_unkept(port: int, orders: int) -> None:
    """Trade with the system, journal off."""
    local(port, orders, is_journaled=False)


def ours_kept(port: int, orders: int) -> None:
    """Trade with the system, journal on."""
    local(port, orders, is_journaled=True)


CLIENTS: dict[str, Client] = {
    "null": null,
    "ours": ours_unkept,
    "ours_journaled": ours_kept,
    "alpaca_py": reported,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    port_from, port_to = context.Pipe(duplex=False)
    server = context.Process(target=serve, args=(port_to,), daemon=True)
    server.start()
    port: int = port_from.recv()
    p50s: dict[str, list[float]] = {name: [] for name in CLIENTS}
    p99s: dict[str, list[float]] = {name: [] for name in CLIENTS}
    for _ in range(asked.rounds):
        for name, client in CLIENTS.items():
            found = sorted(play(client, port, asked.orders))
            p50s[name].append(statistics.median(found))
            p99s[name].append(found[int(len(found) * 0.99)])
    server.terminate()
    floor = statistics.median(p50s["null"])
    line: dict[str, object] = {"bench": "wire", "orders": asked.orders, "null_p50_us": round(floor)}
    for name in tuple(CLIENTS)[1:]:
        line[f"{name}_p50_us"] = round(statistics.median(p50s[name]) - floor)
        line[f"{name}_p99_us"] = round(statistics.median(p99s[name]) - floor)
    ratio = (statistics.median(p50s["ours"]) - floor) / (
        statistics.median(p50s["alpaca_py"]) - floor
    )
    print(json.dumps({**line, "over_alpaca_py": round(ratio, 2)}))


if __name__ == "__main__":
    main()
