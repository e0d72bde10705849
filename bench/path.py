"""How long the way is: calls, functions, files and jumps between files from a quote to its order.

    python -m bench.path [--orders N]

`wire`: from the frame on the data socket to the bytes of the order, in the live assembly over loopback with the
journal off. `backtest`: quote, order and fill in the synchronous runner. Counted under a call profile, frames of
the package only; a coroutine that is resumed counts as a call. Of all orders after the warm-up the shortest way is
told: what else happens to run on the loop belongs to nobody's way. One JSON line each; `--show` prints the files.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType

import structlog
from msgspec.msgpack import encode

import tradingd
from bench.wire_client import CORES, trade
from bench.wire_server import SYMBOL, TRIGGER_SIZE, serving
from tradingd.log.memory_store import NullStore
from tradingd.messages import Quote
from tradingd.research.backtest import Backtest, BacktestSettings
from tradingd.runtime.http1 import KeptConnection
from tradingd.runtime.network import AiohttpSocket
from tradingd.simulator.exchange.settings import ExchangeSettings

PACKAGE = str(Path(tradingd.__file__).parent) + "/"
WARM_UP = 5
"""Orders before the first that counts."""


@dataclass(frozen=True)
class Way:
    """The calls of one order, in the order they were made."""

    calls: tuple[CodeType, ...]

    @property
    def files(self) -> list[str]:
        """Files in the order entered, repeats dropped."""
        return [name for name, _ in itertools.groupby(map(_name, self.calls))]

    def counts(self) -> dict[str, int]:
        """Return what is bounded."""
        files = self.files
        return {
            "calls": len(self.calls),
            "functions": len(set(self.calls)),
            "files": len(set(files)),
            "jumps": len(files) - 1,
        }


def _name(code: CodeType) -> str:
    return code.co_filename.removeprefix(PACKAGE)


@dataclass
class _WireProfile:
    """Cuts out what runs between a trigger's frame and the write of its order."""

    ways: list[Way] = field(default_factory=list)
    _turn: list[CodeType] = field(default_factory=list)
    """Calls of the running turn of the loop: the first one is called by no code of the package."""
    _calls: list[CodeType] | None = None
    _trigger: bytes = encode(TRIGGER_SIZE)

    def __call__(self, frame: FrameType, event: str, value: object) -> None:
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGE):
            if event == "call" and code.co_name == "write":
                self._written(frame.f_back)
            return
        if event == "call":
            if self._calls is not None:
                self._calls.append(code)
                return
            caller = frame.f_back
            if caller is None or not caller.f_code.co_filename.startswith(PACKAGE):
                self._turn.clear()
            self._turn.append(code)
        elif (
            event == "return" and code is AiohttpSocket.receive.__code__ and self._is_trigger(value)
        ):
            # A trigger while an order is under way would be two ways in one: neither counts.
            self._calls = list(self._turn) if self._calls is None else None

    def _is_trigger(self, frame: object) -> bool:
        return isinstance(frame, bytes) and self._trigger in frame

    def _written(self, caller: FrameType | None) -> None:
        if (
            self._calls is not None
            and caller is not None
            and caller.f_code is KeptConnection.ask.__code__
        ):
            self.ways.append(Way(tuple(self._calls)))
            self._calls = None


async def _trade(orders: int) -> None:
    async with serving() as port:
        await trade(port, orders, NullStore())


def to_wire(orders: int) -> Way:
    """Return the shortest way of so many orders from socket to socket."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    profile = _WireProfile()
    sys.setprofile(profile)
    try:
        asyncio.run(_trade(WARM_UP + orders))
    finally:
        sys.setprofile(None)
    return min(profile.ways[WARM_UP:], key=lambda way: len(way.calls))


def _events() -> Iterator[tuple[int, Quote]]:
    for number in itertools.count(1):
        at = number * 1_000_000_000
        size = TRIGGER_SIZE if number % 10 == 0 else 1.0
        yield at, Quote(SYMBOL, 100.0, size, 100.02, 1_000.0, at)


def through_backtest() -> Way:
    """Return the way of one quote with its order, and of the next quote with the fill."""
    settings = BacktestSettings(cores=CORES, exchange=ExchangeSettings())
    events = _events()
    backtest = Backtest(settings)
    backtest.run(itertools.islice(events, 10 * WARM_UP - 1))
    calls: list[CodeType] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            calls.append(frame.f_code)

    fills = backtest.collector.fills
    two = list(itertools.islice(events, 2))
    sys.setprofile(note)
    try:
        backtest.system.play("feed", two)
    finally:
        sys.setprofile(None)
    assert backtest.collector.fills == fills + 1, "a quote, its order and its fill"
    return Way(tuple(calls))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--show", action="store_true")
    asked = parser.parse_args()
    for name, way in {"wire": to_wire(asked.orders), "backtest": through_backtest()}.items():
        print(json.dumps({"bench": "path", "way": name, **way.counts()}))
        if asked.show:
            print(" > ".join(file.removesuffix(".py") for file in way.files))


if __name__ == "__main__":
    main()
