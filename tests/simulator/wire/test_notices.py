"""What sockets tell beside the market itself, and the admin routes that let it happen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tests.simulator.stage import START, scripted_stage
from tests.simulator.wire.counter import KEY_HEADERS
from tradingd.simulator.wire.admin import Admin
from tradingd.simulator.wire.alpaca import LocalAlpaca, PushOutlet
from tradingd.simulator.wire.fault import SimulatedFault
from tradingd.simulator.wire.http import request_of
from tradingd.simulator.wire.session import Frame

SECOND = 1_000_000_000
HEADERS = {name.lower(): value for name, value in KEY_HEADERS.items()}


class Room:
    """A local Alpaca, its admin routes and its clients."""

    def __init__(self) -> None:
        self.alpaca = LocalAlpaca(scripted_stage().world)
        self.admin = Admin(self.alpaca)
        self.now = START

    def client(self, path: str, **channels: list[str]) -> list[dict[str, Any]]:
        """Connect and subscribe; return the list that its messages go to."""
        received: list[dict[str, Any]] = []

        def handle(frames: Sequence[Frame]) -> None:
            for frame in frames:
                received.extend(msgspec.json.decode(frame))

        line = self.alpaca.connect(path, HEADERS, PushOutlet(handle, lambda code: None))
        self.alpaca.receive(line, msgspec.json.encode({"action": "subscribe", **channels}))
        return received

    def do(self, path: str, **fields: object) -> tuple[int, Any]:
        """Ask an admin route."""
        body = msgspec.json.encode(fields)
        response = self.admin.answer(request_of("POST", path, {}, body), self.now)
        return response.status, msgspec.json.decode(response.body)

    def rest(self, method: str, path: str, **fields: object) -> Any:
        body = msgspec.json.encode(fields) if fields else None
        response = self.alpaca.handle(request_of(method, path, KEY_HEADERS, body), self.now)
        return msgspec.json.decode(response.body)

    def pass_seconds(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)
        self.alpaca.step(self.now)


def of(received: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in received if each["T"] == kind]


NOTICES: list[tuple[str, str, dict[str, Any]]] = [
    ("statuses", "s", {"sc": "H", "sm": "Trading Halt", "rc": "T12", "rm": "News"}),
    ("lulds", "l", {"u": 105.0, "d": 95.0}),
    ("imbalances", "i", {"p": 100.5}),
    ("trades", "c", {"oi": 1, "op": 100.0, "os": 1.0, "cp": 99.0, "cs": 2.0}),
    ("trades", "x", {"i": 1, "p": 100.0, "s": 1.0}),
    ("updatedBars", "u", {"o": 1.0, "h": 2.0, "l": 1.0, "c": 2.0, "v": 5.0, "n": 1, "vw": 1.5,
                          "t": None}),
]  # fmt: skip


@pytest.mark.parametrize(("channel", "kind", "fields"), NOTICES)
def test_a_notice_reaches_who_subscribed(channel: str, kind: str, fields: dict[str, Any]) -> None:
    room = Room()
    mine = room.client("/v2/iex", **{channel: ["ACMX"]})
    others = room.client("/v2/sip", **{channel: ["ZORB"]})
    status, _ = room.do("/sim/market", T=kind, S="ACMX", **fields)
    assert status == 200
    (settings,) = of(mine, kind)
    assert settings["t"].startswith("2026-03-04T15:00:00")
    assert {name: settings[name] for name in fields if name != "t"} == {
        name: value for name, value in fields.items() if name != "t"
    }
    assert of(others, kind) == []


def test_corrected_and_canceled_prints_change_what_is_kept() -> None:
    room = Room()
    room.pass_seconds(3)
    path = "/v2/stocks/trades?symbols=ACMX"
    first, second, *_ = room.rest("GET", path)["trades"]["ACMX"]
    room.do("/sim/market", T="c", S="ACMX", oi=first["i"], op=100.0, os=1.0, cp=99.0, cs=2.0)
    room.do("/sim/market", T="x", S="ACMX", i=second["i"], p=100.0, s=1.0)
    left = room.rest("GET", path)["trades"]["ACMX"]
    assert (left[0]["p"], left[0]["s"]) == (99.0, 2.0)
    assert second["i"] not in {each["i"] for each in left}


def test_imbalances_are_listed_where_somebody_asked_for_them() -> None:
    room = Room()
    asked = room.client("/v2/iex", imbalances=["ACMX"])
    others = room.client("/v2/sip", trades=["ACMX"])
    assert asked[-1]["imbalances"] == ["ACMX"]
    assert set(others[-1]) == {
        "T", "trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds",
        "corrections", "cancelErrors",
    }  # fmt: skip


def test_a_halt_told_by_the_admin_route_stops_matching_until_trading_resumes() -> None:
    room = Room()
    received = room.client("/v2/iex", statuses=["*"], quotes=["ACMX"])
    room.do("/sim/market", T="s", S="ACMX", sc="H", sm="Trading Halt")
    order = {"qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    halted = room.rest("POST", "/v2/orders", symbol="ACMX", **order)
    other = room.rest("POST", "/v2/orders", symbol="ZORB", **order)
    room.pass_seconds(10)
    assert room.rest("GET", f"/v2/orders/{halted['id']}")["status"] == "new"
    assert room.rest("GET", f"/v2/orders/{other['id']}")["status"] == "filled"
    assert of(received, "q"), "the venue goes on quoting"
    room.do("/sim/market", T="s", S="ACMX", sc="Q", sm="Quotation Resumption")
    room.pass_seconds(1)
    assert room.rest("GET", f"/v2/orders/{halted['id']}")["status"] == "new"
    room.do("/sim/market", T="s", S="ACMX", sc="T", sm="Trading Resumption")
    room.pass_seconds(1)
    assert room.rest("GET", f"/v2/orders/{halted['id']}")["status"] == "filled"
    assert [each["sc"] for each in of(received, "s")] == ["H", "Q", "T"]


def test_a_halt_of_a_bad_day_stops_quotes_and_matching_for_its_time() -> None:
    room = Room()
    mine = room.client("/v2/iex", statuses=["ACMX"], quotes=["*"])
    others = room.client("/v2/sip", statuses=["ZORB"])
    room.alpaca.faults.arm(SimulatedFault(fault="halt", symbols=("ACMX", "NONE"), at_s=2, for_s=5))
    room.pass_seconds(3)
    order = {"qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    placed = room.rest("POST", "/v2/orders", symbol="ACMX", **order)
    before = len([each for each in of(mine, "q") if each["S"] == "ACMX"])
    room.pass_seconds(3)
    assert len([each for each in of(mine, "q") if each["S"] == "ACMX"]) == before
    assert room.rest("GET", f"/v2/orders/{placed['id']}")["status"] == "new"
    for _ in range(3):
        room.pass_seconds(1)
    assert room.rest("GET", f"/v2/orders/{placed['id']}")["status"] == "filled"
    assert [each["sc"] for each in of(mine, "s")] == ["H", "T"]
    assert of(others, "s") == [], "statuses are told to who asked for them"


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        (SimulatedFault(fault="reject", count=1), ["rejected", "filled"]),
        (SimulatedFault(fault="reject", symbols=("ZORB",)), ["filled", "rejected"]),
        (SimulatedFault(fault="reject"), ["rejected", "rejected"]),
        (SimulatedFault(fault="reject", probability=0.0), ["filled", "filled"]),
    ],
)
def test_the_venue_turns_away_what_the_broker_accepted(
    fault: SimulatedFault, statuses: list[str]
) -> None:
    room = Room()
    room.alpaca.faults.arm(fault)
    order = {"qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    made = [room.rest("POST", "/v2/orders", symbol=name, **order) for name in ("ACMX", "ZORB")]
    assert [each["status"] for each in made] == ["pending_new", "pending_new"]
    room.pass_seconds(1)
    settings = [room.rest("GET", f"/v2/orders/{each['id']}") for each in made]
    assert [each["status"] for each in settings] == statuses
    for each in settings:
        assert (each["failed_at"] is not None) == (each["status"] == "rejected")
    assert room.alpaca.faults.fired.get("reject", 0) == statuses.count("rejected")


def test_a_bracket_that_is_turned_away_leaves_no_leg() -> None:
    room = Room()
    room.alpaca.faults.arm(SimulatedFault(fault="reject", count=1))
    made = room.rest("POST", "/v2/orders", symbol="ACMX", qty="1", side="buy", type="market",
                     time_in_force="day", order_class="bracket", take_profit={"limit_price": "120"},
                     stop_loss={"stop_price": "80"})  # fmt: skip
    settings = room.rest("GET", f"/v2/orders/{made['id']}?nested=true")
    assert settings["status"] == "rejected"
    assert [leg["status"] for leg in settings["legs"]] == ["canceled", "canceled"]
    assert room.rest("GET", "/v2/orders") == []


def test_a_leg_that_wakes_is_no_new_order() -> None:
    room = Room()
    made = room.rest("POST", "/v2/orders", symbol="ACMX", qty="1", side="buy", type="market",
                     time_in_force="day", order_class="bracket", take_profit={"limit_price": "120"},
                     stop_loss={"stop_price": "80"})  # fmt: skip
    room.alpaca.faults.arm(SimulatedFault(fault="reject"))
    room.pass_seconds(1)
    settings = room.rest("GET", f"/v2/orders/{made['id']}?nested=true")
    assert settings["status"] == "filled"
    assert [leg["status"] for leg in settings["legs"]] == ["new", "new"]


def test_a_band_told_by_the_admin_route_binds_executions() -> None:
    room = Room()
    received = room.client("/v2/iex", lulds=["ACMX"])
    assert room.do("/sim/market", T="l", S="ACMX", u=100.0, d=95.0)[0] == 200
    placed = room.rest("POST", "/v2/orders", symbol="ACMX", qty="1", side="buy", type="market",
                       time_in_force="day")  # fmt: skip
    room.pass_seconds(1)
    assert room.rest("GET", f"/v2/orders/{placed['id']}")["status"] == "new", "the ask is 100.1"
    assert room.do("/sim/market", T="l", S="ACMX", u=0, d=0)[0] == 200
    room.pass_seconds(1)
    assert room.rest("GET", f"/v2/orders/{placed['id']}")["status"] == "filled"
    assert [(each["d"], each["u"]) for each in of(received, "l")] == [(95.0, 100.0), (0.0, 0.0)]


def test_a_book_comes_whole_and_then_in_changes() -> None:
    room = Room()
    room.pass_seconds(1)
    received = room.client("/v1beta3/crypto/us", orderbooks=["BTC/USD"])
    (whole,) = of(received, "o")
    assert whole["r"] is True
    assert [level["p"] for level in whole["b"]] == [100.0, 99.99, 99.98, 99.97, 99.96, 99.95]
    book = {level["p"]: level["s"] for level in whole["b"]}
    room.pass_seconds(1)
    changes = of(received, "o")[1:]
    assert changes
    assert all("r" not in change for change in changes)
    for change in changes:
        book |= {level["p"]: level["s"] for level in change["b"]}
    rest = room.rest("GET", "/v1beta3/crypto/us/latest/orderbooks?symbols=BTC%2FUSD")
    latest = rest["orderbooks"]["BTC/USD"]["b"]
    assert {p: s for p, s in book.items() if s} == {each["p"]: each["s"] for each in latest}


def test_the_test_stream_beats_at_any_hour() -> None:
    room = Room()
    received = room.client("/v2/test", quotes=["FAKEPACA"], trades=["*"], bars=["FAKEPACA"])
    other = room.client("/v2/iex", quotes=["*"])
    room.pass_seconds(125)
    assert (len(of(received, "q")), len(of(received, "t")), len(of(received, "b"))) == (125, 125, 2)
    assert {each["S"] for each in received if "S" in each} == {"FAKEPACA"}
    assert "FAKEPACA" not in {each["S"] for each in of(other, "q")}
    assert room.alpaca.next_due() is not None


def test_news_reach_the_socket_and_the_list() -> None:
    room = Room()
    received = room.client("/v1beta1/news", news=["ACMX"])
    assert received[-1] == {"T": "subscription", "news": ["ACMX"]}
    room.do("/sim/news", headline="Up", symbols=["ACMX", "ZORB"])
    room.do("/sim/news", headline="Down", symbols=["ZORB"])
    assert [each["headline"] for each in of(received, "n")] == ["Up"]
    assert [each["headline"] for each in room.rest("GET", "/v1beta1/news")["news"]] == [
        "Down",
        "Up",
    ]


def test_cash_and_busts_by_the_admin_routes() -> None:
    room = Room()
    assert room.do("/sim/events", kind="deposit", amount="500")[0] == 200
    assert room.rest("GET", "/v2/account")["cash"] == "100500"
    room.rest("POST", "/v2/orders", symbol="ACMX", qty="1", side="buy", type="market",
              time_in_force="day")  # fmt: skip
    room.pass_seconds(1)
    (fill,) = room.rest("GET", "/v2/account/activities/FILL")
    status, update = room.do("/sim/busts", execution_id=fill["id"].partition("::")[2])
    assert (status, update["event"], update["position_qty"]) == (200, "trade_bust", "0")
    assert room.rest("GET", "/v2/account")["cash"] == "100500"


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/sim/events", {"kind": "party"}, 422),
        ("/sim/events", {"kind": "deposit"}, 422),
        ("/sim/events", {"kind": "dividend", "symbol": "NONE", "amount": "1"}, 422),
        ("/sim/events", {"kind": "split", "symbol": "NONE", "new_rate": "2"}, 422),
        ("/sim/busts", {"execution_id": "none"}, 404),
        ("/sim/market", {"T": "q", "S": "ACMX"}, 422),
        ("/sim/market", {"T": "s", "S": "NONE", "sc": "H", "sm": "Halt"}, 422),
        ("/sim/market", {"T": "l", "S": "ACMX", "u": 90.0, "d": 95.0}, 422),
        ("/sim/market", {"T": "l", "S": "ACMX", "u": 90.0, "d": 0.0}, 422),
        ("/sim/nothing", {}, 404),
    ],
)
def test_admin_requests_that_make_no_sense(path: str, fields: dict[str, Any], status: int) -> None:
    assert Room().do(path, **fields)[0] == status
