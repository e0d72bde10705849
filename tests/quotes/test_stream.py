"""The handshake of a market's socket, and what changes while it is under way."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.quotes.peer import OPEN, Peer
from tradingd.messages import Market
from tradingd.quotes.feed_settings import FeedSettings
from tradingd.quotes.handshake import StreamRefused, open_market_socket
from tradingd.quotes.stream import MarketStream
from tradingd.runtime.clock import ManualClock


class OnePeer:
    """A network with one socket."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    async def connect(self, url: str, **_: Any) -> Peer:
        del url
        return self.peer


def stream_of(peer: Peer) -> MarketStream:
    network: Any = OnePeer(peer)
    handler: Any = SimpleNamespace(unread=0)
    sessions: Any = SimpleNamespace(regular_since=lambda *_: None)
    settings = FeedSettings(symbols=("IBM",), key_id="k", secret_key="s", channels=("quotes",))
    return MarketStream(
        market=Market.US_EQUITY, url="ws://x", symbols=("IBM",), network=network,
        clock=ManualClock(OPEN), handler=handler, sessions=sessions, settings=settings,
    )  # fmt: skip


async def test_symbols_that_change_during_the_subscription_are_sent_once_it_stands() -> None:
    peer, connected = Peer(), asyncio.Event()
    stream = stream_of(peer)

    async def on_connected() -> None:
        connected.set()

    running = asyncio.create_task(stream.run(on_connected))
    peer.publish({"T": "success", "msg": "connected"})
    peer.publish({"T": "success", "msg": "authenticated"})
    while len(peer.received) < 2:  # noqa: ASYNC110 - the peer asks in its own turns
        await asyncio.sleep(0)
    await stream.watch(("MSFT",))
    assert [each["action"] for each in peer.received] == ["auth", "subscribe"]
    peer.publish({"T": "subscription", "quotes": ["IBM"]})
    await connected.wait()
    assert peer.received[1:] == [
        {"action": "subscribe", "quotes": ["IBM"]},
        {"action": "subscribe", "quotes": ["MSFT"]},
        {"action": "unsubscribe", "quotes": ["IBM"]},
    ]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert peer.is_closed


@pytest.mark.parametrize("failure", ["refused", "silent"])
async def test_a_handshake_that_fails_closes_its_socket(failure: str) -> None:
    peer = Peer()
    network: Any = OnePeer(peer)
    if failure == "refused":
        peer.publish({"T": "success", "msg": "connected"})
        peer.publish({"T": "error", "code": 406, "msg": "connection limit exceeded"})
    with pytest.raises((StreamRefused, TimeoutError)) as failed:
        await open_market_socket(network, "ws://x", key_id="k", secret_key="s", deadline_s=0.05)
    assert isinstance(failed.value, StreamRefused) is (failure == "refused")
    assert peer.is_closed
