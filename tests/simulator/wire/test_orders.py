"""Orders and positions over REST: spelling, life, refusals, pages."""

from __future__ import annotations

import pytest

from tests.simulator.wire.counter import Counter, body_of, hold, submit

LIMIT = {"symbol": "AAA", "side": "buy", "type": "limit", "time_in_force": "day"}


def test_an_order_is_spelled_in_strings_and_nulls() -> None:
    counter = Counter()
    order = submit(counter, LIMIT, qty=2.0, limit_price="90.50", client_order_id="mine")
    assert (order["qty"], order["limit_price"], order["filled_qty"]) == ("2", "90.5", "0")
    assert order["client_order_id"] == "mine"
    assert order["created_at"] == "2026-03-04T15:00:00.000000000Z"
    nulls = ["notional", "filled_avg_price", "stop_price", "filled_at", "replaced_by", "legs"]
    assert [order[name] for name in nulls] == [None] * len(nulls)
    assert {"subtag", "source"} <= order.keys()


@pytest.mark.parametrize("quantity", [3, 3.0, "3", "3.0"])
def test_quantities_come_as_numbers_or_strings(quantity: object) -> None:
    assert submit(Counter(), LIMIT, qty=quantity, limit_price=90)["qty"] == "3"


def test_an_order_is_found_by_id_by_client_id_and_in_the_list() -> None:
    counter = Counter()
    order = submit(counter, LIMIT, qty=1, limit_price=90, client_order_id="a b/c")
    by_id = body_of(counter.ask("GET", f"/v2/orders/{order['id']}"))
    url = "/v2/orders:by_client_order_id?client_order_id=a+b%2Fc"
    listed = body_of(counter.ask("GET", "/v2/orders"))
    assert by_id["id"] == body_of(counter.ask("GET", url))["id"] == listed[0]["id"] == order["id"]


@pytest.mark.parametrize(
    ("fields", "status", "code", "message"),
    [
        ({"qty": "x"}, 422, 40010001, "qty must be a number"),
        ({"qty": True}, 422, 40010001, "qty must be a number"),
        ({"qty": "NaN"}, 422, 40010001, "qty must be a number"),
        ({"qty": 1, "side": 3}, 422, 40010001, "side must be a string"),
        ({"qty": 1, "symbol": None}, 422, 40010001, "symbol is required"),
        ({"qty": 1, "limit_price": "90.123"}, 422, 42210000, "sub-penny"),
        ({"qty": 1, "limit_price": None}, 422, 40010001, "limit orders require a limit price"),
        ({"qty": 100_000}, 403, 40310000, "insufficient buying power"),
    ],
)
def test_a_bad_order_is_refused_in_the_brokers_words(
    fields: dict[str, object], status: int, code: int, message: str
) -> None:
    response = Counter().ask("POST", "/v2/orders", {**LIMIT, "limit_price": 90, **fields})
    assert (response.status, body_of(response)["code"]) == (status, code)
    assert message in body_of(response)["message"]


def test_a_client_order_id_is_used_once_for_ever() -> None:
    counter = Counter()
    order = submit(counter, LIMIT, qty=1, limit_price=90, client_order_id="once")
    counter.ask("DELETE", f"/v2/orders/{order['id']}")
    again = counter.ask("POST", "/v2/orders", {**LIMIT, "qty": 1, "client_order_id": "once"})
    assert (again.status, body_of(again)["message"]) == (
        422,
        "client_order_id must be unique",
    )


def test_a_cancel_is_an_empty_204_and_then_refused() -> None:
    counter = Counter()
    order = submit(counter, LIMIT, qty=1, limit_price=90)
    response = counter.ask("DELETE", f"/v2/orders/{order['id']}")
    assert (response.status, response.body) == (204, b"")
    counter.pass_seconds(1)
    assert body_of(counter.ask("GET", f"/v2/orders/{order['id']}"))["status"] == "canceled"
    assert counter.ask("DELETE", f"/v2/orders/{order['id']}").status == 422


def test_a_replacement_is_a_new_order_that_names_the_old() -> None:
    counter = Counter()
    old = submit(counter, LIMIT, qty=1, limit_price=90)
    counter.pass_seconds(1)
    new = body_of(counter.ask("PATCH", f"/v2/orders/{old['id']}", {"qty": 2, "limit_price": "91"}))
    assert (new["replaces"], new["qty"], new["limit_price"]) == (old["id"], "2", "91")
    counter.pass_seconds(1)
    old = body_of(counter.ask("GET", f"/v2/orders/{old['id']}"))
    assert (old["status"], old["replaced_by"]) == ("replaced", new["id"])


def test_the_list_is_newest_first_and_pages_by_order_id() -> None:
    counter = Counter()
    ids = []
    for n in range(5):
        ids.append(submit(counter, LIMIT, qty=1, limit_price=90 - n)["id"])
        counter.pass_seconds(1 if n % 2 else 0)  # some share a stamp

    def page(query: str) -> list[str]:
        return [order["id"] for order in body_of(counter.ask("GET", f"/v2/orders?{query}"))]

    assert page("") == ids[::-1]
    assert page("direction=asc&limit=2") == ids[:2]
    assert page(f"direction=asc&limit=2&after_order_id={ids[1]}") == ids[2:4]
    assert page(f"before_order_id={ids[1]}") == [ids[0]]
    assert page("symbols=BBB") == []
    assert page("side=sell") == []
    assert page("status=closed") == []
    assert page("asset_class=us_equity&symbols=AAA&side=buy&status=all") == ids[::-1]
    assert page("after=2026-03-04T15:00:00Z&direction=asc") == ids[2:]
    assert counter.ask("GET", "/v2/orders?limit=501").status == 422
    assert counter.ask("GET", "/v2/orders?status=odd").status == 422


def test_cancel_all_answers_207_with_a_row_for_each() -> None:
    counter = Counter()
    ids = [submit(counter, LIMIT, qty=1, limit_price=90 - n)["id"] for n in range(2)]
    response = counter.ask("DELETE", "/v2/orders")
    assert response.status == 207
    assert body_of(response) == [{"id": each, "status": 200} for each in ids]
    counter.pass_seconds(1)
    assert body_of(counter.ask("DELETE", "/v2/orders")) == []


def test_positions_of_pairs_have_no_slash_and_many_names() -> None:
    counter = Counter()
    hold(counter, "BTC/USD", "1")
    held = body_of(counter.ask("GET", "/v2/positions"))[0]
    assert (held["symbol"], held["qty"], held["exchange"]) == ("BTCUSD", "0.9975", "CRYPTO")
    names = ["BTCUSD", "BTC/USD", held["asset_id"]]
    found = [body_of(counter.ask("GET", f"/v2/positions/{name}")) for name in names]
    assert [each["symbol"] for each in found] == ["BTCUSD"] * 3
    assert counter.ask("GET", "/v2/positions/BTC%2FUSD").status == 404


def test_a_position_closes_by_quantity_by_percentage_and_whole() -> None:
    counter = Counter()
    hold(counter)
    part = body_of(counter.ask("DELETE", "/v2/positions/AAA?qty=4"))
    counter.pass_seconds(1)
    counter.quote("AAA", 100.0, 100.1)
    half = body_of(counter.ask("DELETE", "/v2/positions/AAA?percentage=50"))
    assert (part["qty"], half["qty"], part["side"], part["type"]) == ("4", "3", "sell", "market")


def test_close_all_answers_a_row_for_each_with_its_order_or_the_reason() -> None:
    counter = Counter()
    hold(counter, "AAA")
    hold(counter, "BBB", "5")
    sale = {**LIMIT, "symbol": "BBB", "side": "sell"}
    submit(counter, sale, qty=5, limit_price=200)
    response = counter.ask("DELETE", "/v2/positions")
    assert response.status == 207
    first, second = body_of(response)
    assert (first["symbol"], first["status"], first["body"]["qty"]) == ("AAA", 200, "10")
    assert (second["symbol"], second["status"]) == ("BBB", 403)
    assert second["body"]["message"]


def test_close_all_of_a_flat_account_is_an_empty_list() -> None:
    response = Counter().ask("DELETE", "/v2/positions?cancel_orders=True")
    assert (response.status, body_of(response)) == (207, [])


def test_an_account_that_suspends_trading_refuses_orders() -> None:
    counter = Counter()
    body_of(counter.ask("PATCH", "/v2/account/configurations", {"suspend_trade": True}))
    response = counter.ask("POST", "/v2/orders", {**LIMIT, "qty": 1, "limit_price": 90})
    assert (response.status, body_of(response)["code"]) == (403, 40310000)
    assert body_of(counter.ask("GET", "/v2/account"))["trade_suspended_by_user"] is True
