"""Whatever is asked and whatever the market does: the books equal a naive sum of what was told."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.simulator.exchange.venue import MS, NOON, D, exchange, new
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.orders import TERMINAL, TRANSITIONS, Replacement, TradeUpdate
from tradingd.simulator.exchange.refusals import OrderRefusal

SYMBOLS = ("ACMX", "BTC/USD")
LEVELS = 2
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
MULTIPLE = Decimal("1.5")
WORDS = ("market", "limit", "limit", "ioc", "fok", "stop", "trail", "bracket", "oco")


@dataclass(frozen=True)
class Step:
    """One thing that happens: of each kind only the fields it needs are read."""

    kind: str
    symbol: str
    side: str
    size: int
    price: int
    value: str
    pick: int


STEPS = st.builds(
    Step,
    kind=st.sampled_from(
        ["quote"] * 5 + ["order"] * 8 + ["trade", "cancel", "replace", "close", "bar", "wait"]
    ),
    symbol=st.sampled_from(SYMBOLS),
    side=st.sampled_from(["buy", "sell"]),
    size=st.integers(1, 400),
    price=st.integers(95, 105),
    value=st.sampled_from(WORDS),
    pick=st.integers(0, 9),
)
MANNERS = st.fixed_dictionaries(
    {
        "latency_ms": st.sampled_from([0, 7]),
        "fill_latency_ms": st.sampled_from([0, 5]),
        "fill": st.sampled_from(["next_event", "same_event"]),
        "impact_bps": st.sampled_from([D(0), D(25)]),
        "shorting_enabled": st.booleans(),
    }
)


class Witness:
    """Keeps its own naive books from the told events alone."""

    def __init__(self, venue: Exchange) -> None:
        self.cash = venue.settings.cash_usd
        self.held: dict[str, Decimal] = defaultdict(Decimal)
        self.status: dict[str, str] = {}
        self.filled: dict[str, Decimal] = defaultdict(Decimal)
        self.told_qty: dict[str, Decimal] = {}

    def handle(self, update: TradeUpdate) -> None:
        order = update.order
        before = self.status.get(order.id)
        if before is not None and before != order.status:
            assert order.status in TRANSITIONS[before], (before, order.status)  # type: ignore[index]
        self.status[order.id] = order.status
        if update.qty is None or update.price is None:
            return
        is_buy, is_coin = order.side == "buy", "/" in order.symbol
        self.cash += -update.qty * update.price if is_buy else update.qty * update.price
        self.held[order.symbol] += update.qty if is_buy else -update.qty
        if is_coin and is_buy:
            self.held[order.symbol] -= update.fee
        else:
            self.cash -= update.fee
        self.filled[order.id] += update.qty
        assert order.filled_qty == self.filled[order.id]
        assert order.qty is None or order.filled_qty <= order.qty
        assert update.position_qty == self.held[order.symbol]
        if order.limit_price is not None:
            better = update.price <= order.limit_price
            assert better if is_buy else update.price >= order.limit_price


def act(venue: Exchange, step: Step, now: int) -> None:
    coin = step.symbol == "BTC/USD"
    bid, size = float(step.price), step.size / (100 if coin else 1)
    if step.kind == "quote":
        venue.on_quote(step.symbol, bid, size, bid + 0.5, size, now)
    elif step.kind == "bar":
        venue.on_bar(step.symbol, bid, bid + step.pick - 4, size, now)
    elif step.kind == "trade":
        venue.on_trade(step.symbol, bid + step.pick / 10, size, now)
    elif step.kind == "order":
        held = [each.qty for each in venue.positions() if each.symbol == step.symbol]
        if step.side == "sell" and held and step.pick < 6:
            venue.submit(request(step, str(abs(held[0])), coin=coin), now)
        else:
            venue.submit(request(step, str(size), coin=coin), now)
    elif step.kind == "close":
        venue.close_position(step.symbol, now)
    elif step.kind in {"cancel", "replace"} and (orders := venue.open_orders()):
        order = orders[step.pick % len(orders)]
        if step.kind == "cancel":
            venue.cancel(order.id, now)
        else:
            venue.replace(order.id, Replacement(limit_price=D(step.price)), now)


def request(step: Step, size: str, *, coin: bool) -> Any:
    if step.value in {"stop", "trail", "bracket", "oco"}:
        return new(step.symbol, step.side, size, **advanced(step))
    more: dict[str, Any] = {"order_type": "market" if step.value == "market" else "limit"}
    if step.value != "market":
        more["limit_price"] = D(step.price)
    if step.value in {"ioc", "fok"}:
        more["time_in_force"] = "ioc" if coin else step.value
    return new(step.symbol, step.side, size, **more)


def advanced(step: Step) -> dict[str, Any]:
    away = 1 + step.pick % 3
    up, down = D(step.price + away), D(step.price - away)
    stop = up if step.side == "buy" else down
    if step.value == "stop" and step.symbol == "BTC/USD":
        return {"order_type": "stop_limit", "stop_price": stop, "limit_price": stop}
    if step.value == "stop":
        return {"order_type": "stop", "stop_price": stop}
    if step.value == "trail":
        return {"order_type": "trailing_stop", "trail_price": D(away)}
    is_long = (step.side == "buy") == (step.value == "bracket")
    target, guard = (up, down) if is_long else (down, up)
    exits: dict[str, Any] = {"take_profit_limit": target, "stop_loss_stop": guard}
    kind = "limit" if step.value == "oco" or step.pick < 3 else "market"
    price = {"limit_price": D(step.price)} if kind == "limit" and step.value == "bracket" else {}
    return {"order_type": kind, "order_class": step.value, **exits, **price}


def check(venue: Exchange, witness: Witness, now: int) -> None:
    venue.advance(now)
    for update in venue.take_events():
        witness.handle(update)
    account = venue.account(now)
    assert account.cash == witness.cash
    positions = {each.symbol: each for each in venue.positions()}
    for symbol in SYMBOLS:
        held = witness.held[symbol]
        assert (positions[symbol].qty if symbol in positions else 0) == held
        if symbol == "BTC/USD" or not venue.settings.shorting_enabled:
            assert held >= 0
    for position in positions.values():
        assert 0 <= abs(position.qty_available) <= abs(position.qty)
        assert (position.qty_available >= 0) == (position.qty >= 0) or not position.qty_available
    for order in venue.orders():
        assert (order.status in TERMINAL) == (order not in venue.open_orders())


@settings(max_examples=250, phases=PHASES)
@given(MANNERS, st.lists(st.tuples(STEPS, st.integers(0, 12)), min_size=20, max_size=60))
def test_books_equal_the_sum_of_what_was_told(
    manners: dict[str, Any], steps: list[tuple[Step, int]]
) -> None:
    venue = exchange(cash_usd=D(30_000), **manners)
    witness = Witness(venue)
    now = NOON
    for step, pause in steps:
        now += pause * MS
        with suppress(OrderRefusal):
            act(venue, step, now)
        check(venue, witness, now)
    venue.advance(now + 60_000 * MS)
    check(venue, witness, now + 60_000 * MS)


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=12),
    st.integers(1, 300),
    st.sampled_from(["buy", "sell"]),
)
def test_what_is_taken_never_exceeds_what_is_shown_and_stands_behind(
    signals: list[int], shown: int, side: str
) -> None:
    venue = exchange(
        cash_usd=D(10_000_000),
        fill="same_event",
        depth_levels=LEVELS,
        depth_size_multiple=MULTIPLE,
        shorting_enabled=True,
    )
    venue.on_quote("ACMX", 100.0, shown, 100.1, shown, NOON)
    for signal in signals:
        venue.submit(new(side=side, quantity=str(signal)), NOON)
        venue.on_quote("ACMX", 100.0, shown, 100.1, shown, NOON)
    taken = sum((u.qty or D(0) for u in venue.take_events()), D(0))
    behind = int(shown * MULTIPLE) * LEVELS
    assert taken == min(sum(signals), shown + behind)


@settings(max_examples=40)
@given(MANNERS, st.lists(st.tuples(STEPS, st.integers(0, 12)), max_size=30))
def test_the_same_life_is_told_the_same_way(
    manners: dict[str, Any], steps: list[tuple[Step, int]]
) -> None:
    def live() -> list[TradeUpdate]:
        venue = exchange(**manners)
        now = NOON
        for step, pause in steps:
            now += pause * MS
            with suppress(OrderRefusal):
                act(venue, step, now)
        return venue.take_events()

    assert live() == live()
