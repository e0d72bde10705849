"""The feed against a scripted broker: handshake, losses, refusals, history, bad points."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from tests.quotes.peer import (
    OPEN,
    SECOND,
    Ear,
    Peer,
    Script,
    ScriptedNetwork,
    quiet,
    quote_point,
    refused,
    silent,
)
from tradingd.instruments.calendar import ns_of
from tradingd.messages import (
    AlertRaised,
    BarReceived,
    CalendarRead,
    FeedConnected,
    FeedLost,
    HistoryRead,
    Market,
    Quote,
    SymbolHalted,
    Trade,
)
from tradingd.quotes import feed as feed_module
from tradingd.quotes.feed import AlpacaFeed
from tradingd.quotes.feed_settings import FeedSettings
from tradingd.quotes.handshake import StreamRefused
from tradingd.quotes.wire import StreamError, ext_of
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.ports import Reply

QUICK: dict[str, Any] = {
    "symbols": ("BTC/USD",),
    "key_id": "key",
    "secret_key": "secret",
    "handshake_s_max": 0.05,
    "back_off_s_min": 0.001,
    "back_off_s_max": 0.01,
    "refused_interval_s": 0.001,
    "connection_limit_interval_s": 0.001,
}


@asynccontextmanager
async def running(
    network: ScriptedNetwork, now: int = OPEN, **options: Any
) -> AsyncIterator[tuple[AlpacaFeed, Ear]]:
    ear = Ear()
    settings = FeedSettings(**{**QUICK, **options})
    feed = AlpacaFeed(network, ManualClock(now), ear, settings, random.Random(1))
    task = asyncio.create_task(feed.run())
    try:
        yield feed, ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await network.close()


def then(*batch: dict[str, object], end: int | None = None) -> Script:
    """Shake hands, say the points in one frame, and perhaps close."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        peer.publish(*batch)
        if end is not None:
            peer.end(end)

    return script


def refusing(code: int, *, at_subscription: bool = False) -> Script:
    async def script(peer: Peer) -> None:
        peer.publish({"T": "success", "msg": "connected"})
        await peer.asked()
        if at_subscription:
            peer.publish({"T": "success", "msg": "authenticated"})
            await peer.asked()
        peer.publish({"T": "error", "code": code, "msg": "no"})

    return script


async def test_connected_is_said_after_the_acknowledgement_and_before_the_first_quote() -> None:
    network = ScriptedNetwork(then(quote_point("BTC/USD", 50_000.0, OPEN - 7)))
    async with running(network) as (feed, ear):
        assert await ear.until(Quote) == Quote("BTC/USD", 50_000.0, 100, 50_001.0, 200, OPEN - 7)
        assert ear.published[-2:-1] == [FeedConnected(Market.CRYPTO)]
        assert feed.handler.quotes == feed.handler.quote_filter.admitted == 1
    assert network.connects == [
        (FeedSettings(**QUICK).crypto_stream_url, {"Content-Type": "application/msgpack"})
    ]
    assert network.peers[0].is_closed


async def test_each_market_has_its_socket_and_its_symbols() -> None:
    subscribed: list[dict[str, Any]] = []

    async def script(peer: Peer) -> None:
        subscribed.append(await peer.welcome())

    symbols, channels = ("IBM", "BTC/USD"), ("quotes", "trades", "statuses")
    async with running(ScriptedNetwork(script), symbols=symbols, channels=channels) as (_, ear):
        await ear.until(FeedConnected, 2)
    assert {"quotes": ["IBM"], "trades": ["IBM"], "statuses": ["IBM"]} in subscribed
    assert {"quotes": ["BTC/USD"], "trades": ["BTC/USD"]} in subscribed


async def test_a_peer_that_answers_in_text_is_understood() -> None:
    point = {**quote_point("BTC/USD"), "t": "2026-11-20T14:30:00.123456789Z"}
    network = ScriptedNetwork(then(point), is_text=True)
    async with running(network, now=OPEN + SECOND) as (_, ear):
        quote = await ear.until(Quote)
        assert isinstance(quote, Quote)
        assert quote.quoted_at == OPEN + 123_456_789


@pytest.mark.parametrize("broken", [refused, silent])
async def test_a_broker_that_is_not_there_is_tried_until_it_is(broken: Script) -> None:
    network = ScriptedNetwork(broken, broken, broken, quiet)
    async with running(network) as (_, ear):
        await ear.until(FeedConnected)
        lost = ear.of(FeedLost)
        assert len(lost) == 1, "a loss is said once, attempts are not losses"
    assert len(network.connects) == 4


async def test_a_closed_socket_is_lost_once_and_connected_again() -> None:
    network = ScriptedNetwork(then(quote_point("BTC/USD"), end=1006), quiet)
    async with running(network) as (feed, ear):
        await ear.until(FeedConnected, 2)
        assert [type(m) for m in ear.of(FeedConnected, FeedLost)] == [
            FeedConnected,
            FeedLost,
            FeedConnected,
        ]
        (lost,) = ear.of(FeedLost)
        assert isinstance(lost, FeedLost)
        assert "1006" in lost.reason
        assert (feed.connects[Market.CRYPTO], feed.losses[Market.CRYPTO]) == (2, 1)


async def test_a_mute_socket_is_given_up() -> None:
    network = ScriptedNetwork(quiet)
    async with running(network, mute_after_s=0.02, mute_s_min=0.0) as (_, ear):
        lost = await ear.until(FeedLost)
        assert isinstance(lost, FeedLost)
        assert "mute" in lost.reason
        await ear.until(FeedConnected, 2)


async def test_a_socket_may_be_mute_while_the_market_is_closed() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await asyncio.sleep(0.1)  # five times what would be too long in the session
        peer.end(1000)

    night = ns_of("2026-11-20", "21:00")
    options = {"symbols": ("IBM",), "mute_after_s": 0.02, "mute_s_min": 0.0}
    async with running(ScriptedNetwork(script), now=night, **options) as (_, ear):
        lost = await ear.until(FeedLost)
        assert isinstance(lost, FeedLost)
        assert "mute" not in lost.reason


@pytest.mark.parametrize("code", [402, 409])
async def test_refused_keys_are_named_alerted_once_and_tried_on(code: int) -> None:
    network = ScriptedNetwork(*[refusing(code)] * 3, quiet)
    async with running(network) as (_, ear):
        await ear.until(FeedConnected)
        (alert,) = ear.of(AlertRaised)
        assert isinstance(alert, AlertRaised)
        assert str(code) in alert.text
        assert "secret" not in alert.text
        assert len(ear.of(FeedLost)) == 1


async def test_too_many_symbols_at_the_subscription_call_a_person() -> None:
    network = ScriptedNetwork(refusing(405, at_subscription=True), quiet)
    async with running(network) as (_, ear):
        await ear.until(FeedConnected)
        assert len(ear.of(AlertRaised)) == 1


async def test_a_connection_still_counted_is_waited_for_before_a_person_is_called() -> None:
    patient = ScriptedNetwork(*[refusing(406)] * 5, quiet)
    async with running(patient) as (_, ear):
        await ear.until(FeedConnected)
        assert ear.of(AlertRaised) == []
    hopeless = ScriptedNetwork(*[refusing(406)] * 12, quiet)
    async with running(hopeless) as (_, ear):
        await ear.until(FeedConnected)
        assert len(ear.of(AlertRaised)) == 1


async def test_a_warning_of_slowness_does_not_end_the_socket() -> None:
    warning = {"T": "error", "code": 407, "msg": "slow client"}
    network = ScriptedNetwork(then(warning, quote_point("BTC/USD")))
    async with running(network) as (feed, ear):
        await ear.until(Quote)
        assert feed.streams[0].slow_warnings == 1
        assert ear.of(FeedLost) == []


async def test_an_error_among_the_points_ends_the_socket_by_name() -> None:
    network = ScriptedNetwork(then({"T": "error", "code": 500, "msg": "internal error"}), quiet)
    async with running(network) as (_, ear):
        assert await ear.until(FeedLost) == FeedLost(Market.CRYPTO, "500 internal error")
        await ear.until(FeedConnected, 2)


def test_pauses_grow_with_chance_up_to_their_bound() -> None:
    settings = FeedSettings(symbols=("BTC/USD",), key_id="k", secret_key="s")
    feed = AlpacaFeed(ScriptedNetwork(quiet), ManualClock(OPEN), Ear(), settings, random.Random(3))
    error = StreamRefused(StreamError(500, "internal error"))
    for attempt in range(40):
        feed.attempts[Market.CRYPTO] = attempt
        pause = feed._pause_after(Market.CRYPTO, error)
        whole = min(0.2 * 2**attempt, 30.0)
        assert whole / 2 <= pause <= whole


async def test_unknown_and_unreadable_points_cost_only_themselves() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        peer.say_raw(b"\xc1 no msgpack")
        peer.publish({"T": "zz", "S": "IBM"}, {**quote_point("BTC/USD"), "bp": "high"})
        peer.publish({"T": "zz"}, quote_point("BTC/USD"), {**quote_point("BTC/USD"), "t": 17})

    async with running(ScriptedNetwork(script)) as (feed, ear):
        await ear.until(Quote)
        assert feed.handler.unread == 5
        assert len(ear.of(Quote)) == 1
        assert ear.of(FeedLost) == []


async def test_bad_quotes_are_counted_by_reason_and_not_said() -> None:
    batch = [
        {**quote_point("BTC/USD"), "bp": 101.0},
        {**quote_point("BTC/USD"), "bp": 0},
        {**quote_point("BTC/USD"), "ap": float("nan")},
        quote_point("TSLA"),
        quote_point("BTC/USD"),
        quote_point("BTC/USD", 990.0),
        quote_point("BTC/USD", at=OPEN - SECOND),
        quote_point("BTC/USD", at=OPEN + 60 * SECOND),
        quote_point("BTC/USD", 99.5),
    ]
    async with running(ScriptedNetwork(then(*batch))) as (feed, ear):
        await ear.until(Quote, 2)
        counts = {
            reason: count for reason, count in feed.handler.quote_filter.counts.items() if count
        }
        assert counts == {
            "crossed": 1, "not_positive": 1, "not_finite": 1, "unknown_symbol": 1, "spike": 1,
            "out_of_order": 1, "future": 1,
        }  # fmt: skip


async def test_trades_bars_and_halts_come_in() -> None:
    batch: list[dict[str, object]] = [
        {"T": "t", "S": "IBM", "i": 1, "x": "Q", "p": 99.5, "s": 10, "t": ext_of(OPEN), "z": "C"},
        {"T": "b", "S": "IBM", "o": 1.0, "h": 2.0, "l": 1.0, "c": 1.5, "v": 7, "n": 1, "vw": 1.2,
         "t": ext_of(OPEN - 60 * SECOND)},
        {"T": "s", "S": "IBM", "sc": "H", "sm": "Trading Halt", "rc": "T1", "rm": "News",
         "t": ext_of(OPEN), "z": "C"},
        {"T": "s", "S": "IBM", "sc": "Q", "sm": "Quotation", "t": ext_of(OPEN), "z": "C"},
        {"T": "s", "S": "IBM", "sc": "T", "sm": "Trading Resumption", "t": ext_of(OPEN), "z": "C"},
        {"T": "c", "S": "IBM", "t": ext_of(OPEN)},
    ]  # fmt: skip
    async with running(ScriptedNetwork(then(*batch)), symbols=("IBM",)) as (feed, ear):
        await ear.until(SymbolHalted, 2)
        assert ear.of(Trade, BarReceived, SymbolHalted) == [
            Trade("IBM", 99.5, 10.0, OPEN),
            BarReceived("IBM", 60, OPEN - 60 * SECOND, 1.0, 2.0, 1.0, 1.5, 7.0),
            SymbolHalted("IBM", is_halted=True, reason="News"),
            SymbolHalted("IBM", is_halted=False, reason="Trading Resumption"),
        ]
        assert feed.handler.ignored == 1


async def test_a_status_is_told_in_one_line_that_a_screen_can_show() -> None:
    odd: dict[str, object] = {
        "T": "s", "S": "\u202eMBI\u2066", "sc": "NaN", "sm": "9" * 5000, "t": ext_of(OPEN),
    }  # fmt: skip
    async with running(ScriptedNetwork(then(odd)), symbols=("IBM",)) as (_feed, ear):
        await ear.until(AlertRaised, 1)
        (alert,) = ear.of(AlertRaised)
        assert alert.text.isprintable()
        assert len(alert.text) <= 200


async def test_a_status_nobody_knows_is_recorded_once_and_halts_nothing() -> None:
    batch: list[dict[str, object]] = [
        {"T": "s", "S": "IBM", "sc": code, "sm": "?", "t": ext_of(OPEN)} for code in "ZZYH"
    ]
    async with running(ScriptedNetwork(then(*batch)), symbols=("IBM",)) as (feed, ear):
        await ear.until(SymbolHalted, 1)
        alerts = ear.of(AlertRaised)
        assert [alert.kind for alert in alerts] == ["word_unknown"] * 2
        assert "'Z'" in alerts[0].text
        assert feed.handler.unknown == 3


async def test_points_nobody_can_read_are_recorded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "REFUSED_LOG_INTERVAL_S", 0.01)
    batch: list[dict[str, object]] = [{"T": "new_kind", "S": "IBM"}, {"T": "q", "S": 7}]
    async with running(ScriptedNetwork(then(*batch)), symbols=("IBM",)) as (feed, ear):
        await ear.until(AlertRaised, 1)
        feed.handler.unread += 1
        await asyncio.sleep(0.05)
        (alert,) = ear.of(AlertRaised)
        assert "2 points" in alert.text
        assert feed.handler.unread == 3


async def test_a_reconnect_takes_halts_back_for_their_end_may_have_been_missed() -> None:
    halt: dict[str, object] = {
        "T": "s", "S": "IBM", "sc": "H", "sm": "Trading Halt", "rc": "T1", "rm": "News",
        "t": ext_of(OPEN), "z": "C",
    }  # fmt: skip
    network = ScriptedNetwork(then(halt, end=1006), quiet)
    async with running(network, symbols=("IBM",)) as (_, ear):
        await ear.until(FeedConnected, 2)
        assert ear.of(SymbolHalted, FeedConnected) == [
            FeedConnected(Market.US_EQUITY),
            SymbolHalted("IBM", is_halted=True, reason="News"),
            SymbolHalted("IBM", is_halted=False, reason="unknown after a gap"),
            FeedConnected(Market.US_EQUITY),
        ]


async def test_without_room_the_latest_quote_waits_and_comes_in_by_itself() -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await go.wait()
        peer.publish(*[quote_point("BTC/USD", 99.0 + step / 100, OPEN) for step in range(10)])

    async with running(ScriptedNetwork(script)) as (feed, ear):
        await ear.until(FeedConnected)
        ear.room = False
        go.set()
        async with asyncio.timeout(60):
            while not feed.handler.quote_filter.pending:  # noqa: ASYNC110 - nothing tells of what is not said
                await asyncio.sleep(0)
        assert ear.of(Quote) == []
        ear.room = True
        quote = await ear.until(Quote)
        assert isinstance(quote, Quote)
        assert quote.bid == 99.09
        assert feed.handler.quote_filter.counts["conflated"] == 9


async def test_a_long_frame_is_taken_in_chunks() -> None:
    batch = [quote_point("BTC/USD", 99.0, OPEN + step) for step in range(1000)]
    async with running(ScriptedNetwork(then(*batch))) as (feed, ear):
        await ear.until(Quote, 1000)
        assert feed.streams[0].frames == 1


CALENDAR = [
    {"date": "2026-11-27", "open": "09:30", "close": "13:00", "session_open": "0400",
     "session_close": "1700", "settlement_date": "2026-11-30"},
    {"date": "2026-11-20", "open": "09:30", "close": "16:00", "session_open": "0400",
     "session_close": "2000", "settlement_date": "2026-11-23"},
]  # fmt: skip


def row(at: str, close: float) -> dict[str, object]:
    return {
        "t": at,
        "o": close,
        "h": close + 1,
        "l": close - 1,
        "c": close,
        "v": 10,
        "n": 1,
        "vw": 1,
    }


def bars_route(pages: list[dict[str, Any]]) -> Any:
    def answer(query: dict[str, str]) -> Reply:
        index = int(query.get("page_token", "0"))
        token = str(index + 1) if index + 1 < len(pages) else None
        return Reply(200, msgspec.json.encode({"bars": pages[index], "next_page_token": token}))

    return answer


async def test_calendar_then_history_then_the_socket() -> None:
    pages = [
        {"IBM": [row("2026-11-20T14:26:00Z", 1.5), row("2026-11-20T14:27:00Z", 2.0)]},
        {"IBM": [row("2026-11-20T14:28:00Z", 3.0), row("2026-11-20T14:30:00Z", 4.0)], "AAPL": []},
    ]
    routes = {
        "/v2/calendar": lambda _: Reply(200, msgspec.json.encode(CALENDAR)),
        "/v2/stocks/bars": bars_route(pages),
    }
    network = ScriptedNetwork(then(quote_point()), routes=routes)
    options = {"symbols": ("IBM", "AAPL"), "warmup": (("IBM", 60, 2), ("AAPL", 60, 5))}
    async with running(network, now=OPEN + SECOND, **options) as (_, ear):
        await ear.until(Quote)
        calendar, *rest = ear.published
        assert isinstance(calendar, CalendarRead)
        assert [day.date for day in calendar.days] == ["2026-11-20", "2026-11-27"]
        assert calendar.days[1].close_at == ns_of("2026-11-27", "13:00")
        assert calendar.days[1].after_at == ns_of("2026-11-27", "17:00")
        assert rest[:5] == [
            BarReceived("IBM", 60, OPEN - 180 * SECOND, 2.0, 3.0, 1.0, 2.0, 10.0, is_history=True),
            BarReceived("IBM", 60, OPEN - 120 * SECOND, 3.0, 4.0, 2.0, 3.0, 10.0, is_history=True),
            HistoryRead("IBM", 2),
            HistoryRead("AAPL", 0),
            FeedConnected(Market.US_EQUITY),
        ]
    (_, first), *_ = [r for r in network.requests if r[0] == "/v2/stocks/bars"]
    assert first["symbols"] == "AAPL,IBM"
    assert first["timeframe"] == "1Min"
    assert first["start"] < "2026-11-16"


async def test_history_of_several_spans_is_said_in_time_order_longest_first() -> None:
    def answer(query: dict[str, str]) -> Reply:
        rows = {
            "1Min": [row("2026-11-20T14:24:00Z", 1.5), row("2026-11-20T14:25:00Z", 2.0)],
            "5Min": [row("2026-11-20T14:20:00Z", 3.0)],
            "1Day": [row("2026-11-19T00:00:00Z", 4.0), row("2026-11-20T00:00:00Z", 5.0)],
        }[query["timeframe"]]
        return Reply(200, msgspec.json.encode({"bars": {"BTC/USD": rows}, "next_page_token": None}))

    network = ScriptedNetwork(quiet, routes={"/v1beta3/crypto/us/bars": answer})
    warmup = tuple(("BTC/USD", span, 10) for span in (60, 300, 86_400, 7))
    async with running(network, warmup=warmup) as (_, ear):
        await ear.until(FeedConnected)
        closes = [bar.close for bar in ear.of(BarReceived) if isinstance(bar, BarReceived)]
        assert closes == [4.0, 3.0, 1.5, 2.0], "today's unfinished day is left out"


@pytest.mark.parametrize(
    "reply",
    [Reply(500, b"<html>"), Reply(403, b"{}"), Reply(200, b'{"bars":{"BTC/USD":[{}]}}')],
)
async def test_without_history_or_calendar_the_market_still_comes_in(reply: Reply) -> None:
    routes = {"/v2/calendar": lambda _: reply, "/v1beta3/crypto/us/bars": lambda _: reply}
    network = ScriptedNetwork(then(quote_point("BTC/USD")), routes=routes)
    warmup = (("BTC/USD", 60, 5),)
    async with running(network, symbols=("BTC/USD", "IBM"), warmup=warmup) as (_, ear):
        await ear.until(HistoryRead, 2)
        await ear.until(Quote)
        assert HistoryRead("BTC/USD", 0) in ear.published
        assert ear.of(CalendarRead) == []


async def test_a_calendar_that_was_not_read_is_tried_again() -> None:
    replies = [Reply(403, b""), Reply(200, msgspec.json.encode(CALENDAR))]
    routes = {"/v2/calendar": lambda _: replies.pop(0)}
    network = ScriptedNetwork(quiet, routes=routes)
    async with running(network, symbols=("IBM",), calendar_retry_s=0.001) as (_, ear):
        await ear.until(CalendarRead)


def test_keys_are_in_no_repr() -> None:
    assert "secret" not in repr(FeedSettings(**QUICK)).replace("secret_key", "")
