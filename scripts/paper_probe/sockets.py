"""Questions that a market-data socket answers: its time-outs and its limits."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from scripts.paper_probe.paper import Paper, Unanswered
from scripts.paper_probe.report import Questions
from tradingd.runtime.ports import Socket, SocketClosed

SYMBOLS = (
    "AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "META", "TSLA", "AVGO", "JPM", "LLY", "V", "XOM", "UNH",
    "MA", "COST", "HD", "PG", "WMT", "NFLX", "JNJ", "CRM", "BAC", "ORCL", "ABBV", "CVX", "KO", "MRK",
    "AMD", "PEP", "ACN", "LIN",
)  # fmt: skip
"""One more than the free plan's thirty."""


async def auth_timeout(paper: Paper) -> str:
    """Connect and say nothing."""
    socket = await paper.connect(paper.data_stream_url)
    began = paper.clock.monotonic()
    settings = []
    try:
        async with asyncio.timeout(paper.settings.timeout_s):
            await _receive(socket)  # the welcome
            while True:
                settings.append(_word(await _receive(socket)))
    except TimeoutError:
        return f"nothing within {paper.settings.timeout_s:g} s"
    except SocketClosed as closed:
        took = (paper.clock.monotonic() - began) / 1e9
        return f"closed after {took:.0f} s: {', '.join(settings)}, {closed}"
    finally:
        await socket.close()


async def second_connection(paper: Paper) -> str:
    """Open two, and then one after a clean end."""
    first = await paper.data_socket()
    try:
        second = await paper.data_socket()
    except Unanswered as refused:
        settings = f"second: {refused}"
    else:
        settings = "second: authenticated"
        await second.close()
    finally:
        await first.close()
    began = paper.clock.monotonic()
    for _ in range(20):
        try:
            third = await paper.data_socket()
        except Unanswered:
            await asyncio.sleep(5.0)
            continue
        await third.close()
        took = (paper.clock.monotonic() - began) / 1e9
        return f"{settings}; free again {took:.0f} s after a clean end"
    return f"{settings}; not free again within 100 s"


async def symbol_limit(paper: Paper) -> str:
    """Subscribe to 16 symbols on two channels, then to 31 on one."""
    socket = await paper.data_socket()
    try:
        half = list(SYMBOLS[:16])
        wants = {
            "16 on trades and quotes": {"trades": half, "quotes": half},
            "31 on quotes": {"quotes": list(SYMBOLS)},
            "31 on bars": {"bars": list(SYMBOLS)},
        }
        settings = []
        for name, want in wants.items():
            await socket.send(_encode({"action": "subscribe", **want}))
            settings.append(f"{name}: {_word(await _control(socket))}")
        return "; ".join(settings)
    except SocketClosed as closed:
        raise Unanswered(f"the socket ended: {closed}") from closed
    finally:
        await socket.close()


async def _receive(socket: Socket) -> dict[str, Any]:
    """Return the first message of the next frame."""
    frame = await socket.receive()
    messages = msgspec.json.decode(frame, type=list[dict[str, Any]])
    return messages[0] if messages else {}


async def _control(socket: Socket) -> dict[str, Any]:
    """Return the next message that is no data."""
    async with asyncio.timeout(10.0):
        while True:
            message = await _receive(socket)
            if message.get("T") in {"error", "subscription", "success"}:
                return message


def _word(message: dict[str, Any]) -> str:
    if message.get("T") == "error":
        return f"{message.get('code')} {message.get('msg')}"
    return str(message.get("msg") or message.get("T") or message)


def _encode(message: object) -> str:
    return msgspec.json.encode(message).decode()


SOCKET_QUESTIONS: Questions = {
    "auth_timeout": ("How long may a data socket stay unauthenticated?", auth_timeout),
    "second_connection": ("What does a second data socket get, and how long?", second_connection),
    "symbol_limit": ("Which symbols does the plan's limit count?", symbol_limit),
}
