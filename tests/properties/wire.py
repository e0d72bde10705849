"""The network port with prepared answers, for fuzzers that look at one reply at a time."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tradingd.runtime.ports import Lane, Reply, Socket

T = TypeVar("T")


class Answers:
    """Gives each path its body, and every other path the one of ""."""

    def __init__(self, bodies: Mapping[str, bytes], status: int = 200) -> None:
        self._bodies = bodies
        self._status = status

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
        """Answer at once."""
        body = self._bodies.get(urlsplit(url).path, self._bodies.get("", b""))
        return Reply(self._status, body)

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> Socket:
        """Have no sockets."""
        raise AssertionError(url)

    async def close(self) -> None:
        """Nothing to close."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine that never waits returns, without a loop."""
    try:
        work.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    raise AssertionError("it waits")
