"""Faults 5, 17, 20 to 24, 27, 34, 39: what the broker does to an order, and that the system knows the truth."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.faults.environment import SYMBOL, Scene, counted, day, patient, pause
from tradingd.messages import (
    Ask,
    BrokerLost,
    CancelRejected,
    EmergencyClose,
    IntentClosed,
    IntentRefused,
    Level,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    OrderSent,
    OrderUnknown,
)
from tradingd.simulator.exchange.orders import Replacement

LIMITED = '{"code":42910000,"message":"rate limit exceeded"}'


def test_fault_05_a_proven_429_is_offered_again_after_the_reset(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("status", method="POST", path="/v2/orders", status=429, body=LIMITED,
                      headers={"Retry-After": "4"}, count=1)  # fmt: skip
        began = scene.town.clock.now()
        parent = scene.buy()
        await scene.published(parent, OrderFilled)
        assert scene.town.clock.now() - began >= 4_000_000_000, "not before the reset"
        assert not scene.of(parent, OrderUnknown)
        assert (scene.posts(parent), scene.held()) == (1, Decimal(10))

    day(tmp_path, story)


def test_fault_05_an_unproven_429_is_unknown_and_an_entry_kept_back_too_long_expires(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("status", method="POST", path="/v2/orders", status=429, is_processed=True,
                      body="<html>slow down</html>", count=1)  # fmt: skip
        parent = scene.buy()
        await scene.published(parent, OrderFilled)
        assert scene.of(parent, OrderUnknown)
        assert (scene.posts(parent), scene.held()) == (1, Decimal(10))
        scene.trouble("status", method="POST", path="/v2/orders", status=429, body=LIMITED,
                      headers={"Retry-After": "40"}, for_s=90)  # fmt: skip
        late = scene.buy()
        await scene.published(late, IntentClosed, within_s=200)
        assert scene.posts(late) == 0
        assert scene.filled(late) == 0

    day(tmp_path, story)


@pytest.mark.parametrize("trouble", [
    {"name": "truncate"}, {"name": "drop_reply"}, {"name": "hang", "is_processed": True},
    {"name": "status", "status": 200, "body": "<html>login</html>", "is_processed": True},
    {"name": "status", "status": 200, "body": '{"id":', "is_processed": True},
    {"name": "status", "status": 502, "body": "<html>502 Bad Gateway</html>", "is_processed": True},
    {"name": "status", "status": 504, "is_processed": True},
    {"name": "status", "status": 503}, {"name": "status", "status": 500}, {"name": "reset"},
    {"name": "hang"},
])  # fmt: skip
def test_fault_17_a_reply_that_proves_nothing_makes_one_order_and_no_rejection(
    tmp_path: Path, trouble: dict[str, object]
) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble(**trouble, method="POST", path="/v2/orders", count=1)
        parent = scene.buy()
        await scene.published(parent, IntentClosed)
        assert not scene.of(parent, OrderRejected) or scene.posts(parent) == 0
        assert scene.posts(parent) <= 1
        assert scene.filled(parent) == scene.held()
        assert len(scene.of(parent, OrderSent)) == 1

    day(tmp_path, story)


def test_fault_20_a_refusal_is_definite_releases_its_reservation_and_is_no_loop(
    tmp_path: Path,
) -> None:
    refusal = ('{"code":40310000,"message":"insufficient buying power",'
               '"buying_power":"0","cost_basis":"1000"}')  # fmt: skip

    async def story(scene: Scene) -> None:
        scene.trouble("status", method="POST", path="/v2/orders", status=403, body=refusal)
        parent = scene.buy()
        await scene.published(parent, IntentClosed)
        (rejected,) = scene.of(parent, OrderRejected)
        assert (rejected.code, rejected.reason) == ("40310000", "insufficient buying power")
        await pause(120)
        assert scene.faults.fired["status"] == 1, "asked once, and not again"
        scene.calm()
        for _ in range(2):  # a reservation that stayed would leave no room for these
            await scene.published(scene.buy(100), OrderFilled)

    day(tmp_path, story)


def test_fault_21_an_order_taken_and_rejected_later_releases_its_reservation_once(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("reject", count=1)
        scene.trouble("duplicate", event="rejected")
        parent = scene.buy(100, "-1")
        await scene.published(parent, IntentClosed)
        (rejected,) = scene.of(parent, OrderRejected)
        assert scene.of(parent, OrderAccepted), "taken first"
        assert (rejected.code, rejected.cumulative) == ("rejected", 0)
        (order,) = scene.town.exchange.orders()
        assert order.status.value == "rejected"
        assert scene.faults.fired == {"reject": 1, "duplicate": 1}
        assert counted(scene) == 0
        scene.calm()
        for _ in range(2):  # a reservation released twice, or not at all, would show in the second
            await scene.published(scene.buy(100), OrderFilled)
        await scene.agreed()

    day(tmp_path, story, retell=patient)


def test_fault_22_what_was_filled_before_a_cancel_stays(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        parent = scene.buy(280, "0.01")
        await scene.published(parent, OrderFilled)
        for order in scene.town.exchange.open_orders():
            scene.town.exchange.cancel(order.id, scene.town.clock.now())
        await scene.published(parent, IntentClosed)
        (closed,) = scene.of(parent, IntentClosed)
        assert closed.filled == scene.filled(parent) == scene.held() > 0

    day(tmp_path, story, retell=patient)


@pytest.mark.parametrize("seed", range(3, 9))
def test_fault_23_a_fill_that_races_a_cancel_is_applied_and_nothing_replaces_it_too_early(
    tmp_path: Path, seed: int
) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("reorder", event="fill", seconds=3)
        scene.trouble("reorder", event="partial_fill", seconds=3)
        parent = scene.buy(200, "0.02")
        await scene.published(parent, OrderAccepted)
        await pause(seed / 100)
        scene.life.ask(Ask.CANCEL, target=scene.of(parent, OrderAccepted)[0].order_id)
        await scene.published(parent, IntentClosed)
        await pause(10)
        assert scene.filled(parent) == scene.held()
        live: set[str] = set()
        for envelope in scene.life.log:
            message = envelope.message
            if isinstance(message, OrderSent) and message.order_id.startswith(parent):
                assert not live, "no replacement before the end of the last one"
                live.add(message.order_id)
            elif isinstance(message, OrderCanceled | OrderRejected) or (
                isinstance(message, OrderFilled) and message.cumulative == message.order_quantity
            ):
                live.discard(message.order_id)

    day(tmp_path, story, seed=seed, retell=patient)


def test_fault_24_a_refused_cancel_makes_the_edge_read_the_truth(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("lose", event="fill")
        scene.trouble("lose", event="partial_fill")
        parent = scene.buy()
        await scene.published(parent, OrderAccepted)
        await scene.until(lambda: scene.held() == 10)
        scene.life.ask(Ask.CANCEL, target=scene.of(parent, OrderAccepted)[0].order_id)
        await scene.published(parent, OrderFilled, within_s=20)
        assert scene.filled(parent) == 10
        assert not scene.of(parent, OrderCanceled)
        scene.calm()
        for status, body in (
            (404, '{"code":40410000,"message":"order not found"}'),
            (422, '{"code":42210000,"message":"order is not cancelable"}'),
        ):
            resting = scene.buy(5, "-1")
            await scene.published(resting, OrderAccepted)
            scene.trouble("status", method="DELETE", path="/v2/orders/", count=1, status=status,
                          body=body)  # fmt: skip
            target = scene.of(resting, OrderAccepted)[0].order_id
            scene.life.ask(Ask.CANCEL, target=target)
            await scene.published(resting, CancelRejected)
            assert not scene.of(resting, OrderCanceled), "it is open, whatever the text says"
            scene.life.ask(Ask.CANCEL, target=target)
            await scene.published(resting, OrderCanceled)

    day(tmp_path, story, retell=patient)


def test_fault_27_an_order_replaced_by_hand_ends_with_its_fills_and_its_heir_is_foreign(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        parent = scene.buy(20, "-1")
        await scene.published(parent, OrderAccepted)
        (order,) = scene.town.exchange.open_orders()
        changes = Replacement(quantity=Decimal(15))
        heir = scene.town.exchange.replace(order.id, changes, scene.town.clock.now())
        await scene.published(parent, OrderReplaced)
        (replaced,) = scene.of(parent, OrderReplaced)
        assert replaced.replaced_by == heir.id
        assert heir.qty is not None
        assert scene.filled(parent) + heir.qty <= 20, "never more than the parent"
        await scene.until(lambda: not scene.life.is_at(Level.NORMAL), 120)
        assert any("foreign" in cause or "mismatch" in cause for cause in scene.life.causes)
        scene.town.exchange.cancel(heir.id, scene.town.clock.now())

    day(tmp_path, story, retell=patient, is_checked=False)


@pytest.mark.parametrize("flag", ["trading_blocked", "account_blocked", "trade_suspended_by_user"])
def test_fault_34_a_blocked_account_halts_without_a_storm(tmp_path: Path, flag: str) -> None:
    refusal = '{"code":40310000,"message":"account is not authorized to trade"}'

    async def story(scene: Scene) -> None:
        await scene.published(scene.buy(), OrderFilled)
        scene.trouble("rewrite", path="/v2/account", field=flag, value=True)
        scene.trouble("status", method="POST", path="/v2/orders", status=403, body=refusal)
        await scene.until(lambda: not scene.life.is_at(Level.NORMAL), 120)
        assert scene.life.published(BrokerLost)[-1].is_fatal
        assert "account_blocked" in scene.life.alerts()
        sent = scene.faults.fired.get("status", 0)
        late = scene.buy()
        await scene.published(late, IntentRefused)
        await pause(300)
        assert scene.faults.fired.get("status", 0) - sent <= 5, "no retry storm"
        scene.calm()
        await pause(70)
        scene.life.ask(Ask.RESUME, "the broker lets us again")
        await scene.normal(300)

    day(tmp_path, story, retell=patient)


def test_fault_39_each_failure_of_a_cancel_all_is_retried_and_verified(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.published(scene.buy(), OrderFilled)
        parents = [scene.buy(5, off) for off in ("-1", "-1.2", "-1.5")]
        for parent in parents:
            await scene.published(parent, OrderAccepted)
        body = ('[{"id":"x","status":500,"body":{"code":50010000,"message":"internal error"}},'
                '{"id":"y","status":200}]')  # fmt: skip
        scene.trouble("status", method="DELETE", path="/v2/orders", status=207, body=body, count=1)
        scene.life.publish("supervisor", EmergencyClose("the test says so"))
        await scene.until(lambda: not scene.town.exchange.open_orders(), 120)
        await scene.until(lambda: not scene.town.exchange.positions(), 120)
        assert scene.held(SYMBOL) == 0
        await pause(60)
        assert "emergency_flat" in scene.life.alerts()

    day(tmp_path, story, retell=patient, is_checked=False)
