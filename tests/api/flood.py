"""A flood of requests: sixteen clients, half of them without a token, on cheap, dear and forbidden routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from tests.api.kit import Kit
from tradingd.api.auth import Access

CLIENTS = 16
REQUESTS = 60
PATHS = ("/api/orders", "/metrics", "/api/performance", "/api/control/pause")


async def flood(kit: Kit, on_answer: Callable[[], None]) -> None:
    """Let each client send one request after the other; call back at every answer."""
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(_client(kit, session, n, on_answer) for n in range(CLIENTS)))


async def _client(
    kit: Kit, session: aiohttp.ClientSession, number: int, on_answer: Callable[[], None]
) -> None:
    headers = {"Authorization": f"Bearer {kit.tokens[Access.READ]}"} if number % 2 else {}
    path = PATHS[number % len(PATHS)]
    method = "POST" if path == PATHS[-1] else "GET"
    for _ in range(REQUESTS):
        try:
            async with session.request(
                method, kit.api.address + path, headers=headers, data=b"x" * 500
            ) as reply:
                await reply.read()
            on_answer()
        except aiohttp.ClientError:
            pass  # a place too many, or hung up on
