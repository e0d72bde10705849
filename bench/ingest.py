"""Market data in: frames of msgpack quotes to the quotes actor, beside alpaca-py on the very same frames.

    python -m bench.ingest [--messages N] [--batch B] [--rounds R] [--uvloop]

Both sides get the frames from memory, so the kernel and the WebSocket library are left out on both. Ours is
the whole way: stream, decoding, door, bus, journal (its tape thrown away), mailbox, actor. alpaca-py's is its
own consumer loop, with the handler that a user writes; once with models, once with `raw_data`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial

import uvloop
from alpaca.data.live import StockDataStream
from msgspec.msgpack import encode

from bench.calibrate import bare_loop_per_cpu_s
from tradingd.log.journal import Journal
from tradingd.log.memory_store import NullStore
from tradingd.log.memory_tape import NullTape
from tradingd.messages import ActorFailed, Market
from tradingd.quotes.core import QuotesCore
from tradingd.quotes.feed_handler import FeedHandler
from tradingd.quotes.feed_settings import FeedSettings
from tradingd.quotes.handshake import StreamLost
from tradingd.quotes.sessions import MarketSessions
from tradingd.quotes.settings import QuotesSettings
from tradingd.quotes.stream import MarketStream
from tradingd.quotes.wire import ext_of
from tradingd.runtime.actor import Actor
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import SystemClock
from tradingd.runtime.ports import Lane, Reply, SocketClosed
from tradingd.wiring import WIRING

SYMBOLS = ("AAPL", "MSFT", "NVDA", "AMZN", "META", "GOOG", "TSLA", "SPY", "QQQ", "AMD")
MICROSECOND = 1_000
SETTINGS = FeedSettings(
    symbols=SYMBOLS,
    key_id="-",
    secret_key="-",  # noqa: S106 - a socket of memory asks for none
    channels=("quotes",),
)


def make_frames(count: int, batch: int) -> list[bytes]:
    """Return `count` quotes as the broker sends them, `batch` to a frame, stamped around now."""
    began = time.time_ns()
    quotes = [_quote(number, began + number * MICROSECOND) for number in range(count)]
    return [encode(quotes[at : at + batch]) for at in range(0, count, batch)]


def _quote(number: int, at: int) -> dict[str, object]:
    # A few cents up and down around a drift: within a second a liquid symbol moves some basis points.
    bid = round(100 + number // len(SYMBOLS) * 7 % 5 / 100 + number / 1_000_000, 2)
    return {
        "T": "q", "S": SYMBOLS[number % len(SYMBOLS)], "bx": "V", "bp": bid, "bs": 100 + number % 9,
        "ax": "Q", "ap": round(bid + 0.02, 2), "as": 100 + number % 7, "c": ["R"], "z": "C",
        "t": ext_of(at),
    }  # fmt: skip


class Frames:
    """A socket and the network it comes from: the greetings, then the frames, then closed."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        greetings = ([{"T": "success", "msg": "connected"}],
                     [{"T": "success", "msg": "authenticated"}],
                     [{"T": "subscription", "quotes": list(SYMBOLS)}])  # fmt: skip
        self._frames = iter([*map(encode, greetings), *frames])

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> Frames:
        return self

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        lane: Lane = Lane.POLL,
        deadline_s: float = 10.0,
    ) -> Reply:
        raise AssertionError("market data alone is measured")

    async def send(self, frame: str | bytes) -> None:
        return

    async def receive(self) -> bytes:
        frame = next(self._frames, None)
        if frame is None:
            raise SocketClosed(1000, "end of the frames")
        return frame

    async def close(self) -> None:
        return


async def local(frames: Sequence[bytes], count: int) -> None:
    """Take all frames through stream, door, bus and actor."""
    clock = SystemClock()
    bus = Bus(clock, Journal(NullStore(), NullTape()), WIRING)
    actor = Actor("quotes", QuotesCore(QuotesSettings(symbols=SYMBOLS)), bus, _fail)
    handler = FeedHandler(bus, clock, SYMBOLS)
    stream = MarketStream(
        market=Market.US_EQUITY,
        url="memory",
        symbols=SYMBOLS,
        network=Frames(frames),
        clock=clock,
        handler=handler,
        sessions=MarketSessions(),
        settings=SETTINGS,
    )
    working = asyncio.create_task(actor.run())
    try:
        await stream.run(_connected)
    except StreamLost:
        while not bus.is_quiet():  # noqa: ASYNC110 - the loop is to be busy here
            await asyncio.sleep(0)  # the actor works between
    working.cancel()
    handler.close()
    counts = handler.quote_filter.counts
    assert actor.turns + counts["conflated"] >= count == handler.quotes, counts


async def _connected() -> None:
    return


def _fail(failed: ActorFailed) -> None:
    raise AssertionError(failed.traceback)


class _EndOfFrames(Exception):  # noqa: N818 - not an error
    pass


class _AlpacaFrames:
    def __init__(self, frames: Sequence[bytes]) -> None:
        self._frames = iter(frames)

    async def recv(self) -> bytes:
        frame = next(self._frames, None)
        if frame is None:
            raise _EndOfFrames
        return frame


async def reported(frames: Sequence[bytes], count: int, *, is_raw: bool) -> None:
    """Take all frames through alpaca-py's consumer to a handler that reads one field."""
    stream = StockDataStream("-", "-", raw_data=is_raw)
    seen = 0

    async def on_quote(quote: object) -> None:
        nonlocal seen
        seen += 1

    stream.subscribe_quotes(on_quote, "*")
    stream._ws = _AlpacaFrames(frames)  # type: ignore[assignment]  # noqa: SLF001 - no socket in between
    try:
        await stream._consume()  # noqa: SLF001 - its own loop is what is measured
    except _EndOfFrames:
        assert seen == count, f"alpaca-py handled {seen} of {count}"


Run = Callable[[Sequence[bytes], int], Coroutine[None, None, None]]

SIDES: dict[str, Run] = {
    "ours": local,
    "alpaca_py": partial(reported, is_raw=False),
    "alpaca_py_raw": partial(reported, is_raw=True),
}


def rate(run: Run, frames: Sequence[bytes], count: int, *, is_uvloop: bool) -> float:
    """Return messages per second of CPU, on a fresh loop."""
    new_loop = uvloop.new_event_loop if is_uvloop else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        begun = time.process_time()
        runner.run(run(frames, count))
        return count / (time.process_time() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--uvloop", action="store_true")
    asked = parser.parse_args()
    count, bare = asked.messages, bare_loop_per_cpu_s()
    best = dict.fromkeys(SIDES, 0.0)
    for _ in range(asked.rounds):  # interleaved, so that a busy neighbor disturbs all alike
        frames = make_frames(count, asked.batch)
        for name, run in SIDES.items():
            best[name] = max(best[name], rate(run, frames, count, is_uvloop=asked.uvloop))
    line = {
        "bench": "ingest",
        "messages": count,
        "batch": asked.batch,
        "loop": "uvloop" if asked.uvloop else "asyncio",
        **{f"{name}_per_cpu_s": round(value) for name, value in best.items()},
        "over_alpaca_py": round(best["ours"] / best["alpaca_py"], 2),
        "over_alpaca_py_raw": round(best["ours"] / best["alpaca_py_raw"], 2),
        "bare_loop_ratio": round(best["ours"] / bare, 4),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
