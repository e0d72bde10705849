"""Every check of the doctor, good and bad, against a local Alpaca whose replies are bent one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.app.preflight.stage import Broker, examined, of, refusing
from tradingd.app.preflight import Result
from tradingd.app.preflight.account import remedy_of_refusal
from tradingd.simulator.wire.faults import SimulatedFault
from tradingd.simulator.wire.session import Keys
from tradingd.simulator.wire.settings import WireSettings


async def test_a_sound_configuration_passes_and_says_what_its_limits_come_to(
    tmp_path: Path,
) -> None:
    report = await examined(tmp_path, Broker())
    assert report.has_passed, [check for check in report.checks if check.result is Result.FAIL]
    names = [check.name for check in report.checks]
    assert len(names) == len(set(names)) == 16
    limits = of(report, "limits").details
    assert (limits["equity_usd"], limits["position_usd"]) == ("100000.00", "10000.00")
    assert (limits["exposure_usd"], limits["daily_loss_usd"]) == ("80000.00", "2000.00")
    assert report.account.startswith("PA")


@pytest.mark.parametrize(("status", "message"), [(401, "unauthorized"), (403, "forbidden")])
async def test_refused_keys_are_named_with_host_and_remedy(
    tmp_path: Path, status: int, message: str
) -> None:
    broker = Broker()
    body = f'{{"message": "{message}."}}'
    broker.alpaca.faults.arm(
        SimulatedFault(fault="status", path="/v2/account", count=1, status=status, body=body)
    )
    report = await examined(tmp_path, broker)
    keys = of(report, "keys")
    assert keys.result is Result.FAIL
    assert f"HTTP {status}: {message}" in keys.found
    assert keys.remedy == remedy_of_refusal("paper")
    assert "keys of the live account" in keys.remedy
    assert of(report, "limits").result is Result.SKIP
    assert not report.has_passed


async def test_a_broker_that_is_down_fails_what_needs_it_and_nothing_else(tmp_path: Path) -> None:
    report = await examined(tmp_path, Broker(is_down=True), alpaca__request_deadline_s="1")
    failed = {check.name for check in report.checks if check.result is Result.FAIL}
    assert failed == {"keys", "calendar", "feed us_equity", "feed crypto", "order stream"}


def change_account(**fields: Any) -> Broker:
    return Broker(changes={"/v2/account": lambda account: account.update(fields)})


@pytest.mark.parametrize(
    "fields",
    [{"trading_blocked": True}, {"account_blocked": True}, {"trade_suspended_by_user": True},
     {"status": "INACTIVE"}],
)  # fmt: skip
async def test_an_account_that_may_not_trade_fails(tmp_path: Path, fields: dict[str, Any]) -> None:
    assert of(await examined(tmp_path, change_account(**fields)), "account").result is Result.FAIL


async def test_another_account_than_the_one_typed_fails(tmp_path: Path) -> None:
    report = await examined(tmp_path, Broker(), alpaca__account_id="12345678")
    assert of(report, "account").result is Result.FAIL
    assert "...5678 is configured" in of(report, "account").found


@pytest.mark.parametrize(
    ("behind_s", "result"),
    [(0, "ok"), (0.9, "ok"), (-0.4, "ok"), (3, "warn"), (-3, "warn"), (7, "fail"), (-7, "fail")],
)
async def test_the_clock_is_held_against_the_brokers_date(
    tmp_path: Path, behind_s: float, result: str
) -> None:
    report = await examined(tmp_path, Broker(behind_s=behind_s))
    assert of(report, "clock").result == result, of(report, "clock").found


async def test_a_calendar_that_differs_from_the_table_is_told(tmp_path: Path) -> None:
    def shorten(days: Any) -> None:
        days[3]["close"] = "13:00"

    report = await examined(tmp_path, Broker(changes={"/v2/calendar": shorten}))
    assert of(report, "calendar").result is Result.WARN
    assert "1 days differ" in of(report, "calendar").found


async def test_a_plan_without_the_feed_is_named_by_its_number(tmp_path: Path) -> None:
    report = await examined(tmp_path, refusing("/v2/iex"))
    assert of(report, "feed us_equity").details["code"] == "409"
    assert "data plan" in of(report, "feed us_equity").remedy
    assert of(report, "feed crypto").result is Result.OK


async def test_more_symbols_than_the_plan_allows_are_named_by_its_number(tmp_path: Path) -> None:
    report = await examined(tmp_path, refusing(symbols_max=1))
    assert of(report, "feed us_equity").details["code"] == "405"


async def test_a_connection_that_is_taken_is_named_by_its_number(tmp_path: Path) -> None:
    broker = Broker()
    other = await broker.network.connect("wss://any/v2/iex", headers={})
    keys = {"key": broker.wire.keys.key_id, "secret": broker.wire.keys.secret_key}
    await other.send(msgspec.json.encode({"action": "auth", **keys}).decode())
    report = await examined(tmp_path, broker)
    assert of(report, "feed us_equity").details["code"] == "406"
    assert "running daemon" in of(report, "feed us_equity").remedy


async def test_data_keys_that_are_refused_are_named_by_their_number(tmp_path: Path) -> None:
    report = await examined(tmp_path, Broker(wire=WireSettings(keys=Keys("OTHER", "keys"))))
    assert of(report, "feed us_equity").details["code"] == "402"
    assert of(report, "order stream").found == "the broker says unauthorized"


async def test_what_the_account_holds_already_is_told_before_it_is_adopted(tmp_path: Path) -> None:
    row = {"symbol": "IBM", "qty": "3", "avg_entry_price": "100", "side": "long",
           "asset_class": "us_equity"}  # fmt: skip
    broker = Broker(changes={"/v2/positions": lambda rows: rows.append(row)})  # type: ignore[attr-defined]
    report = await examined(tmp_path, broker)
    assert of(report, "orders and positions").result is Result.WARN
    assert "3 IBM" in of(report, "orders and positions").found
    assert of(report, "time to flat").details["requests"] == "4"


async def test_open_orders_of_others_are_told(tmp_path: Path) -> None:
    order = {"id": "b1", "client_order_id": "somebody", "symbol": "IBM", "side": "buy", "qty": "5",
             "status": "new", "type": "limit"}  # fmt: skip
    broker = Broker(changes={"/v2/orders": lambda rows: rows.append(order)})  # type: ignore[attr-defined]
    report = await examined(tmp_path, broker)
    assert of(report, "orders and positions").result is Result.WARN
    assert "buy 5 IBM" in of(report, "orders and positions").found


async def test_a_limit_that_can_never_bind_is_told(tmp_path: Path) -> None:
    report = await examined(tmp_path, Broker(), risk__order_value_usd_max="1000000")
    assert of(report, "limits").result is Result.WARN


async def test_an_account_without_money_fails(tmp_path: Path) -> None:
    report = await examined(tmp_path, change_account(equity="0"))
    assert of(report, "limits").result is Result.FAIL


async def test_a_channel_that_does_not_deliver_fails(tmp_path: Path) -> None:
    report = await examined(
        tmp_path, Broker(), notify__command='["/bin/false"]',
        notify__routes='[{ channels = ["file", "command"] }]',
    )  # fmt: skip
    assert of(report, "alerts").result is Result.FAIL
    assert "command" in of(report, "alerts").found
    assert "doctor_test" in (tmp_path / "s/alerts.jsonl").read_text()


async def test_an_order_log_that_is_damaged_fails(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir(mode=0o700)
    (tmp_path / "s/orders.db").write_bytes(b"this is no database" * 100)
    (tmp_path / "s/orders.db").chmod(0o600)
    report = await examined(tmp_path, Broker())
    assert of(report, "order log").result is Result.FAIL
