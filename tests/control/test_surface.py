"""The read model, the metrics and the HTTP API, from messages in to answers out."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from tradingd import messages as m
from tradingd.control.auth import Token, is_own_host, open_token
from tradingd.control.events import EVENTS, ROWS, Narrator
from tradingd.control.http import HEALTHZ, METRICS, ROUTES, Api
from tradingd.control.meters import Meters
from tradingd.control.metrics import Metrics
from tradingd.control.summary import Books, summarize
from tradingd.control.views import HouseView
from tradingd.messages import Envelope, Level, Market, Message, OrderType, Role, Side, TimeInForce

TOKEN = "a-token-for-tests"
AT = 1_709_649_000_000_000_000
D = Decimal


def approved(order_id: str = "g-e-sma-1-1", quantity: str = "10") -> m.OrderApproved:
    return m.OrderApproved(
        order_id, "g-e-sma-1", "sma", "IBM", Side.BUY, Role.ENTRY, D(quantity), OrderType.LIMIT,
        D("100.50"), TimeInForce.DAY, AT,
    )  # fmt: skip


def filled(cumulative: str, quantity: str, price: str = "100") -> m.OrderFilled:
    return m.OrderFilled(
        "g-e-sma-1-1", "b1", f"x{cumulative}", "g-e-sma-1", "sma", "IBM", Side.BUY, Role.ENTRY,
        D(quantity), D(price), D(cumulative), D(10), AT,
    )  # fmt: skip


STORY: tuple[Message, ...] = (
    m.RunStarted("g", "RUN", "0.1.0", "hash", "mock"),
    m.LevelChanged(Level.NORMAL, ()),
    m.FeedConnected(Market.US_EQUITY),
    m.BrokerConnected(),
    m.Mark("IBM", 101.0, 103.0, AT),
    m.Intent("g-e-sma-1", "sma", "IBM", Side.BUY, Role.ENTRY, None, "cross", 0.9, 99.0, 100.0, AT),
    m.IntentRefused("g-e-sma-0", "sma", "IBM", Role.ENTRY, "exposure", "90", "80", "too much"),
    approved(),
    m.OrderSent("g-e-sma-1-1"),
    m.OrderAccepted("g-e-sma-1-1", "b1"),
    filled("4", "4", "100"),
    filled("10", "6", "101"),
    m.PositionChanged("sma", "IBM", D(10), D("100.6"), D(0), D(0), "fill"),
    m.EquityMarked(D(100_014), D(98_994), D(1020), D(14), D(0), D(14), D(0), False),
)


@pytest.fixture
def told() -> tuple[HouseView, Metrics]:
    view = HouseView()
    metrics = Metrics(Meters("0.1.0", "mock"), view, ("sma",), ("us_equity",))
    for seq, message in enumerate(STORY):
        envelope = Envelope(seq, AT + seq, "any", message)  # type: ignore[arg-type]
        view.apply(envelope)
        metrics.apply(envelope)
    return view, metrics


@pytest.fixture
async def api(told: tuple[HouseView, Metrics], tmp_path: Path) -> AsyncIterator[Api]:
    served = Api(*told)
    await served.start(tmp_path, "127.0.0.1", 0, TOKEN)
    yield served
    await served.close()


async def get(api: Api, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{api.address}{path}", headers=headers) as reply,
    ):
        return reply.status, await reply.text()


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_an_order_is_followed_through_partial_fills(told: tuple[HouseView, Metrics]) -> None:
    order = told[0].orders["g-e-sma-1-1"]
    assert (order.status, order.filled, order.average_price) == ("filled", D(10), D("100.6"))
    assert (told[0].counts.fills, told[0].counts.partial) == (2, 1)


def test_a_late_acceptance_does_not_take_a_fill_back(told: tuple[HouseView, Metrics]) -> None:
    told[0].apply(Envelope(99, AT, "broker", m.OrderAccepted("g-e-sma-1-1", "b1")))
    assert told[0].orders["g-e-sma-1-1"].status == "filled"


def test_restoring_keeps_positions_and_forgets_counts(told: tuple[HouseView, Metrics]) -> None:
    view = HouseView()
    view.restore([Envelope(i, AT, "any", one) for i, one in enumerate(STORY)])  # type: ignore[arg-type]
    assert view.held() == told[0].held()
    assert view.counts.fills == 0
    assert not view.is_broker_connected


def test_the_summary_compares_with_the_broker_to_the_cent(told: tuple[HouseView, Metrics]) -> None:
    start = Books(D(100_000), D(100_000))
    even = summarize(told[0], start, Books(D("100014.001"), D("100014")), is_flat=True, reason="x")
    odd = summarize(told[0], start, Books(D("100014.01"), D(100_014)), is_flat=False, reason="x")
    assert even.agrees
    assert not odd.agrees
    assert "THEY DIFFER" in odd.text()
    assert "NOT FLAT" in odd.text()


async def test_every_route_needs_the_token_over_tcp(api: Api) -> None:
    for path in (*(route.path for route in ROUTES), METRICS):
        assert (await get(api, path))[0] == 401, path
        assert (await get(api, path, bearer("wrong")))[0] == 401, path
        assert (await get(api, path, bearer()))[0] == 200, path


async def test_healthz_needs_no_token(api: Api) -> None:
    assert (await get(api, HEALTHZ))[0] == 200


async def test_a_foreign_host_or_page_is_refused_before_routing(api: Api) -> None:
    assert (await get(api, HEALTHZ, {"Host": "evil.example"}))[0] == 403
    assert (await get(api, "/api/health", {**bearer(), "Origin": "http://evil.example"}))[0] == 403


async def test_unknown_routes_and_methods_answer_a_code_and_nothing_else(api: Api) -> None:
    status, body = await get(api, "/api/nothing", bearer())
    assert status == 404
    assert '"code":"not_found"' in body
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{api.address}/api/orders", headers=bearer()) as reply,
    ):
        assert reply.status == 405


async def test_the_unix_socket_is_for_its_owner_only(api: Api) -> None:
    assert api.socket_path is not None
    assert api.socket_path.stat().st_mode & 0o777 == 0o600
    connector = aiohttp.UnixConnector(str(api.socket_path))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get("http://localhost/api/positions") as reply,
    ):
        answer = await reply.json()
    assert answer["positions"][0]["symbol"] == "IBM"
    assert answer["positions"][0]["unrealized_usd"] == "14.00"


async def test_metrics_carry_no_ids(api: Api) -> None:
    _, text = await get(api, METRICS, bearer())
    assert "g-e-sma" not in text
    assert 'tradingd_position_quantity{symbol="IBM"} 10.0' in text
    assert 'tradingd_state{state="normal"} 1.0' in text


def test_a_position_that_is_flat_has_no_gauge(told: tuple[HouseView, Metrics]) -> None:
    view, metrics = told
    assert b'symbol="IBM"' in metrics.render()
    flat = m.PositionChanged("sma", "IBM", D(0), D(0), D(14), D(0), "fill")
    view.apply(Envelope(50, AT, "portfolio", flat))
    assert b'symbol="IBM"' not in metrics.render()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_has_nothing_to_say(told: tuple[HouseView, Metrics]) -> None:
    found = subprocess.run(  # noqa: S603 - a fixed program on our own text
        [shutil.which("promtool") or "", "check", "metrics"],
        input=told[1].render(), capture_output=True, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")


def test_the_token_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "api.token"
    first = open_token(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert open_token(file) == first
    assert len(first) >= 43
    assert Token(first).is_shown_by(f"Bearer {first}")
    assert not Token(first).is_shown_by(first)


def test_only_loopback_names_are_our_host() -> None:
    assert is_own_host("127.0.0.1:8787", 8787)
    assert not is_own_host("127.0.0.1:8788", 8787)
    assert not is_own_host("evil.example:8787", 8787)


def test_every_message_of_the_story_is_told_in_words() -> None:
    narrator = Narrator()
    told = [narrator.tell(message, AT) for message in STORY]
    lines = {event.name: event.fields["msg"] for event in told if event is not None}
    assert lines["order.submitted"] == "entry buy 10 IBM at 100.50 (g-e-sma-1-1)"
    assert lines["fill.received"] == "sma buy 6 IBM at 101 (10 of 10)"
    assert "symbol" not in lines


def test_equity_is_written_once_a_market_minute() -> None:
    narrator = Narrator()
    marked = STORY[-1]
    spans = [0, 1, 59, 60, 61, 119, 120]
    written = [s for s in spans if narrator.tell(marked, AT + s * 10**9) is not None]
    assert written == [0, 60, 120]


def test_event_names_are_a_closed_dotted_list() -> None:
    assert all(name.count(".") == 1 and name == name.lower() for name in EVENTS)


def test_no_flood_of_the_market_is_written() -> None:
    flood = {m.Quote, m.Trade, m.Bar, m.BarReceived, m.Mark, m.SetTimer, m.TimerFired}
    assert not flood & ROWS.keys()
