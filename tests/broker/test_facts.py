"""Each share is said once, whatever order the news comes in; and the wire is read leniently."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.conftest import NOW, approved
from tradingd.broker import AlpacaSettings
from tradingd.broker.alpaca_wire import (
    BrokerOrderView,
    Execution,
    Unreadable,
    WireOrder,
    decode_rows,
    local_symbol,
    number,
    order_body,
    read_order,
    time_ns,
)
from tradingd.broker.facts import disagreement, facts_of
from tradingd.broker.order_store import OrderStore, Record
from tradingd.broker.outcome import SubmitVerdict, classify, error_text, retry_after_s
from tradingd.messages import (
    Message,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderFilled,
    OrderSent,
)
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.ports import Reply

D = Decimal
TOTAL = D(10)


def view(cumulative: Decimal, average: Decimal, status: str) -> BrokerOrderView:
    return BrokerOrderView(
        "gen-e-s-1-1", "b1", "IBM", "buy", status, "limit", TOTAL, cumulative, average, D("10.5"),
        NOW, "",
    )  # fmt: skip


def record_of(order: OrderApproved | None = None) -> tuple[OrderStore, Record]:
    known = OrderStore()
    order = order or approved()
    known.apply(order, NOW)
    known.apply(OrderSent(order.order_id), NOW)
    record = known.get(order.order_id)
    assert record is not None
    return known, record


News = tuple[BrokerOrderView, Execution | None]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[News], Decimal, Decimal]:
    """Draw an order's true history of updates; return it with its filled quantity and value."""
    parts = draw(st.lists(st.integers(1, 5), max_size=5).filter(lambda xs: sum(xs) <= 10))
    news: list[News] = [(view(D(0), D(0), "new"), None)]
    cumulative, spent = D(0), D(0)
    for part in parts:
        price = D(draw(st.integers(900, 1100))) / 100
        cumulative, spent = cumulative + part, spent + part * price
        status = "filled" if cumulative == TOTAL else "partially_filled"
        execution = Execution(f"x{cumulative}", D(part), price, None, NOW)
        news.append((view(cumulative, spent / cumulative, status), execution))
    if cumulative < TOTAL:
        average = spent / cumulative if cumulative else D(0)
        news.append((view(cumulative, average, "canceled"), None))
    return news, cumulative, spent


@settings(max_examples=300)
@given(history=histories(), data=st.data())
def test_shuffled_and_repeated_news_gives_the_same_sums(
    history: tuple[list[News], Decimal, Decimal], data: st.DataObject
) -> None:
    news, cumulative, spent = history
    extra = data.draw(st.lists(st.sampled_from(news), max_size=6))
    shuffled = data.draw(st.permutations(news + extra))
    known, record = record_of()
    emitted: list[Message] = []
    for shown, execution in shuffled:
        facts = facts_of(record, shown, NOW, execution=execution)
        for fact in facts:
            known.apply(fact, NOW)
        emitted += facts
    fills = [fact for fact in emitted if isinstance(fact, OrderFilled)]
    assert sum((fill.quantity for fill in fills), D(0)) == cumulative
    value = sum((fill.quantity * fill.price for fill in fills), D(0))
    assert abs(value - spent) < D("0.00000001") * 10
    assert [fill.cumulative for fill in fills] == sorted({fill.cumulative for fill in fills})
    assert sum(isinstance(fact, OrderAccepted) for fact in emitted) == 1
    assert isinstance(emitted[0], OrderAccepted)
    ended = [fact for fact in emitted if isinstance(fact, OrderCanceled)]
    assert len(ended) == (cumulative < TOTAL)
    assert record.is_terminal


def test_a_fold_of_the_log_equals_what_was_known_live() -> None:
    known, record = record_of()
    log: list[Message] = [approved(), OrderSent("gen-e-s-1-1")]
    execution = Execution("x", D(4), D(10), None, NOW)
    for fact in facts_of(record, view(D(4), D(10), "canceled"), NOW, execution=execution):
        known.apply(fact, NOW)
        log.append(fact)
    again = OrderStore()
    for message in log:
        again.apply(message, NOW)
    assert again.get("gen-e-s-1-1") == record


@pytest.mark.parametrize(("change", "why"), [
    ({"symbol": "XYZ"}, "symbol"), ({"side": "sell"}, "side"), ({"quantity": D(9)}, "quantity"),
    ({"order_type": "market"}, "type"), ({"limit_price": D(11)}, "limit"),
    ({"created_at": NOW - 60_000_000_000}, "created"), ({}, ""),
])  # fmt: skip
def test_an_order_with_our_id_is_ours_only_if_its_fields_agree(
    change: dict[str, object], why: str
) -> None:
    _, record = record_of()
    shown = replace(view(D(0), D(0), "new"), **change)  # type: ignore[arg-type]
    assert disagreement(record, shown, 5_000_000_000).startswith(why)


# --- the wire ---


def test_numbers_leave_as_exact_strings() -> None:
    order = approved(symbol="BTC/USD", quantity="1E-7", limit="1.2E+5")
    body = msgspec.json.decode(order_body(order))
    assert (body["qty"], body["limit_price"]) == ("0.0000001", "120000")
    market = msgspec.json.decode(order_body(approved(limit=None)))
    assert "limit_price" not in market


@pytest.mark.parametrize(("text", "value"), [
    ("1.50", D("1.50")), (3, D(3)), (0.1, D("0.1")), (None, None), ("NaN", None), ("inf", None),
    (True, None), ("", None), ("1e5", D("1e5")), ([], None),
])  # fmt: skip
def test_numbers_are_read_finite_or_not_at_all(text: object, value: Decimal | None) -> None:
    assert number(text) == value


@pytest.mark.parametrize(("text", "at"), [
    ("2022-04-19T17:45:05.024916716Z", 1650390305024916716),
    ("2023-11-22T08:07:57-05:00", 1700658477000000000),
    ("2023-11-22T08:07:57.5-05:00", 1700658477500000000),
    ("yesterday", 0), (None, 0), ("2023-13-45T00:00:00Z", 0),
])  # fmt: skip
def test_times_keep_their_nanoseconds(text: str | None, at: int) -> None:
    assert time_ns(text) == at


def test_one_bad_row_does_not_spoil_a_list() -> None:
    body = b'[{"id":"a","client_order_id":"x","new_field":{}},{"id":7},{"id":"b","qty":null}]'
    rows, faults = decode_rows(body, WireOrder)
    assert [row.id for row in rows] == ["a", "b"]
    assert len(faults) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"id":"a"}', b'{"id":"a","cl', b"\xff"])
def test_what_is_no_order_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_order(body)


@pytest.mark.parametrize(("symbol", "kind", "local"), [
    ("BTCUSD", "crypto", "BTC/USD"), ("ETHUSDT", "crypto", "ETH/USDT"), ("BTC/USD", "crypto", "BTC/USD"),
    ("USD", "crypto", "USD"), ("FUSD", "us_equity", "FUSD"), ("ODD", "crypto", "ODD"),
])  # fmt: skip
def test_symbols_come_in_one_form(symbol: str, kind: str, local: str) -> None:
    assert local_symbol(symbol, kind) == local


@pytest.mark.parametrize(("status", "body", "verdict"), [
    (401, b"", SubmitVerdict.KEYS), (403, b'{"message":"forbidden."}', SubmitVerdict.KEYS),
    (403, b'{"code":40310000,"message":"insufficient qty"}', SubmitVerdict.REJECTED),
    (429, b'{"code":42910000,"message":"x"}', SubmitVerdict.LIMITED), (429, b"<html>", SubmitVerdict.UNKNOWN),
    (422, b'{"code":40010001,"message":"client_order_id must be unique"}', SubmitVerdict.DUPLICATE),
    (422, b'{"code":40010001,"message":"qty must be > 0"}', SubmitVerdict.REJECTED),
    (302, b"", SubmitVerdict.UNKNOWN), (500, b"{}", SubmitVerdict.UNKNOWN), (408, b"", SubmitVerdict.UNKNOWN),
    (200, b'{"id":"b","client_order_id":"o"}', SubmitVerdict.ACCEPTED),
    (200, b'{"id":"b","client_order_id":"other"}', SubmitVerdict.UNKNOWN), (204, b"", SubmitVerdict.UNKNOWN),
])  # fmt: skip
def test_a_reply_proves_what_it_proves(status: int, body: bytes, verdict: SubmitVerdict) -> None:
    assert classify(Reply(status, body), "o").verdict is verdict


def test_a_hostile_error_text_is_short_and_printable() -> None:
    _, message = error_text(Reply(502, b"\x1b[31m\r\nHTTP" + b"x" * 5000))
    assert message.isprintable()
    assert len(message) <= 300


@pytest.mark.parametrize(("headers", "seconds"), [
    ({"retry-after": "2"}, 2.0), ({"x-ratelimit-reset": "1003"}, 3.0), ({}, 0.0),
    ({"x-ratelimit-reset": "1"}, 0.0), ({"retry-after": "99999"}, 15.0), ({"retry-after": "soon"}, 0.0),
])  # fmt: skip
def test_the_brokers_wait_is_bounded(headers: dict[str, str], seconds: float) -> None:
    clock = ManualClock(1_000_000_000_000)
    assert retry_after_s(Reply(429, b"", headers), clock, 15.0) == seconds


def test_keys_are_in_no_repr() -> None:
    text = repr(
        AlpacaSettings(trading_url="u", trading_stream_url="s", key_id="KEY", secret_key="SEC")
    )
    assert "KEY" not in text
    assert "SEC" not in text
