"""Killed in the middle of a plan, the next life finishes it: exactly its parent's quantity, whatever was in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.app.large_orders import SYMBOL, check_children, wishing
from tests.app.lives import Life, M, Town, in_town
from tradingd.messages import (
    Ask,
    BooksAgreed,
    CancelOrder,
    Envelope,
    IntentApproved,
    IntentClosed,
    Level,
    Mark,
    OrderApproved,
    OrderFilled,
    Role,
)
from tradingd.runtime.virtual_loop import VirtualLoop
from tradingd.wiring import CoreSettings

QUANTITY = 400
Retell = Callable[[CoreSettings], CoreSettings]


def play(
    folder: Path, retell: Retell, story: Callable[[Town, Life], Awaitable[None]], seed: int = 3
) -> None:
    async def playing(loop: VirtualLoop) -> None:
        town = Town(loop, seed, folder, retell=retell)
        await story(town, await town.live())
        await check(town)

    in_town(seed, playing)


async def check(town: Town) -> None:
    """What holds over all lives together: each share once, children within their parent, books equal."""
    rows: list[Envelope] = await town.store.read()
    check_children(rows)
    counted: dict[str, Decimal] = {}
    for envelope in rows:
        if isinstance(fill := envelope.message, OrderFilled):
            counted[fill.order_id] = counted.get(fill.order_id, Decimal(0)) + fill.quantity
    executed = {o.client_order_id: o.filled_qty for o in town.exchange.orders() if o.filled_qty}
    assert counted == executed
    ids = [order.client_order_id for order in town.exchange.orders()]
    assert len(ids) == len(set(ids))
    assert town.exchange.positions() == []
    assert town.exchange.open_orders() == []


async def published(town: Town, kind: type[M]) -> list[M]:
    """Return what is in the log of all lives, once the latest words are durable."""
    await asyncio.sleep(1)
    return [e.message for e in await town.store.read() if isinstance(e.message, kind)]


def entry_children(life: Life) -> list[OrderApproved]:
    return [order for order in life.published(OrderApproved) if order.order.role is Role.ENTRY]


@pytest.mark.parametrize("down_s", [0.5, 4.0])
@pytest.mark.parametrize("algorithm", ["twap:200:20", "iceberg:50:40"])
def test_fault_83_a_plan_killed_after_its_third_slice_finishes_with_exactly_its_parents_quantity(
    tmp_path: Path, algorithm: str, down_s: float
) -> None:
    async def story(town: Town, life: Life) -> None:
        await life.until(lambda: len(entry_children(life)) == 3, 120)
        await life.until(lambda: bool(life.published(OrderFilled)), 30)
        await life.crash()
        before = sum(fill.quantity for fill in await published(town, OrderFilled))
        assert 0 < before < QUANTITY
        await asyncio.sleep(down_s)

        life = await town.live()
        await life.until(lambda: bool(life.published(IntentClosed)), 400)
        (parent,) = await published(town, IntentApproved)
        (closed,) = await published(town, IntentClosed)
        assert (closed.intent_id, closed.reason) == (parent.intent_id, "filled")
        assert closed.filled == parent.quantity == QUANTITY
        assert [row.qty for row in town.exchange.positions()] == [Decimal(QUANTITY)]
        await life.until(lambda: bool(life.published(BooksAgreed)), 60)
        await life.stop(200)

    play(tmp_path, wishing(algorithm), story)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55])
@pytest.mark.parametrize("algorithm", ["twap:200:20", "iceberg:50:40"])
def test_a_plan_killed_while_a_slice_is_on_its_way_never_exceeds_its_parent(
    tmp_path: Path, algorithm: str, turns: int
) -> None:
    async def story(town: Town, life: Life) -> None:
        await life.until(lambda: len(entry_children(life)) == 3, 120)
        for _ in range(turns):
            await asyncio.sleep(0)
        await life.crash()
        await asyncio.sleep(1)
        life = await town.live()
        await life.until(lambda: bool(life.published(IntentClosed)), 400)
        (closed,) = await published(town, IntentClosed)
        held = sum(row.qty for row in town.exchange.positions())
        assert closed.filled == held <= QUANTITY
        await life.stop(200)

    play(tmp_path, wishing(algorithm), story)


def with_a_stop(settings: CoreSettings) -> CoreSettings:
    """Hold something with a stop a breath away, and replace its sale every two seconds."""
    settings = wishing("immediate")(settings)
    router = replace(
        settings.router, stop_loss_pct=Decimal("0.02"), take_profit_pct="off",
        exit_collar_pct=Decimal("0.001"), order_timeout_s=2,
    )  # fmt: skip
    return replace(settings, router=router)


def leaving(life: Life) -> list[OrderApproved]:
    return [order for order in life.published(OrderApproved) if order.order.role is Role.EXIT]


@pytest.mark.parametrize("turns", [0, 3, 10, 30, 100])
def test_a_protective_stop_killed_while_it_is_replaced_leaves_exactly_what_is_held(
    tmp_path: Path, turns: int
) -> None:
    async def story(town: Town, life: Life) -> None:
        await life.until(lambda: sum(r.qty for r in town.exchange.positions()) == QUANTITY, 120)
        town.exchange.halts.halt(SYMBOL, town.clock.now())  # its sale rests, whatever the market
        await life.until(lambda: bool(leaving(life)), 600)
        await life.until(lambda: bool(life.published(CancelOrder)), 60)
        for _ in range(turns):
            await asyncio.sleep(0)
        await life.crash()
        assert sum(r.qty for r in town.exchange.positions()) == QUANTITY, "killed in the middle"
        await asyncio.sleep(1)
        life = await town.live()
        await asyncio.sleep(5)
        town.exchange.halts.resume(SYMBOL, town.clock.now())
        await life.until(lambda: not town.exchange.positions(), 300)
        await life.until(lambda: bool(life.published(BooksAgreed)), 60)
        bought = sum(f.quantity for f in await published(town, OrderFilled) if f.role is Role.ENTRY)
        sold = sum(
            f.quantity for f in await published(town, OrderFilled) if f.role is not Role.ENTRY
        )
        assert bought == sold >= QUANTITY
        await life.stop(200)

    play(tmp_path, with_a_stop, story)


@pytest.mark.parametrize("turns", [0, 2, 5, 10, 20, 40, 80])
def test_a_flatten_killed_in_progress_goes_on_to_flat_and_sells_nothing_twice(
    tmp_path: Path, turns: int
) -> None:
    async def story(town: Town, life: Life) -> None:
        await life.until(lambda: sum(r.qty for r in town.exchange.positions()) == QUANTITY, 120)
        await life.until(lambda: bool(life.published(Mark)), 10)
        life.ask(Ask.FLATTEN, "enough")
        await life.until(lambda: life.is_at(Level.FLATTENING), 5)
        for _ in range(turns):
            await asyncio.sleep(0)
        await life.crash()
        assert town.halt_file.exists()
        await asyncio.sleep(1)
        life = await town.live()
        await life.until(lambda: life.is_at(Level.HALTED), 120)
        assert town.exchange.positions() == []
        sold = [f for f in await published(town, OrderFilled) if f.role is Role.FLATTEN]
        assert sum(fill.quantity for fill in sold) == QUANTITY
        assert life.entries_sent() == []
        await life.stop(200)

    play(tmp_path, wishing("immediate"), story)
