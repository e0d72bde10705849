"""The account, its activities, reference data: what a client reads at start and each minute."""

from __future__ import annotations

from decimal import Decimal

from tests.simulator.wire.counter import Counter, body_of, hold
from tradingd.simulator.wire.settings import WireSettings


def test_the_account_is_strings_and_knows_no_day_trading_fields() -> None:
    account = body_of(Counter().ask("GET", "/v2/account"))
    assert (account["cash"], account["equity"], account["multiplier"]) == ("100000", "100000", "1")
    assert account["status"] == "ACTIVE"
    removed = {"pattern_day_trader", "daytrade_count", "daytrading_buying_power"}
    assert not removed & account.keys()


def test_configurations_change_by_key_and_ignore_removed_ones() -> None:
    counter = Counter()
    changes = {"no_shorting": True, "dtbp_check": None, "pdt_check": "both"}
    changed = body_of(counter.ask("PATCH", "/v2/account/configurations", changes))
    assert changed["no_shorting"] is True
    assert changed == body_of(counter.ask("GET", "/v2/account/configurations"))
    assert "pdt_check" not in changed
    wrong = counter.ask("PATCH", "/v2/account/configurations", {"no_shorting": "yes"})
    assert wrong.status == 422


def test_activities_page_by_the_id_of_the_last() -> None:
    counter = Counter()
    for _ in range(5):
        hold(counter, qty="1")
    every = body_of(counter.ask("GET", "/v2/account/activities?activity_types=FILL"))
    assert [each["type"] for each in every] == ["fill"] * 5
    url = "/v2/account/activities/FILL?page_size=2&direction=asc"
    pages, token = [], ""
    while True:
        page = body_of(counter.ask("GET", url + (f"&page_token={token}" if token else "")))
        pages += page
        if len(page) < 2:
            break
        token = page[-1]["id"]
    assert pages == every[::-1]
    assert {Decimal(each["cum_qty"]) for each in every} == {Decimal(1)}
    by_order = body_of(
        counter.ask("GET", f"/v2/account/activities?order_id={every[0]['order_id']}")
    )
    assert by_order == every[:1]
    assert body_of(counter.ask("GET", "/v2/account/activities?date=2026-03-05")) == []
    assert len(body_of(counter.ask("GET", "/v2/account/activities?date=2026-03-04"))) == 5
    assert counter.ask("GET", "/v2/account/activities?page_size=101").status == 422
    assert counter.ask("GET", "/v2/account/activities?page_token=nope").status == 422


def test_the_curve_of_equity_starts_at_its_base() -> None:
    counter = Counter()
    assert body_of(counter.ask("GET", "/v2/account/portfolio/history"))["timestamp"] == []
    counter.record.equity.append((counter.now, Decimal(100)))
    counter.pass_seconds(60)
    counter.record.equity.append((counter.now, Decimal(110)))
    history = body_of(counter.ask("GET", "/v2/account/portfolio/history?period=1D"))
    assert history["equity"] == [100.0, 110.0]
    assert history["profit_loss_pct"] == [0.0, 0.1]


def test_assets_carry_the_field_to_be_removed_only_when_asked() -> None:
    for has_field in (True, False):
        counter = Counter(WireSettings(has_easy_to_borrow=has_field))
        asset = body_of(counter.ask("GET", "/v2/assets/AAA"))
        assert ("easy_to_borrow" in asset) is has_field
        assert asset["borrow_status"] in {"easy_to_borrow", "hard_to_borrow"}


def test_assets_are_found_by_any_name_and_filtered() -> None:
    counter = Counter()
    names = ["BTC%2FUSD", "BTCUSD", body_of(counter.ask("GET", "/v2/assets/BTCUSD"))["id"]]
    for name in names:
        assert body_of(counter.ask("GET", f"/v2/assets/{name}"))["symbol"] == "BTC/USD"

    def symbols(query: str) -> list[str]:
        return [each["symbol"] for each in body_of(counter.ask("GET", f"/v2/assets?{query}"))]

    assert symbols("") == ["AAA", "BBB", "BTC/USD"]
    assert symbols("asset_class=crypto&status=active") == ["BTC/USD"]
    assert symbols("status=inactive") == []


def test_the_clock_knows_the_session_in_new_york() -> None:
    counter = Counter()
    open_now = body_of(counter.ask("GET", "/v2/clock"))
    assert open_now == {
        "timestamp": "2026-03-04T10:00:00.000000000-05:00",
        "is_open": True,
        "next_open": "2026-03-05T09:30:00-05:00",
        "next_close": "2026-03-04T16:00:00-05:00",
    }
    counter.pass_seconds(3600 * 6)
    closed = body_of(counter.ask("GET", "/v2/clock"))
    assert (closed["is_open"], closed["next_close"]) == (False, "2026-03-05T16:00:00-05:00")


def test_the_calendar_has_early_closes_and_settlement() -> None:
    days = body_of(Counter().ask("GET", "/v2/calendar?start=2026-11-25&end=2026-11-30"))
    assert [day["date"] for day in days] == ["2026-11-25", "2026-11-27", "2026-11-30"]
    assert days[1] == {
        "date": "2026-11-27",
        "open": "09:30",
        "close": "13:00",
        "session_open": "0400",
        "session_close": "1700",
        "settlement_date": "2026-11-30",
    }
    assert Counter().ask("GET", "/v2/calendar?start=x").status == 422
    assert len(body_of(Counter().ask("GET", "/v2/calendar"))) > 240


def test_there_is_no_news() -> None:
    answer = body_of(Counter().ask("GET", "/v1beta1/news"))
    assert answer == {"news": [], "next_page_token": None}
    asked = "ca_types=dividend,split&since=2026-03-01&until=2026-03-31"
    assert body_of(Counter().ask("GET", f"/v2/corporate_actions/announcements?{asked}")) == []
    assert body_of(Counter().ask("GET", "/v1/corporate-actions"))["corporate_actions"] == {}
