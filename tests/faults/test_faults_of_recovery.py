"""Faults 1 to 4, 6, 12, 16, 19, 26, 30 to 33, 35, 38 and 82: what was lost, doubled, late, or of external orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.app.lives import CONFIG, Town
from tests.faults.environment import SYMBOL, Scene, check, counted, day, patient, pause
from tests.faults.restarts import again, lives
from tradingd.config import load
from tradingd.messages import (
    Ask,
    BookAdopted,
    BooksAgreed,
    BreakExplained,
    BreakOpened,
    BrokerLost,
    IntentClosed,
    IntentRefused,
    Level,
    Mark,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderSent,
    OrderUnknown,
    ProtectionStarted,
    Role,
    TradeBusted,
)
from tradingd.reconciler.core import ReconcilerSettings
from tradingd.reconciler.policy import Policy
from tradingd.simulator.exchange.orders import NewOrder
from tradingd.simulator.wire.http import Request, Response
from tradingd.wiring import CoreSettings

POST = {"method": "POST", "path": "/v2/orders"}
LIMITED = '{"code":42910000,"message":"rate limit exceeded"}'
NOT_FOUND = '{"code":40410000,"message":"order not found"}'
BY_HAND = "by-hand-1"
TEN = Decimal(10)
CEILING_S = load(CONFIG / "mock.toml").run.stop_ceiling_s


def by_hand(
    scene: Scene,
    quantity: int = 10,
    off_pct: str = "1",
    order_id: str = BY_HAND,
    symbol: str = SYMBOL,
) -> None:
    """Trade in the account as its owner would, beside us."""
    mark = scene.last_mark(symbol)
    middle = Decimal(repr(round((mark.bid + mark.ask) / 2, 2)))
    price = round(middle * (1 + Decimal(off_pct) / 100), 2)
    scene.town.exchange.submit(
        NewOrder(
            symbol=symbol, side="buy" if quantity > 0 else "sell", order_type="limit",
            time_in_force="day", quantity=Decimal(abs(quantity)), limit_price=price,
            client_order_id=order_id,
        ),
        scene.town.clock.now(),
    )  # fmt: skip


def is_mismatched(scene: Scene) -> bool:
    return "mismatch" in scene.life.causes


def test_fault_01_an_exit_lost_before_the_broker_is_sent_again_under_its_id(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.published(scene.buy(10), OrderFilled)
        scene.trouble("reset", **POST, count=1)
        parent = scene.sell(10)
        await scene.published(parent, OrderUnknown)
        await scene.published(parent, OrderFilled)
        assert not scene.of(parent, OrderRejected)
        assert (len(scene.of(parent, OrderSent)), scene.posts(parent)) == (1, 1)
        assert scene.held() == 0

    day(tmp_path, story)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_fault_01_entries_lost_before_the_broker_make_one_order_or_none(
    tmp_path: Path, seed: int
) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("reset", **POST, probability=0.3)
        parents = [scene.buy(5) for _ in range(12)]
        for parent in parents:
            await scene.published(parent, IntentClosed, within_s=300)
        assert scene.faults.fired["reset"] >= 2, "some were lost"
        lost = [parent for parent in parents if scene.of(parent, OrderUnknown)]
        assert lost
        assert all(scene.posts(parent) == (parent not in lost) for parent in parents)
        assert sum(scene.filled(parent) for parent in parents) == scene.held() > 0

    day(tmp_path, story, seed=seed)


def test_fault_02_a_reply_lost_after_the_order_was_taken_is_found_by_its_id(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        for event in ("new", "fill", "partial_fill"):
            scene.trouble("lose", event=event)  # only the lookup can tell
        scene.trouble("drop_reply", **POST, count=1)
        parent = scene.buy()
        await scene.published(parent, OrderFilled)
        assert len(scene.of(parent, OrderUnknown)) == len(scene.of(parent, OrderAccepted)) == 1
        assert (scene.posts(parent), scene.filled(parent), scene.held()) == (1, TEN, TEN)

    day(tmp_path, story)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("is_taken", [True, False])
def test_fault_03_a_gateways_error_is_never_a_rejection(
    tmp_path: Path, status: int, is_taken: bool
) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("status", **POST, status=status, is_processed=is_taken, count=1)
        parent = scene.buy()
        await scene.published(parent, OrderUnknown)
        await pause(9)
        assert not scene.of(parent, OrderRejected)
        assert len(scene.of(parent, OrderFilled)) == is_taken
        await scene.published(parent, IntentClosed)
        assert scene.posts(parent) == is_taken, "an entry whose quote is old is not sent again"
        assert {each.code for each in scene.of(parent, OrderRejected)} <= {"not_found"}

    day(tmp_path, story)


@pytest.mark.parametrize("is_first_lost", [True, False])
def test_fault_04_a_post_that_arrives_twice_makes_one_order(
    tmp_path: Path, is_first_lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(scene: Scene) -> None:
        handle, statuses = scene.alpaca.handle, []

        def twice(request: Request, now: int) -> Response:
            first = handle(request, now)
            if (request.method, request.path) != ("POST", "/v2/orders"):
                return first
            second = handle(request, now)
            statuses.extend([first.status, second.status])
            return second if is_first_lost else first

        monkeypatch.setattr(scene.alpaca, "handle", twice)
        parent = scene.buy()
        await scene.published(parent, OrderFilled)
        assert statuses == [200, 422]
        assert (scene.posts(parent), scene.filled(parent), scene.held()) == (1, TEN, TEN)
        assert not scene.of(parent, OrderRejected)

    day(tmp_path, story)


def test_fault_06_a_429_on_cancels_during_a_halt_is_retried_until_they_are_proven(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        parents = [scene.buy(5, f"-{1 + n / 10}") for n in range(5)]
        for parent in parents:
            await scene.published(parent, OrderAccepted)
        scene.trouble("status", status=429, body=LIMITED, headers={"Retry-After": "5"}, for_s=40)
        halted = scene.life.ask(Ask.HALT, "enough")
        late = scene.buy()
        for parent in parents:
            await scene.published(parent, OrderCanceled, within_s=120)
        assert scene.faults.fired["status"] <= 60, (
            "asked again after the wait, and not all the time"
        )
        assert scene.life.published(OrderSent, halted) == []
        assert scene.posts(late) == 0
        assert scene.town.exchange.open_orders() == []

    day(tmp_path, story, retell=patient)


def test_fault_12_fills_while_nobody_listens_come_from_the_activities_once_each(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        resting = scene.buy(20, "-1")
        await scene.published(resting, OrderAccepted)
        scene.trouble("status", path="/stream", status=503, for_s=2)
        scene.trouble("close", socket="trade", code=1006)
        await scene.until(lambda: not scene.life.is_at(Level.NORMAL), 5)
        low, at = scene.last_mark().bid * 0.98, scene.town.clock.now()
        for shift in range(4):  # in parts, each an execution of its own
            scene.town.exchange.on_quote(SYMBOL, low, 5, low + shift / 100, 5, at + shift)
        await scene.normal()
        fills = scene.of(resting, OrderFilled)
        executed = [row for row in scene.town.exchange.activities() if row.activity_type == "FILL"]
        assert len(executed) > 1
        assert [fill.quantity for fill in fills] == [row.qty for row in executed]
        assert [fill.price for fill in fills] == [row.price for row in executed]
        assert len({fill.execution_id for fill in fills}) == len(fills)

    day(tmp_path, story, retell=patient)


@pytest.mark.parametrize("latency_s", [3.0, 30.0])
def test_fault_16_an_entry_that_succeeds_after_the_halt_is_called_back_and_counted_all_the_time(
    tmp_path: Path, latency_s: float
) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("delay", **POST, seconds=latency_s, count=1)
        parent = scene.buy(100, "-1")
        await scene.published(parent, OrderSent)
        scene.life.ask(Ask.HALT, "enough")
        (approved,) = scene.of(parent, OrderApproved)
        worst = approved.order.quantity * approved.order.limit_price
        while not scene.town.exchange.orders():
            assert counted(scene) == worst, "still on its way, and still in the exposure"
            assert not scene.of(parent, IntentClosed)
            await pause(0.05)
        arrived = scene.town.clock.now()
        while not scene.of(parent, OrderCanceled):
            assert counted(scene) == worst, "until the broker says that it is canceled"
            await pause(0.05)
            assert scene.town.clock.now() - arrived < 60_000_000_000
        await pause(0.05)
        assert counted(scene) == 0
        (order,) = scene.town.exchange.orders()
        assert order.canceled_at is not None
        assert order.canceled_at - arrived < 1_000_000_000
        assert scene.held() == 0

    day(tmp_path, story, retell=patient)


def test_fault_18_a_way_out_of_unknown_fate_holds_a_stop_up_for_seconds(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.published(scene.buy(20), OrderFilled)
        scene.trouble("reset", **POST, count=1)
        began = scene.town.clock.monotonic()
        scene.life.ask(Ask.STOP)
        await scene.until(lambda: bool(scene.life.published(OrderUnknown)), 5)
        await scene.until(lambda: "stopped" in scene.life.causes, 60)
        took_s = (scene.town.clock.monotonic() - began) / 1e9
        assert took_s < CEILING_S / 2
        assert scene.held() == 0
        assert not scene.life.published(OrderRejected), "proven, and not presumed"

    day(tmp_path, story)


def test_fault_19_an_id_that_exists_with_other_fields_halts(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        by_hand(scene, 3, "-1", f"{scene.life.instance_id}-o-operator-1-1")
        await scene.until(lambda: "unknown_own_order" in scene.life.alerts(), 5)
        parent = scene.buy(10, "-1")
        await scene.until(lambda: scene.life.is_at(Level.HALTED), 30)
        assert "order_id_clash" in scene.life.alerts()
        assert scene.life.published(BrokerLost)[-1].is_fatal
        assert not scene.of(parent, OrderAccepted), "what is there is not taken for ours"
        late = scene.buy(5)
        await pause(30)
        assert scene.posts(late) == 0

    day(tmp_path, story, retell=patient, is_checked=False, is_flat_at_end=False)


def test_fault_26_a_bust_is_booked_back_with_its_loss_and_its_limit(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        parent = scene.buy(100)
        await scene.published(parent, OrderFilled)
        cash = scene.town.exchange.account(scene.town.clock.now()).cash
        for fill in scene.of(parent, OrderFilled):
            scene.town.exchange.bust(fill.execution_id, scene.town.clock.now())
        await scene.until(lambda: sum(b.quantity for b in scene.life.published(TradeBusted)) == 100)
        assert scene.held() == 0
        assert scene.town.exchange.account(scene.town.clock.now()).cash > cash
        await scene.agreed()
        again = scene.buy(100)  # the limits have the room back
        await scene.published(again, OrderFilled)
        assert not scene.life.published(BreakOpened)

    day(tmp_path, story, retell=patient, is_checked=False)


def test_fault_30_one_404_is_no_proof_that_there_is_no_order(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("lose", for_s=8)
        scene.trouble("drop_reply", **POST, count=1)
        scene.trouble("status", method="GET", path="/v2/orders:by", status=404, body=NOT_FOUND,
                      for_s=8)  # fmt: skip
        parent = scene.buy()
        await scene.published(parent, OrderUnknown)
        await pause(7)
        assert scene.faults.fired["status"] >= 2, "asked more than once"
        assert not scene.of(parent, OrderRejected)
        await scene.published(parent, OrderFilled)
        assert (scene.posts(parent), scene.filled(parent)) == (1, TEN)

    day(tmp_path, story)


def test_fault_31_an_order_presumed_refused_that_turns_up_is_called_back_at_once(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("delay", **POST, seconds=90, count=1)
        parent = scene.buy(10, "-1")
        await scene.published(parent, OrderSent)
        scene.life.ask(Ask.PAUSE, "no more entries, so that it is not offered again")
        await scene.published(parent, OrderRejected, within_s=80)
        assert not scene.town.exchange.orders(), "presumed, and still on its way"
        await scene.until(lambda: bool(scene.town.exchange.orders()), 60)
        await pause(1)
        (order,) = scene.town.exchange.orders()
        assert (order.client_order_id, order.is_open) == (f"{parent}-1", False)
        scene.life.ask(Ask.RESUME, "looked at it")

    day(tmp_path, story, retell=patient)


def test_fault_31_one_that_turns_up_is_back_in_the_limits_until_it_is_canceled(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("delay", **POST, seconds=90, count=1)
        scene.trouble("delay", method="DELETE", path="/v2/orders/", seconds=8)
        parent = scene.buy(100, "-1")
        await scene.published(parent, OrderSent)
        (approved,) = scene.of(parent, OrderApproved)
        worst = approved.order.quantity * approved.order.limit_price
        scene.life.ask(Ask.PAUSE, "no more entries, so that it is not offered again")
        await scene.published(parent, OrderRejected, within_s=80)
        await pause(1)
        assert scene.of(parent, IntentClosed)
        assert counted(scene) == 0
        await scene.published(parent, OrderAccepted, within_s=60)
        await pause(0.05)
        while not scene.of(parent, OrderCanceled):
            assert counted(scene) == worst, "it may trade, and so it counts"
            await pause(0.1)
        assert scene.town.exchange.open_orders() == []
        await pause(0.1)
        assert counted(scene) == 0
        assert not scene.life.published(BreakOpened)
        scene.life.ask(Ask.RESUME, "looked at it")

    day(tmp_path, story, retell=patient)


def test_fault_31_one_that_is_filled_before_it_can_be_called_back_is_booked(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("delay", **POST, seconds=90, count=1)
        scene.trouble("delay", method="DELETE", path="/v2/orders/", seconds=8)
        parent = scene.buy(10, "1.5")
        await scene.published(parent, OrderSent)
        scene.life.ask(Ask.PAUSE, "no more entries")
        await scene.published(parent, OrderRejected, within_s=80)
        await scene.published(parent, OrderFilled, within_s=90)
        assert "late_fill" in scene.life.alerts()
        assert scene.filled(parent) == scene.held() == 10
        await scene.agreed()
        scene.life.ask(Ask.RESUME, "looked at it")

    day(tmp_path, story, retell=patient)


def with_policy(policy: Policy) -> Callable[[CoreSettings], CoreSettings]:
    def given(settings: CoreSettings) -> CoreSettings:
        return replace(patient(settings), reconciler=ReconcilerSettings(external=policy))

    return given


def test_fault_32_a_foreign_order_stops_entries_is_not_canceled_and_waits_for_a_person(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        by_hand(scene, 5, "-1", symbol="VEXA")
        await scene.until(lambda: is_mismatched(scene), 70)
        assert [d.kind for d in scene.life.published(BreakOpened)] == ["foreign_order"]
        assert "mismatch" in scene.life.alerts()
        late = scene.buy()
        await pause(120)
        assert scene.posts(late) == 0
        assert len(scene.town.exchange.open_orders()) == 1, "it is nobody's but its owner's"
        scene.life.ask(Ask.RESUME, "go on")
        await pause(5)
        assert "resume_refused" in scene.life.alerts()
        scene.life.ask(Ask.ACCEPT, "mine")
        await scene.normal()
        await scene.published(scene.buy(), OrderFilled)

    day(tmp_path, story, retell=patient, is_checked=False)


@pytest.mark.parametrize("policy", ["adopt", "ignore"])
def test_fault_32_the_policy_may_let_a_foreign_order_be(tmp_path: Path, policy: Policy) -> None:
    async def story(scene: Scene) -> None:
        by_hand(scene, 5, "-1", symbol="VEXA")
        await scene.until(
            lambda: any(d.kind == "foreign_order" for d in scene.life.published(BreakExplained)), 70
        )
        await scene.published(scene.buy(), OrderFilled)
        await scene.agreed()
        assert scene.life.is_at(Level.NORMAL)

    day(tmp_path, story, retell=with_policy(policy), is_checked=False)


@pytest.mark.parametrize("quantity", [10, -5])
def test_fault_82_a_trade_by_hand_is_seen_within_one_period_and_accepted_by_a_person(
    tmp_path: Path, quantity: int
) -> None:
    async def story(scene: Scene) -> None:
        await scene.published(scene.buy(20), OrderFilled)
        await scene.agreed()
        by_hand(scene, quantity, "1" if quantity > 0 else "-1")
        await scene.until(lambda: is_mismatched(scene), 70)
        late = scene.buy()
        await pause(90)
        assert scene.posts(late) == 0
        scene.life.ask(Ask.ACCEPT, "traded by hand")
        await scene.normal()
        (adopted,) = (b for b in scene.life.published(BookAdopted) if b.reason != "first start")
        assert {row.symbol: row.quantity for row in adopted.positions} == {SYMBOL: 20 + quantity}
        await scene.agreed()

    day(tmp_path, story, retell=patient, is_checked=False)


def test_fault_82_a_trade_by_hand_is_taken_over_where_the_policy_says_so(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.published(scene.buy(20), OrderFilled)
        await scene.agreed()
        by_hand(scene, 10)
        await scene.until(lambda: "foreign_trade" in scene.life.alerts(), 70)
        assert not scene.life.published(BreakOpened)
        assert scene.life.is_at(Level.NORMAL)
        await scene.agreed()
        assert scene.held() == 30, "and a stop sells all of it"

    day(tmp_path, story, retell=with_policy("adopt"), is_checked=False)


def test_fault_82_a_trade_by_hand_is_left_alone_where_the_policy_says_so(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.published(scene.buy(20), OrderFilled)
        await scene.agreed()
        by_hand(scene, 10)
        await scene.until(lambda: "foreign_trade" in scene.life.alerts(), 70)
        await scene.published(scene.sell(20), OrderFilled)
        await scene.agreed()
        assert scene.life.published(BooksAgreed)[-1].is_flat, "as far as it is ours"
        await scene.life.stop(300)
        assert scene.held() == 10, "and a stop leaves it where it is"
        scene.life = await scene.town.live()
        await scene.until(lambda: bool(scene.life.published(BooksAgreed)), 60)
        assert not scene.life.published(BreakOpened), "a restart remembers whose it is"

    day(tmp_path, story, retell=with_policy("ignore"), is_checked=False)


def test_fault_33_a_position_mismatch_at_a_start_waits_for_a_person(tmp_path: Path) -> None:
    async def story(town: Town, scene: Scene) -> None:
        await scene.published(scene.buy(20), OrderFilled)
        await scene.agreed()
        await scene.life.crash()
        by_hand(scene, 10)
        await pause(60)
        await again(scene)
        await scene.until(lambda: is_mismatched(scene), 60)
        await pause(200)
        assert {d.symbol for d in scene.life.published(BreakOpened)} == {SYMBOL, ""}
        assert scene.life.entries_sent() == []
        assert not scene.life.is_at(Level.NORMAL)
        await scene.life.crash()

        await again(scene)
        await pause(100)
        assert is_mismatched(scene), "another start changes nothing"
        scene.life.ask(Ask.ACCEPT, "bought by hand while it was down")
        await scene.normal()
        await scene.life.stop(300)
        assert town.exchange.positions() == []

    lives(tmp_path, story)


def test_an_empty_state_directory_adopts_and_protects_and_enters_nothing_until_accepted(
    tmp_path: Path,
) -> None:
    async def story(town: Town, scene: Scene) -> None:
        await scene.published(scene.buy(20), OrderFilled)
        await scene.life.crash()
        town.lose_database()
        # Bought long ago, and since then fallen by more than the stop allows.
        scene.trouble("rewrite", path="/v2/positions", field="avg_entry_price", value="98")
        await again(scene)
        await scene.until(lambda: is_mismatched(scene), 60)
        (adopted,) = scene.life.published(BookAdopted)
        assert [(row.symbol, row.quantity) for row in adopted.positions] == [(SYMBOL, Decimal(20))]
        late = scene.buy(5, symbol="ZORB")
        await scene.published(late, IntentRefused)
        assert scene.life.causes == ("mismatch", "starting")
        await pause(100)
        assert scene.held() == 20, "nobody sells a holding before its owner accepted it"
        (protected,) = scene.life.published(ProtectionStarted)
        assert float(protected.price) in {mark.bid for mark in scene.life.published(Mark)}
        low = float(protected.price) * 0.9
        scene.life.publish("quotes", Mark(SYMBOL, low, low, scene.town.clock.now()))
        await scene.until(lambda: scene.held() == 0, 60)
        stops = [o for o in scene.life.published(OrderApproved) if o.order.role is Role.EXIT]
        assert {(order.order.strategy, order.order.symbol) for order in stops} == {
            ("external", SYMBOL)
        }
        await scene.normal(200)
        await scene.life.stop(300)

    lives(tmp_path, story)


def test_an_empty_state_directory_is_accepted_by_a_person(tmp_path: Path) -> None:
    async def story(town: Town, scene: Scene) -> None:
        await scene.published(scene.buy(20), OrderFilled)
        await scene.life.crash()
        town.lose_database()
        await again(scene)
        await scene.until(lambda: is_mismatched(scene), 60)
        scene.life.ask(Ask.ACCEPT, "these are mine")
        await scene.normal()
        await scene.published(scene.buy(), OrderFilled)
        await scene.life.crash()
        await again(scene)
        await scene.normal(60)  # accepted once is accepted
        await scene.life.stop(300)
        assert town.exchange.positions() == []

    lives(tmp_path, story)


def test_fault_35_a_broker_that_is_down_at_a_start_is_waited_for_and_nothing_opens_on_old_books(
    tmp_path: Path,
) -> None:
    async def story(town: Town, scene: Scene) -> None:
        await scene.published(scene.buy(20), OrderFilled)
        await scene.life.crash()
        for path in ("/v2/account", "/v2/orders", "/v2/positions", "/stream"):
            scene.trouble("status", path=path, status=503)
        await again(scene)
        await scene.until(lambda: "starting" in scene.life.causes)
        await scene.until(lambda: scene.life.published(OrderApproved) == [])
        await pause(300)
        assert "starting" in scene.life.causes
        assert scene.life.entries_sent() == []
        scene.calm()
        await scene.normal(120)
        await scene.life.stop(300)
        check(scene)

    lives(tmp_path, story)


@pytest.mark.parametrize("factor", [2, 0.5])
def test_fault_38_a_quantity_changed_overnight_and_not_announced_is_a_mismatch_nobody_trades_on(
    tmp_path: Path, factor: float
) -> None:
    async def story(town: Town, scene: Scene) -> None:
        await scene.published(scene.buy(20), OrderFilled)
        await scene.agreed()
        await scene.life.crash()
        scene.trouble("rewrite", path="/v2/positions", field="qty", value=str(int(20 * factor)))
        await again(scene)
        await scene.until(lambda: is_mismatched(scene), 60)
        sent = len(town.exchange.orders())
        late = scene.buy()
        await pause(200)
        assert (scene.posts(late), len(town.exchange.orders())) == (0, sent)
        (found,) = scene.life.published(BreakOpened)
        assert (found.kind, found.local, found.reported) == (
            "position", "20", str(int(20 * factor)))  # fmt: skip
        scene.calm()
        await scene.normal(120)
        await scene.life.stop(300)

    lives(tmp_path, story)
