"""Bars restated by what happened after them: splits, dividends, both; and the words of the parameters."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.wire.counter import NOW, Counter, body_of
from tradingd.instruments.units import DAY_S, SECOND_NS
from tradingd.messages import BarReceived
from tradingd.simulator.exchange.dated import DatedEvent
from tradingd.simulator.wire.data_stream import FeedRules
from tradingd.simulator.wire.record import MINUTE_NS
from tradingd.simulator.wire.settings import WireSettings

DAY_NS = DAY_S * SECOND_NS
MIDNIGHT = NOW - 10 * 3600 * SECOND_NS
SPLIT = DatedEvent(kind="split", symbol="AAA", new_rate=Decimal(4), at=NOW + 2 * MINUTE_NS)
DIVIDEND = DatedEvent(kind="dividend", symbol="AAA", amount=Decimal(5), at=NOW + 2 * MINUTE_NS)


def counter(*events: DatedEvent, minutes: int = 4) -> Counter:
    """Return a counter with the day before (close 100) and some minutes of today at 100 and more."""
    made = Counter()
    made.bars.append(BarReceived("AAA", 60, MIDNIGHT - 2 * 3600 * SECOND_NS, 98, 101, 97, 100, 8))
    made.minutes("AAA", minutes)
    for event in events:
        made.exchange.happen(event, NOW)
    made.pass_seconds(600)
    return made


def bars(made: Counter, adjustment: str, timeframe: str = "1Min") -> list[dict[str, Any]]:
    url = f"/v2/stocks/bars?symbols=AAA&timeframe={timeframe}&start=2026-03-01"
    response = made.ask("GET", f"{url}&adjustment={adjustment}")
    assert response.status == 200, response.body
    found: list[dict[str, Any]] = body_of(response)["bars"]["AAA"]
    return found


ADJUSTED: list[tuple[str, float, float]] = [
    ("raw", 1.0, 1.0),
    ("split", 0.25, 4.0),
    ("dividend", 0.95, 1.0),
    ("spin-off", 1.0, 1.0),
    ("all", 0.2375, 4.0),
    ("split,dividend", 0.2375, 4.0),
]


@pytest.mark.parametrize(("adjustment", "price", "size"), ADJUSTED)
def test_bars_before_an_event_are_restated(adjustment: str, price: float, size: float) -> None:
    made = counter(SPLIT, DIVIDEND)
    raw, found = bars(made, "raw"), bars(made, adjustment)
    assert len(found) == len(raw) == 5
    for place, (before, after) in enumerate(zip(raw, found, strict=True)):
        is_old = place < 3
        for name in ("o", "h", "l", "c", "vw"):
            wanted = before[name] * price if is_old else before[name]
            assert after[name] == pytest.approx(wanted, abs=1e-5), (place, name)
        assert after["v"] == before["v"] * (size if is_old else 1)
        assert (after["t"], after["n"]) == (before["t"], before["n"])


@pytest.mark.parametrize(("adjustment", "price", "size"), ADJUSTED)
def test_of_days_the_date_counts(adjustment: str, price: float, size: float) -> None:
    yesterday, today = bars(counter(SPLIT, DIVIDEND), adjustment, "1Day")
    assert yesterday["c"] == pytest.approx(100 * price)
    assert yesterday["v"] == 8 * size
    assert today["o"] == 100.0, "the day of the event is not restated"


def test_weeks_are_made_of_restated_days() -> None:
    (week,) = bars(counter(SPLIT), "split", "1Week")
    assert (week["o"], week["h"]) == (24.5, 104.0)


def test_what_has_not_happened_yet_adjusts_nothing() -> None:
    later = DatedEvent(kind="split", symbol="AAA", new_rate=Decimal(2), at=NOW + DAY_NS)
    made = counter(later)
    assert bars(made, "all") == bars(made, "raw")


def test_an_event_of_another_company_adjusts_nothing() -> None:
    made = counter(DatedEvent(kind="split", symbol="BBB", new_rate=Decimal(2)))
    assert bars(made, "all") == bars(made, "raw")


def test_a_dividend_without_a_close_before_it_adjusts_nothing() -> None:
    made = Counter()
    made.minutes("AAA", 4)
    made.exchange.happen(DIVIDEND, NOW)
    made.pass_seconds(600)
    assert bars(made, "dividend") == bars(made, "raw")


URL = "/v2/stocks/bars?symbols=AAA&timeframe=1Min&start=2026-03-01"


@pytest.mark.parametrize(
    ("more", "status", "text"),
    [
        ("adjustment=all", 200, ""),
        ("adjustment=splits", 400, "invalid adjustment: splits"),
        ("adjustment=split,div", 400, "invalid adjustment: div"),
        ("asof=-", 200, ""),
        ("asof=2026-03-04", 200, ""),
        ("asof=soon", 400, "Invalid format for parameter asof: soon"),
        ("feed=iex", 200, ""),
        ("feed=delayed_sip", 200, ""),
        ("feed=nyse", 400, "invalid feed: nyse"),
    ],
)
def test_words_of_the_parameters(more: str, status: int, text: str) -> None:
    response = counter().ask("GET", f"{URL}&{more}")
    assert response.status == status
    assert body_of(response).get("message", "") == text


RECENT = "subscription does not permit querying recent SIP data"


@pytest.mark.parametrize(
    ("url", "status"),
    [
        (f"{URL}&feed=sip&end=2026-03-04T14:55:00Z", 200),
        (f"{URL}&feed=sip&end=2026-03-04T14:55:01Z", 403),
        (f"{URL}&feed=sip", 403),
        (f"{URL}&feed=iex", 200),
        ("/v2/stocks/quotes/latest?symbols=AAA&feed=sip", 403),
        ("/v2/stocks/quotes/latest?symbols=AAA&feed=iex", 200),
        ("/v2/stocks/snapshots?symbols=AAA&feed=sip", 403),
        ("/v2/stocks/snapshots?symbols=AAA", 200),
    ],
)
def test_the_free_plan_reads_the_consolidated_tape_a_quarter_of_an_hour_late(
    url: str, status: int
) -> None:
    made = Counter(WireSettings(feed=FeedRules(refused=frozenset({"/v2/sip"}))))
    made.minutes("AAA", 4)
    made.pass_seconds(600)
    response = made.ask("GET", url)
    assert response.status == status, response.body
    if status == 403:
        assert body_of(response) == {"code": 42210000, "message": RECENT}
