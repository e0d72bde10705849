"""Historical data over REST: series by page, timeframes, latest, snapshots."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator.wire.counter import Counter, body_of
from tradingd.messages import Trade
from tradingd.simulator.wire.market_data import Point
from tradingd.simulator.wire.paging import page_of
from tradingd.simulator.wire.record import MarketRecord

DAY = "start=2026-03-04T00:00:00%2B00:00"


def series(counter: Counter, url: str, key: str) -> tuple[dict[str, list[Any]], int]:
    """Read every page; return the points by symbol and the number of pages."""
    found: dict[str, list[Any]] = {}
    token, pages = "", 0
    while True:
        response = counter.ask("GET", url + (f"&page_token={quote(token)}" if token else ""))
        assert response.status == 200, response.body
        pages += 1
        for symbol, points in body_of(response)[key].items():
            found.setdefault(symbol, []).extend(points)
        token = body_of(response)["next_page_token"]
        if not token:
            return found, pages


def test_bars_of_several_symbols_come_in_pages() -> None:
    counter = Counter()
    counter.minutes("AAA", 7)
    counter.minutes("BBB", 4)
    counter.pass_seconds(600)
    url = f"/v2/stocks/bars?symbols=BBB,AAA&timeframe=1Min&{DAY}&limit=3"
    found, pages = series(counter, url, "bars")
    assert ({name: len(bars) for name, bars in found.items()}, pages) == ({"AAA": 7, "BBB": 4}, 4)
    assert found["AAA"][0] == {
        "o": 100.0, "h": 101.0, "l": 99.0, "c": 100.5, "v": 10.0,
        "t": "2026-03-04T15:00:00.000000000Z", "n": 1, "vw": 100.166666667,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("timeframe", "count"), [("5Min", 2), ("1Hour", 1), ("1Day", 1), ("1Week", 1), ("3Month", 1)]
)
def test_longer_bars_are_made_of_minutes(timeframe: str, count: int) -> None:
    counter = Counter()
    counter.minutes("AAA", 10)
    counter.minutes("BTC/USD", 10)
    counter.pass_seconds(900)
    for prefix, name in (("/v2/stocks", "AAA"), ("/v1beta3/crypto/us", "BTC/USD")):
        url = f"{prefix}/bars?symbols={quote(name, safe='')}&timeframe={timeframe}&{DAY}"
        bars = series(counter, url, "bars")[0][name]
        assert len(bars) == count
        assert (bars[0]["o"], bars[-1]["c"]) == (100.0, 109.5)
        assert sum(bar["v"] for bar in bars) == 100.0


def test_a_running_minute_is_not_history_yet() -> None:
    counter = Counter()
    counter.minutes("AAA", 2)
    counter.pass_seconds(119)
    found, _ = series(counter, f"/v2/stocks/bars?symbols=AAA&timeframe=1Min&{DAY}", "bars")
    assert len(found["AAA"]) == 1


@pytest.mark.parametrize("timeframe", ["", "60Min", "24Hour", "2Day", "1Year", "Min", "0Min"])
def test_an_impossible_timeframe_is_400(timeframe: str) -> None:
    url = f"/v2/stocks/bars?symbols=AAA&timeframe={timeframe}"
    assert Counter().ask("GET", url).status == 400


@pytest.mark.parametrize(
    "url",
    [
        "/v2/stocks/bars?timeframe=1Min",
        "/v2/stocks/bars?symbols=AAA&timeframe=1Min&limit=10001",
        "/v2/stocks/quotes?symbols=AAA&start=yesterday",
        "/v2/stocks/quotes?symbols=AAA&page_token=%21",
        "/v2/stocks/quotes?symbols=BTC%2FUSD",
        "/v1beta3/crypto/us/quotes?symbols=BTCUSD",
    ],
)
def test_bad_parameters_are_400(url: str) -> None:
    response = Counter().ask("GET", url)
    assert response.status == 400
    assert body_of(response)["message"]


def test_quotes_and_trades_by_page_both_ways() -> None:
    counter = Counter()
    for n in range(5):
        counter.pass_seconds(1)
        counter.quote("AAA", 100.0 + n, 100.1 + n)
        counter.trade("AAA", 100.0 + n)
    for channel in ("quotes", "trades"):
        url = f"/v2/stocks/{channel}?symbols=AAA&limit=2&{DAY}"
        ascending = series(counter, url, channel)[0]["AAA"]
        descending = series(counter, url + "&sort=desc", channel)[0]["AAA"]
        assert ascending == descending[::-1]
        assert len(ascending) == (6 if channel == "quotes" else 5)
    keys = {"t", "ax", "ap", "as", "bx", "bp", "bs", "c", "z"}
    assert (
        series(counter, f"/v2/stocks/quotes?symbols=AAA&{DAY}", "quotes")[0]["AAA"][0].keys()
        == keys
    )


def test_latest_and_snapshots_know_what_there_is() -> None:
    counter = Counter()
    counter.trade("AAA", 100.05)
    counter.minutes("AAA", 1)
    counter.pass_seconds(120)
    latest = body_of(counter.ask("GET", "/v2/stocks/quotes/latest?symbols=AAA,ZZZ"))["quotes"]
    assert latest.keys() == {"AAA"}
    snapshots = body_of(counter.ask("GET", "/v2/stocks/snapshots?symbols=AAA,ZZZ"))
    assert snapshots["ZZZ"] is None
    assert snapshots["AAA"]["latestTrade"]["p"] == 100.05
    assert snapshots["AAA"]["dailyBar"]["v"] == 10.0
    assert snapshots["AAA"]["prevDailyBar"] is None
    crypto = body_of(counter.ask("GET", "/v1beta3/crypto/us/snapshots?symbols=BTC%2FUSD"))
    assert crypto["snapshots"]["BTC/USD"]["latestQuote"]["bp"] == 100.0
    url = "/v1beta3/crypto/us/latest/orderbooks?symbols=BTC%2FUSD"
    book = body_of(counter.ask("GET", url))["orderbooks"]["BTC/USD"]
    assert book["a"][0] == {"p": 100.1, "s": 500.0}
    assert [level["p"] for level in book["b"][:2]] == [100.0, 99.99]


@settings(max_examples=60)
@given(
    stamps=st.dictionaries(
        st.sampled_from(["A", "B", "C"]), st.lists(st.integers(1, 4), max_size=9), max_size=3
    ),
    limit=st.integers(1, 7),
    is_descending=st.booleans(),
)
def test_pages_together_are_the_whole_once(
    stamps: dict[str, list[int]], limit: int, is_descending: bool
) -> None:
    record = MarketRecord(1000)
    whole: dict[str, list[Point]] = {}
    for symbol, times in stamps.items():
        whole[symbol] = [record.trade(Trade(symbol, 1.0, 1.0, at)) for at in sorted(times)]
    token: str | None = None
    read: dict[str, list[Point]] = {}
    for _ in range(60):
        page = page_of(whole, limit, token, is_descending=is_descending)
        assert sum(map(len, page.points.values())) <= limit
        for symbol, points in page.points.items():
            read.setdefault(symbol, []).extend(points)
        token = page.token
        if token is None:
            break
    wanted = {s: points[::-1] if is_descending else points for s, points in whole.items() if points}
    assert read == wanted
