"""A broker's market data as a script: the network port's twin for tests of the feed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from tradingd.instruments.calendar import ns_of
from tradingd.messages import Message
from tradingd.quotes.wire import ext_of
from tradingd.runtime.ports import Lane, NetworkError, Reply, SocketClosed

T = TypeVar("T", bound=Message)

OPEN = ns_of("2026-11-20", "09:30")
SECOND = 1_000_000_000

Script = Callable[["Peer"], Awaitable[None]]
Route = Callable[[dict[str, str]], Reply]


class Peer:
    """Both ends of one socket: the port for the feed, `publish` and `end` for the script."""

    def __init__(self, *, is_text: bool = False) -> None:
        self.received: list[dict[str, Any]] = []
        self.is_closed = False
        self._is_text = is_text
        self._frames: asyncio.Queue[str | bytes | SocketClosed] = asyncio.Queue()
        self._asked = asyncio.Event()

    # The port

    async def send(self, frame: str | bytes) -> None:
        if isinstance(frame, str):
            self.received.append(msgspec.json.decode(frame))
        else:
            self.received.append(msgspec.msgpack.decode(frame))
        self._asked.set()

    async def receive(self) -> str | bytes:
        frame = await self._frames.get()
        if isinstance(frame, SocketClosed):
            self._frames.put_nowait(frame)
            raise frame
        return frame

    async def close(self) -> None:
        self.is_closed = True

    # The script

    def publish(self, *batch: Mapping[str, object]) -> None:
        text = msgspec.json.encode(batch).decode() if self._is_text else None
        self._frames.put_nowait(text or msgspec.msgpack.encode(batch))

    def say_raw(self, frame: bytes) -> None:
        self._frames.put_nowait(frame)

    def end(self, code: int = 1006) -> None:
        self._frames.put_nowait(SocketClosed(code, "gone"))

    async def asked(self) -> dict[str, Any]:
        while not self.received:
            self._asked.clear()
            await self._asked.wait()
        return self.received.pop(0)

    async def welcome(self) -> dict[str, Any]:
        """Play the whole handshake; return what was subscribed to."""
        self.publish({"T": "success", "msg": "connected"})
        auth = await self.asked()
        assert auth == {"action": "auth", "key": "key", "secret": "secret"}
        self.publish({"T": "success", "msg": "authenticated"})
        wanted = await self.asked()
        assert wanted.pop("action") == "subscribe"
        self.publish({"T": "subscription", **wanted, "news": []})
        return wanted


class ScriptedNetwork:
    """Each connection plays the next script; the last one is played again and again."""

    def __init__(
        self, *scripts: Script, routes: Mapping[str, Route] | None = None, is_text: bool = False
    ) -> None:
        self.connects: list[tuple[str, dict[str, str]]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.peers: list[Peer] = []
        self._scripts = list(scripts)
        self._routes = routes or {}
        self._is_text = is_text
        self._plays: set[asyncio.Task[None]] = set()

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
        del body, lane, deadline_s
        assert method == "GET"
        assert headers["APCA-API-KEY-ID"] == "key"
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.requests.append((parts.path, query))
        await asyncio.sleep(0)
        if parts.path not in self._routes:
            return Reply(404, b'{"message":"not found"}')
        return self._routes[parts.path](query)

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> Peer:
        del deadline_s
        self.connects.append((url, dict(headers)))
        await asyncio.sleep(0)
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        if script is refused:
            raise NetworkError("connection refused", was_sent=False)
        peer = Peer(is_text=self._is_text)
        self.peers.append(peer)
        play = asyncio.ensure_future(script(peer))
        self._plays.add(play)
        return peer

    async def close(self) -> None:
        for play in self._plays:
            play.cancel()
        await asyncio.gather(*self._plays, return_exceptions=True)


async def refused(_: Peer) -> None:
    """Stand for a port where nobody listens."""


async def silent(_: Peer) -> None:
    """Accept and never say a word."""


async def quiet(peer: Peer) -> None:
    """Shake hands and say nothing more."""
    await peer.welcome()


class Ear:
    """The bus as the feed sees it: remembers, and lets a test wait for what is said."""

    def __init__(self) -> None:
        self.published: list[Message] = []
        self.room = True
        self._news = asyncio.Event()

    def publish(self, source: str, message: Message) -> object:
        assert source == "feed"
        self.published.append(message)
        self._news.set()
        return None

    def has_room(self) -> bool:
        return self.room

    def of(self, *kinds: type[T]) -> list[T]:
        return [message for message in self.published if isinstance(message, kinds)]

    async def until(self, kind: type[Message], count: int = 1) -> Message:
        """Wait until so many of a kind were said; return the last."""
        async with asyncio.timeout(60):
            while len(self.of(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return self.of(kind)[count - 1]


def quote_point(symbol: str = "IBM", bid: float = 99.0, at: int = OPEN) -> dict[str, object]:
    return {
        "T": "q", "S": symbol, "bx": "Q", "bp": bid, "bs": 100, "ax": "Q", "ap": bid + 1, "as": 200,
        "t": ext_of(at), "c": ["R"], "z": "C",
    }  # fmt: skip
