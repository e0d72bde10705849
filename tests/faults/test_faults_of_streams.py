"""Faults 9, 10, 11, 13, 14, 36 and 37: what happens between the broker's words and our ears."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.faults.environment import HUNDRED, SYMBOL, Scene, day, patient, pause
from tradingd.messages import (
    BrokerConnected,
    BrokerLost,
    BrokerSnapshot,
    FeedConnected,
    FeedLost,
    FeedStale,
    IntentClosed,
    IntentRefused,
    Level,
    Market,
    OrderAccepted,
    OrderFilled,
    UnrecognizedValue,
)
from tradingd.simulator.exchange.orders import NewOrder


@pytest.mark.parametrize("code", [1000, 1006, 1011])
def test_fault_09_a_closed_order_stream_stops_entries_until_the_gap_is_read(
    tmp_path: Path, code: int
) -> None:
    async def story(scene: Scene) -> None:
        resting = scene.buy(10, "-1")
        await scene.published(resting, OrderAccepted)
        scene.trouble("status", path="/stream", status=503, for_s=20)
        scene.trouble("close", socket="trade", code=code)
        await scene.until(lambda: not scene.life.is_at(Level.NORMAL), 5)
        mark = scene.last_mark()
        low = mark.bid * 0.98  # it fills while nobody listens
        at = scene.town.clock.now()
        for shift in (0, 1):
            scene.town.exchange.on_quote(SYMBOL, low, 500, low, 500, at + shift)
        assert scene.held() == 10
        late = scene.buy()
        await scene.published(resting, OrderFilled, within_s=120)
        assert scene.filled(resting) == 10
        await scene.normal()
        seqs = {type(e.message): e.seq for e in scene.life.log}
        assert seqs[OrderFilled] < seqs[BrokerConnected], "first the gap, then the word"
        assert not scene.of(late, OrderAccepted)

    day(tmp_path, story, retell=patient)


def test_fault_10_a_mute_order_stream_is_found_out_by_its_silence(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("mute", socket="trade", for_s=120)
        parent = scene.buy()
        await scene.until(lambda: scene.held() == 10, 30)
        await scene.published(parent, OrderFilled, within_s=90)
        assert "mute" in scene.life.published(BrokerLost)[0].reason
        await scene.normal()

    day(tmp_path, story, retell=patient)


def test_fault_10_a_mute_market_is_stale_for_strategies_and_connected_again(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("mute", socket="data", path="/v2/", for_s=100)
        await scene.until(lambda: len(scene.life.published(FeedLost)) > 0, 120)
        lost = scene.life.published(FeedLost)[0]
        assert lost.market is Market.US_EQUITY
        assert "mute" in lost.reason
        assert {stale.symbol for stale in scene.life.published(FeedStale)} >= {SYMBOL}
        assert not scene.life.is_at(Level.NORMAL)
        await scene.normal(300)
        assert len(scene.life.published(FeedConnected)) == 3, "two at the start, one again"

    day(tmp_path, story)


def test_fault_11_a_refused_reconnect_is_patient_and_never_two(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("error", socket="data", path="/v2/", code=406, for_s=88)
        scene.trouble("status", path="/stream", status=429, for_s=88,
                      body='{"message":"too many requests."}')  # fmt: skip
        scene.trouble("close", code=1006)
        await pause(5)
        assert not scene.life.is_at(Level.NORMAL)
        for _ in range(100):
            paths = [line.path for line in scene.alpaca.lines]
            assert len(paths) == len(set(paths)), "the old one is closed first"
            await pause(1)
        await scene.normal()
        assert scene.faults.fired["error"] <= 10, "406 lasts about 90 s: no storm"
        assert scene.faults.fired["status"] <= 20, "429 is backed off from"
        assert "feed.refused" not in scene.life.alerts(), "a half-dead session is no person's work"

    day(tmp_path, story)


def test_fault_11_a_limit_that_outlives_its_90_seconds_calls_a_person(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("error", socket="data", path="/v2/", code=406, for_s=200)
        scene.trouble("close", socket="data", code=1006)
        await pause(150)
        assert scene.life.alerts().count("feed.refused") == 1
        await scene.normal(400)

    day(tmp_path, story)


@pytest.mark.parametrize("refusal", [
    {"name": "error", "code": 402}, {"name": "error", "code": 409}, {"name": "status", "status": 401},
    {"name": "status", "status": 403},
])  # fmt: skip
def test_a_refusal_of_market_data_that_only_a_person_can_cure_is_told_once_and_tried_slowly(
    tmp_path: Path, refusal: dict[str, Any]
) -> None:
    async def story(scene: Scene) -> None:
        settings = dict(refusal)
        name = settings.pop("name")
        scene.trouble(name, path="/v2/iex", for_s=240, **settings)
        scene.trouble("close", socket="data", path="/v2/", code=1006)
        await pause(230)
        assert scene.life.alerts().count("feed.refused") == 1
        assert scene.faults.fired[name] <= 5, "once a minute"
        assert not scene.life.is_at(Level.NORMAL)
        refused = scene.buy()
        await scene.published(refused, IntentRefused)
        await scene.normal(200)
        await pause(5)  # a first quote
        await scene.published(scene.buy(), OrderFilled)

    day(tmp_path, story)


@pytest.mark.parametrize(
    ("status", "is_fatal"), [(401, True), (403, True), (404, False), (500, False)]
)
def test_only_a_refusal_of_the_keys_is_fatal_for_the_order_stream(
    tmp_path: Path, status: int, *, is_fatal: bool
) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("status", path="/stream", status=status, for_s=50)
        scene.trouble("close", socket="trade", code=1008)
        await pause(45)
        assert any(lost.is_fatal for lost in scene.life.published(BrokerLost)) == is_fatal
        assert scene.faults.fired["status"] <= (2 if is_fatal else 12)
        await scene.normal(200)
        await scene.published(scene.buy(), OrderFilled)

    day(tmp_path, story)


async def _trade(scene: Scene, rounds: int = 4) -> None:
    """Buy and sell for some rounds; every parent must come to its end with the truth."""
    for _ in range(rounds):
        for ask in (scene.buy, scene.sell):
            parent = ask(50)
            await scene.published(parent, IntentClosed, within_s=120)
            (closed,) = scene.of(parent, IntentClosed)
            assert closed.filled == scene.filled(parent)
        assert scene.held() == 0


def test_fault_13_what_is_told_twice_is_applied_once(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("duplicate")
        await _trade(scene)
        assert scene.life.system.broker.facts_ignored > 0

    day(tmp_path, story)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_fault_14_what_is_told_in_the_wrong_order_never_goes_backwards(
    tmp_path: Path, seed: int
) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("reorder", probability=0.5, seconds=1)
        scene.trouble("duplicate", probability=0.3)
        await _trade(scene)
        await pause(5)
        ended = set()
        for envelope in scene.life.log:
            if isinstance(envelope.message, OrderAccepted | OrderFilled):
                assert envelope.message.order_id not in ended
            if isinstance(envelope.message, OrderFilled):
                fill = envelope.message
                if fill.cumulative == fill.order_quantity:
                    ended.add(fill.order_id)

    day(tmp_path, story, seed=seed)


def test_fault_36_wrong_stamps_of_the_broker_change_neither_order_nor_books(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        ancient = "1999-12-31T23:59:59.999999999Z"
        for field in ("timestamp", "at", "updated_at", "filled_at"):
            scene.trouble("rewrite", socket="trade", field=field, value=ancient)
        scene.trouble(
            "rewrite", path="/v2/orders", field="updated_at", value="2050-01-01T00:00:00Z"
        )
        scene.trouble("rewrite", path="/v2/account", field="transaction_time", value=ancient)
        await _trade(scene)
        await scene.agreed()
        assert scene.life.is_at(Level.NORMAL)
        scene.trouble("rewrite", socket="trade", field="timestamp")  # missing altogether
        await _trade(scene, 1)

    day(tmp_path, story)


def test_fault_37_every_page_of_501_orders_is_read_and_no_row_counts_twice(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        now = scene.town.clock.now()
        for n in range(501):
            scene.town.exchange.submit(
                NewOrder(symbol=SYMBOL, side="buy", order_type="limit", time_in_force="day",
                         quantity=Decimal(1), limit_price=Decimal("1.00"),
                         client_order_id=f"by-hand-{n}"),
                now,
            )  # fmt: skip
        await scene.until(
            lambda: any(len(each.orders) >= 501 for each in scene.life.published(BrokerSnapshot)),
            200,
        )
        seen = next(
            each for each in scene.life.published(BrokerSnapshot) if len(each.orders) >= 501
        )
        assert len({order.order_id for order in seen.orders}) == len(seen.orders) == 501
        await scene.until(lambda: not scene.life.is_at(Level.NORMAL), 60)
        for order in scene.town.exchange.open_orders():
            scene.town.exchange.cancel(order.id, scene.town.clock.now())
        await pause(5)

    day(tmp_path, story, is_checked=False)


def test_words_nobody_knows_spoil_one_field_and_no_order(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("rewrite", socket="trade", event="new", field="status", value="in_orbit")
        scene.trouble("rewrite", socket="trade", event="pending_new", field="event",
                      value="teleported")  # fmt: skip
        scene.trouble("rewrite", path="/v2/positions", field="exchange", value="MOON")
        scene.trouble("rewrite", path="/v2/account", field="status", value="FABULOUS")
        await _trade(scene)
        await scene.agreed()
        values = {value.value for value in scene.life.published(UnrecognizedValue)}
        assert values & {"in_orbit", "teleported"}
        assert sum(scene.life.system.broker.unrecognized_values.values()) >= len(values)
        assert scene.life.is_at(Level.NORMAL)

    day(tmp_path, story)


@pytest.mark.parametrize("seed", [3, 4])
def test_a_fifth_of_all_words_lost_costs_time_and_no_truth(tmp_path: Path, seed: int) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("lose", probability=0.2)
        for _ in range(3):
            for ask in (scene.buy, scene.sell):
                await scene.published(ask(50), IntentClosed, within_s=200)
        scene.calm()
        await scene.agreed()
        assert scene.held() <= HUNDRED

    day(tmp_path, story, seed=seed)
