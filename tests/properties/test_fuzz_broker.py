"""Whatever the broker's socket and REST say: facts that fit the log, a count, or one documented refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.edge import (
    ACCOUNT,
    LISTED,
    NOW,
    SETTINGS,
    Edge,
    order,
)
from tests.properties.effort import effort
from tests.properties.odd import (
    BIDI,
    JSON_BOMBS,
    NUMBERS,
    ODD,
    TEXTS,
    as_json,
    check_message,
    check_values,
    mutated,
    scratched,
)
from tests.properties.wire import Answers, run
from tradingd import messages as m
from tradingd.broker.alpaca_wire import number, time_ns
from tradingd.broker.handshake import UpdatesLost
from tradingd.broker.outcome import SubmitOutcome, classify
from tradingd.broker.rest import AlpacaRest, CallFailed
from tradingd.broker.settings import KeysRefused
from tradingd.messages import Message
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.codec import AT_MAX
from tradingd.runtime.ports import Reply
from tradingd.runtime.rate_budget import quota_of


def update(event: str, shown: dict[str, Any], **more: Any) -> dict[str, Any]:
    settings = {"event": event, "order": shown, "timestamp": "2024-03-05T14:30:01Z"}
    return {"stream": "trade_updates", "data": {**settings, **more}}


FRAMES = [
    update("new", order()),
    update(
        "partial_fill",
        order(status="partially_filled", filled_qty="40", filled_avg_price="100.5"),
        execution_id="x1", price="100.5", qty="40", position_qty="40",
    ),
    update(
        "fill", order(status="filled", filled_qty="100", filled_avg_price="100.8"),
        execution_id="x2", price="101", qty="60", position_qty="100",
    ),
    update("canceled", order(status="canceled", filled_qty="40", filled_avg_price="100.5")),
    update("replaced", order(status="replaced", replaced_by="b9")),
    update("trade_bust", order(), execution_id="x1", price="100.5", qty="40"),
    update("order_cancel_rejected", order()),
    update(
        "fill",
        order("g-e-sma-2-1", symbol="BTC/USD", qty="0.5", status="filled", filled_qty="0.5",
              filled_avg_price="63999.5", limit_price="64000"),
        execution_id="x3", price="63999.5", qty="0.5", position_qty="0.49875",
    ),
    {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}},
    {"stream": "listening", "data": {"streams": ["trade_updates"]}},
]  # fmt: skip
LIKELY: st.SearchStrategy[Any] = st.one_of(
    ODD,
    st.sampled_from(("0", "0.5", "40", "99.999999999", "100", "101", 40, 100.0, "1e3", "1e14")),
    st.sampled_from(("filled", "canceled", "expired", "rejected", "replaced", "new", "held", "fills")),
    st.sampled_from(("fill", "partial_fill", "trade_correct", "rejected", "restated", "x1", "sell")),
)  # fmt: skip
STREAM = st.lists(st.one_of([mutated(frame, LIKELY).map(as_json) for frame in FRAMES]), max_size=12)


def handle(frames: list[bytes]) -> list[Message]:
    """Let the order stream hear frames; only the loss of the stream may come of it."""

    async def life() -> list[Message]:
        edge = Edge(Answers({"": b"[]"}))
        for frame in frames:
            try:
                edge.stream._handle(frame)
            except UpdatesLost:
                break
        await asyncio.sleep(0)
        await edge.state.stop()
        edge.check_orders()
        return edge.bus.published

    return asyncio.run(life())


def test_good_frames_tell_the_whole_life() -> None:
    kinds = [type(fact).__name__ for fact in handle([as_json(frame) for frame in FRAMES])]
    assert kinds[:3] == ["OrderAccepted", "OrderFilled", "OrderFilled"]
    assert kinds.count("OrderFilled") == 3
    assert {"TradeBusted", "FeeCharged"} <= set(kinds)


@effort(250)
@given(STREAM)
def test_no_odd_update_makes_a_false_fact(frames: list[bytes]) -> None:
    handle(frames)


@effort(150)
@given(
    st.sampled_from(FRAMES).flatmap(lambda frame: scratched(as_json(frame))), st.binary(max_size=40)
)
def test_no_scratched_update_does_harm(frame: bytes, noise: bytes) -> None:
    handle([frame, noise, frame])


def test_no_bomb_on_the_order_stream_does_harm() -> None:
    nested = [b'{"stream":"trade_updates","data":' + bomb + b"}" for bomb in JSON_BOMBS]
    inner = [
        b'{"stream":"trade_updates","data":{"event":"fill","order":' + bomb + b"}}"
        for bomb in JSON_BOMBS
    ]
    emitted = handle([*JSON_BOMBS, *nested, *inner])
    assert {type(each) for each in emitted} <= {m.UnrecognizedValue}


# REST.

POSITIONS = [
    {"symbol": "IBM", "asset_class": "us_equity", "qty": "5", "avg_entry_price": "100.5", "side": "long"},
    {"symbol": "BTCUSD", "asset_class": "crypto", "qty": "0.25", "avg_entry_price": "64000", "side": "long"},
]  # fmt: skip
ACTIVITIES = [
    {"id": "20240305::x", "activity_type": "CSD", "net_amount": "250.5", "created_at": "2024-03-05T14:29:00Z"},
    {"id": "20240305::y", "activity_type": "FILL", "order_id": "b-g-e-sma-1-1", "qty": "40", "cum_qty": "40",
     "price": "100.5", "transaction_time": "2024-03-05T14:29:00Z"},
]  # fmt: skip
ACTIONS = {
    "corporate_actions": {
        "forward_splits": [{"id": "s", "symbol": "IBM", "new_rate": 2, "old_rate": 1, "ex_date": "2024-03-05"}],
        "reverse_splits": [],
    }
}  # fmt: skip
BODIES: tuple[Any, ...] = (ACCOUNT, POSITIONS, LISTED, LISTED[0], ACTIVITIES, ACTIONS)
ODD_BODY = st.one_of(
    *(mutated(body, LIKELY).map(as_json) for body in BODIES),
    *(scratched(as_json(body)) for body in BODIES),
    st.sampled_from(JSON_BOMBS),
)


def ask_everything(body: bytes) -> list[Any]:
    """Put one body before every reader of replies; they answer, or refuse as they say they do."""
    rest = AlpacaRest(Answers({"": body}), ManualClock(NOW), SETTINGS)
    calls: list[Callable[[], Coroutine[Any, Any, Any]]] = [
        rest.account,
        rest.positions,
        rest.open_orders,
        lambda: rest.order_by_client_id("g-e-sma-1-1"),
        lambda: rest.activities("FILL", "2024-03-05T00:00:00Z"),
        lambda: rest.splits(("IBM",), "2024-03-01", "2024-03-05"),
        rest.verify,
    ]
    answers: list[Any] = []
    refusals: list[str] = []
    for call in calls:
        try:
            answers.append(run(call()))
        except (CallFailed, KeysRefused) as refusal:
            refusals.append(str(refusal))
    assert all(len(each) < 1000 for each in refusals)
    return answers


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_each_good_body_is_read_by_someone(body: Any) -> None:
    assert ask_everything(as_json(body))


@effort(300)
@given(ODD_BODY)
def test_no_reply_makes_more_than_a_failed_call(body: bytes) -> None:
    ask_everything(body)


@effort(150)
@given(
    account=mutated(ACCOUNT, LIKELY),
    positions=mutated(POSITIONS, LIKELY),
    orders=mutated(LISTED, LIKELY),
    activities=mutated(ACTIVITIES, LIKELY),
)
def test_no_snapshot_of_odd_books_comes_in(
    account: Any, positions: Any, orders: Any, activities: Any
) -> None:
    bodies = {
        "/v2/account": as_json(account),
        "/v2/positions": as_json(positions),
        "/v2/orders": as_json(orders),
        "/v2/account/activities": as_json(activities),
        "": as_json(LISTED[0]),
    }

    async def life() -> None:
        edge = Edge(Answers(bodies))
        try:
            snapshot = await edge.snapshots.take("start")
        except CallFailed:
            snapshot = None
        await asyncio.sleep(0)
        await edge.state.stop()
        if snapshot is not None:
            check_message(snapshot)

    asyncio.run(life())


@effort(300)
@given(st.sampled_from((200, 201, 204, 400, 401, 403, 404, 408, 422, 429, 500, 502, 504)), ODD_BODY)
def test_every_reply_to_an_order_is_judged(status: int, body: bytes) -> None:
    outcome = classify(Reply(status, body), "g-e-sma-1-1")
    assert isinstance(outcome, SubmitOutcome)
    check_values([outcome.code, outcome.reason])


@effort(200)
@given(
    st.dictionaries(
        st.sampled_from(("retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")),
        st.one_of(st.sampled_from([str(each) for each in NUMBERS]), st.text(max_size=15)),
    )
)  # fmt: skip
def test_no_header_says_more_than_a_number(headers: dict[str, str]) -> None:
    emitted = quota_of(headers, NOW)
    for value in (emitted.limit, emitted.remaining, emitted.resets_at):
        assert value is None or 0 <= value <= 10**22


# Numbers and times on their own.


@effort(500)
@given(st.one_of(ODD, st.decimals(), st.text("0123456789.eE+-_ nN", max_size=12)))
def test_a_number_is_countable_or_none(value: Any) -> None:
    found = number(value)
    if found is not None:
        check_values(found)
        assert abs(found) < 10**15
        assert (found * found + 1) / (abs(found) + 1) >= 0
        assert len(format(found, "f")) < 120


@effort(300)
@given(st.decimals(-(10**12), 10**12, places=9, allow_nan=False))
def test_what_the_broker_writes_is_read_exactly(value: Decimal) -> None:
    assert number(format(value, "f")) == value
    assert number(str(value)) == value


@effort(300)
@given(
    st.one_of(
        st.sampled_from(TEXTS),
        st.text(max_size=30),
        st.datetimes().map(lambda at: f"{at.isoformat()}Z"),
    )
)
def test_a_time_is_an_instant_or_zero(text: str) -> None:
    assert 0 <= time_ns(text) <= AT_MAX


def test_words_that_turn_the_line_round_are_straightened() -> None:
    odd = order("by-hand", symbol=f"A{BIDI}", status=f"{BIDI}\n")
    (emitted,) = handle([as_json(update("new", odd)), as_json(update(BIDI, order()))])[:1]
    assert isinstance(emitted, m.UnrecognizedValue)
    assert emitted.value.isprintable()
