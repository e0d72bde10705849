"""The lists beside trading: watchlists, corporate actions, news, the equity curve, activities, assets."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.wire.counter import NOW, Counter, body_of
from tradingd.instruments.calendar import ns_of
from tradingd.simulator.exchange.dated import DatedEvent
from tradingd.simulator.wire.news import NewsItem

D = Decimal
MINUTE = 60_000_000_000


def asked(counter: Counter, url: str) -> Any:
    return body_of(counter.ask("GET", url))


def test_a_watchlist_lives_and_dies() -> None:
    counter = Counter()
    body = {"name": "mine", "symbols": ["AAA", "BTC/USD"]}
    made = body_of(counter.ask("POST", "/v2/watchlists", body))
    path = f"/v2/watchlists/{made['id']}"
    assert [each["symbol"] for each in made["assets"]] == ["AAA", "BTC/USD"]
    assert "assets" not in asked(counter, "/v2/watchlists")[0]
    added = body_of(counter.ask("POST", path, {"symbol": "BBB"}))
    assert [each["symbol"] for each in added["assets"]] == ["AAA", "BTC/USD", "BBB"]
    left = body_of(counter.ask("DELETE", f"{path}/BTC/USD"))
    assert [each["symbol"] for each in left["assets"]] == ["AAA", "BBB"]
    changed = body_of(counter.ask("PUT", path, {"name": "ours", "symbols": ["BBB"]}))
    assert (changed["name"], len(changed["assets"])) == ("ours", 1)
    assert asked(counter, path)["name"] == "ours"
    assert counter.ask("DELETE", path).status == 204
    assert counter.ask("GET", path).status == 404


@pytest.mark.parametrize(
    ("method", "tail", "body", "status"),
    [
        ("POST", "", {"name": "mine"}, 422),
        ("POST", "", {"name": "x" * 65}, 422),
        ("POST", "", {"name": ""}, 422),
        ("POST", "", {"name": "other", "symbols": ["NONE"]}, 404),
        ("POST", "", {"name": "other", "symbols": "AAA"}, 422),
        ("POST", "/{id}", {"symbol": "AAA"}, 422),
        ("DELETE", "/{id}/BBB", None, 404),
        ("GET", "/nothing", None, 404),
    ],
)
def test_watchlists_refuse(method: str, tail: str, body: Any, status: int) -> None:
    counter = Counter()
    mine = body_of(counter.ask("POST", "/v2/watchlists", {"name": "mine", "symbols": ["AAA"]}))
    url = f"/v2/watchlists{tail.format(id=mine['id'])}"
    assert counter.ask(method, url, body).status == status


def companies() -> Counter:
    counter = Counter()
    for event in (
        DatedEvent(
            kind="dividend", symbol="AAA", amount=D("0.25"), at=ns_of("2026-03-05", "09:00")
        ),
        DatedEvent(kind="split", symbol="BBB", new_rate=D(4), at=ns_of("2026-03-06", "09:00")),
        DatedEvent(kind="split", symbol="AAA", old_rate=D(10), at=ns_of("2026-03-06", "09:00")),
        DatedEvent(kind="deposit", amount=D(5), at=ns_of("2026-03-05", "09:00")),
    ):
        counter.exchange.happen(event, NOW)
    return counter


def test_what_is_on_the_calendar_is_told_as_corporate_actions() -> None:
    counter = companies()
    found = asked(counter, "/v1/corporate-actions?start=2026-03-01&end=2026-03-31")
    actions = found["corporate_actions"]
    assert {kind: [each["symbol"] for each in rows] for kind, rows in actions.items()} == {
        "cash_dividends": ["AAA"], "forward_splits": ["BBB"], "reverse_splits": ["AAA"],
    }  # fmt: skip
    assert actions["cash_dividends"][0]["rate"] == 0.25
    assert (actions["forward_splits"][0]["new_rate"], found["next_page_token"]) == (4.0, None)
    some = asked(counter, "/v1/corporate-actions?symbols=AAA&types=cash_dividend")
    assert list(some["corporate_actions"]) == ["cash_dividends"]
    assert asked(counter, "/v1/corporate-actions?end=2026-03-05")["corporate_actions"].keys() == {
        "cash_dividends"
    }
    first = asked(counter, "/v1/corporate-actions?limit=2")
    rest = asked(counter, f"/v1/corporate-actions?limit=2&page_token={first['next_page_token']}")
    assert rest["next_page_token"] is None
    assert sum(len(rows) for rows in rest["corporate_actions"].values()) == 1


def test_announcements_are_the_same_in_older_words() -> None:
    counter = companies()
    path = "/v2/corporate_actions/announcements"
    rows = asked(counter, f"{path}?ca_types=dividend,split&since=2026-03-01&until=2026-03-31")
    assert [(row["ca_type"], row["ca_sub_type"], row["cash"]) for row in rows] == [
        ("dividend", "cash", "0.25"), ("split", "stock_split", "0"), ("split", "reverse_split", "0"),
    ]  # fmt: skip
    assert asked(counter, f"{path}/{rows[0]['id']}") == rows[0]
    assert counter.ask("GET", f"{path}/nothing").status == 404
    wide = "ca_types=dividend&since=2026-01-01&until=2026-12-31"
    assert counter.ask("GET", f"{path}?{wide}").status == 422
    assert counter.ask("GET", f"{path}?ca_types=gift").status == 422


def test_dated_events_are_activities_when_they_happen() -> None:
    counter = companies()
    counter.ask("POST", "/v2/orders", {
        "symbol": "AAA", "qty": "10", "side": "buy", "type": "market", "time_in_force": "day",
    })  # fmt: skip
    counter.quote("AAA", 100.0, 100.2)
    counter.pass_seconds(3 * 86_400)
    rows = asked(counter, "/v2/account/activities?direction=asc")
    kinds = [row["activity_type"] for row in rows]
    assert kinds == ["FILL", "DIV", "CSD", "SPLIT"]
    dividend = rows[1]
    assert (dividend["net_amount"], dividend["per_share_amount"]) == ("2.5", "0.25")
    assert (dividend["date"], dividend["status"]) == ("2026-03-05", "executed")
    assert "symbol" not in rows[2]
    others = asked(counter, "/v2/account/activities?category=non_trade_activity")
    assert [row["activity_type"] for row in others] == ["SPLIT", "CSD", "DIV"]
    trades = asked(counter, "/v2/account/activities?category=trade_activity")
    assert [row["activity_type"] for row in trades] == ["FILL"]
    page = asked(counter, f"/v2/account/activities?page_size=2&page_token={others[0]['id']}")
    assert [row["activity_type"] for row in page] == ["CSD", "DIV"]
    assert asked(counter, "/v2/account/activities/DIV")[0]["id"] == dividend["id"]
    both = "/v2/account/activities?category=trade_activity&activity_types=FILL"
    assert counter.ask("GET", both).status == 422
    counter.record.equity.append((NOW, D(1)))
    url = "/v2/account/portfolio/history?period=1W&timeframe=1D&cashflow_types=DIV,CSD"
    assert asked(counter, url)["cashflow"] == {"DIV": [2.5], "CSD": [5.0]}


def curve() -> Counter:
    """Return a counter whose account was worth 100, 101, ... each hour over two sessions."""
    counter = Counter()
    counter.now = ns_of("2026-03-05", "16:00")
    for day in ("2026-03-04", "2026-03-05"):
        for n in range(7):
            at = ns_of(day, "10:00") + n * 60 * MINUTE
            worth = D(100 + n + (10 if day == "2026-03-05" else 0))
            counter.record.equity.append((at, worth))
    return counter


@pytest.mark.parametrize(
    ("query", "count", "last"),
    [
        ("period=1W&timeframe=1D", 2, 16.0),
        ("period=1W&timeframe=1D&pnl_reset=no_reset", 2, 16.0),
        ("period=1W&timeframe=1H", 14, 10.0),
        ("period=1W&timeframe=1H&pnl_reset=no_reset", 14, 16.0),
        ("start=2026-03-05T00:00:00Z", 7, 10.0),
        ("start=2026-03-04T00:00:00Z&period=1D", 7, 6.0),
        ("date_end=2026-03-04&period=1D", 7, 6.0),
    ],
)
def test_the_curve_by_period_and_timeframe(query: str, count: int, last: float) -> None:
    history = asked(curve(), f"/v2/account/portfolio/history?{query}")
    assert len(history["timestamp"]) == len(history["equity"]) == count
    assert history["profit_loss"][-1] == last


@pytest.mark.parametrize(
    "query",
    ["period=1X", "period=D", "timeframe=7Min", "intraday_reporting=never",
     "period=1D&start=2026-03-04&end=2026-03-05"],
)  # fmt: skip
def test_the_curve_refuses_what_it_does_not_know(query: str) -> None:
    assert curve().ask("GET", f"/v2/account/portfolio/history?{query}").status == 422


def test_news_are_what_was_published() -> None:
    counter = Counter()
    context = counter.context.news
    for n, symbols in enumerate((("AAA",), ("BBB",), ("AAA", "BBB"))):
        context.add(NewsItem(headline=f"news {n}", symbols=symbols, content="all", at=NOW + n))
    counter.now += 10
    rows = asked(counter, "/v1beta1/news?symbols=AAA&include_content=true")["news"]
    assert [row["headline"] for row in rows] == ["news 2", "news 0"]
    assert rows[0]["content"] == "all"
    page = asked(counter, "/v1beta1/news?limit=2&sort=asc")
    assert [row["id"] for row in page["news"]] == [1, 2]
    rest = asked(counter, f"/v1beta1/news?limit=2&sort=asc&page_token={page['next_page_token']}")
    assert ([row["id"] for row in rest["news"]], rest["next_page_token"]) == ([3], None)
    assert counter.ask("GET", "/v1beta1/news?limit=51").status == 400


def test_assets_are_filtered() -> None:
    counter = Counter()
    gone = replace(counter.exchange.assets()[1], is_active=False, attributes=("ipo",))
    counter.exchange._assets["BBB"] = gone
    names = [row["symbol"] for row in asked(counter, "/v2/assets?status=active")]
    assert names == ["AAA", "BTC/USD"]
    for query in ("status=inactive", "attributes=ipo", "exchange=NYSE&status=inactive"):
        assert [row["symbol"] for row in asked(counter, f"/v2/assets?{query}")] == ["BBB"]


def test_the_account_obeys_its_configuration() -> None:
    counter = Counter()
    order = {"symbol": "AAA", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}

    def configured(**changes: object) -> int:
        counter.ask("PATCH", "/v2/account/configurations", changes)
        return counter.ask("POST", "/v2/orders", order).status

    assert configured(suspend_trade=True) == 403
    assert configured(suspend_trade=False) == 200
    order["qty"] = "1.5"
    assert configured(fractional_trading=False) == 403
    assert configured(fractional_trading=True) == 200
    wrong = {"max_margin_multiplier": "3"}
    assert counter.ask("PATCH", "/v2/account/configurations", wrong).status == 422


def test_groups_are_listed_flat_or_nested() -> None:
    counter = Counter()
    body = {
        "symbol": "AAA", "qty": "1", "side": "buy", "type": "limit", "time_in_force": "gtc",
        "limit_price": "99", "order_class": "bracket",
        "take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "90", "limit_price": None},
    }  # fmt: skip
    made = body_of(counter.ask("POST", "/v2/orders", body))
    assert [leg["status"] for leg in made["legs"]] == ["held", "held"]
    flat = asked(counter, "/v2/orders?direction=asc")
    assert [row["type"] for row in flat] == ["limit", "limit", "stop"]
    assert {str(row["legs"]) for row in flat} == {"None"}
    (nested,) = asked(counter, "/v2/orders?nested=True")
    assert [leg["id"] for leg in nested["legs"]] == [flat[1]["id"], flat[2]["id"]]
    assert asked(counter, f"/v2/orders/{made['id']}?nested=true")["legs"] is not None
    assert asked(counter, f"/v2/orders/{made['id']}")["legs"] is None
    wrong = {**body, "take_profit": 110}
    assert counter.ask("POST", "/v2/orders", wrong).status == 422
