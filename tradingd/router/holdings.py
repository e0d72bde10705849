"""Positions as the router protects them: per strategy and symbol, with the average price and its stops.

The router applies the same facts as the ledger, because an exit must not wait for another actor's view.
The two trigger prices of a position are kept as floats, so that a mark costs two comparisons.

What was adopted is measured from the first bid after its adoption, never from what it cost: a holding of
years that stands below its average would be sold before its owner had accepted anything.
"""

from __future__ import annotations

import math
from decimal import Decimal

import msgspec

from tradingd import messages as m
from tradingd.instruments.units import ZERO
from tradingd.messages import Side
from tradingd.router.settings import RouterSettings
from tradingd.state.ids import by_age
from tradingd.state.positions import (
    EXTERNAL,
    coins_of,
    heir_of,
    holders_after,
    is_in_dollars,
    keeps_owners,
    price_after,
)

PLANS_MAX = 256


class ProtectedHolding(msgspec.Struct):
    """One strategy's position in one symbol."""

    quantity: Decimal
    average_price: Decimal
    """Of an adopted position the price it was adopted at, 0 until that is known."""
    stop_price: Decimal | None = None
    target_price: Decimal | None = None


class Trigger(msgspec.Struct, frozen=True):
    """Leave at or below `low`, at or above `high`."""

    strategy: str
    low: float
    high: float


Plan = tuple[Decimal | None, Decimal | None]


class HoldingsState(msgspec.Struct):
    """The durable part."""

    positions: dict[str, dict[str, ProtectedHolding]] = {}
    plans: dict[str, Plan] = {}


class Holdings:
    """Symbol -> strategy -> holding, and what would make us leave."""

    def __init__(self, settings: RouterSettings) -> None:
        self._settings = settings
        self.take(HoldingsState())

    def take(self, state: HoldingsState) -> None:
        """Take up a saved state."""
        self.positions = state.positions
        self._plans = state.plans
        self.triggers: dict[str, tuple[Trigger, ...]] = {}
        self.unpriced: set[str] = set()
        """Symbols with an adopted position that waits for the price its protection starts at."""
        for symbol in self.positions:
            self._aim(symbol)

    def state(self) -> HoldingsState:
        """Return what must survive."""
        return HoldingsState(self.positions, self._plans)

    def line_up(self) -> None:
        """Put the plans in the one order that follows from their names, as a new run begins."""
        self._plans = dict(sorted(self._plans.items(), key=by_age))

    def get(self, strategy: str, symbol: str) -> ProtectedHolding | None:
        """Return one holding."""
        return self.positions.get(symbol, {}).get(strategy)

    def plan(self, approved: m.IntentApproved) -> None:
        """Remember the stop and target an entry named, for its fills."""
        if approved.intent.stop_price is None and approved.intent.target_price is None:
            return
        self._plans[approved.intent_id] = (
            approved.intent.stop_price,
            approved.intent.target_price,
        )
        if len(self._plans) > PLANS_MAX:
            del self._plans[next(iter(self._plans))]

    def fill(self, fact: m.OrderFilled) -> None:
        """Move a position by an execution."""
        signed = fact.quantity if fact.side is Side.BUY else -fact.quantity
        holding = self._move(fact.strategy, fact.symbol, signed, fact.price)
        plan = self._plans.get(fact.intent_id)
        if holding is not None and plan is not None:
            holding.stop_price, holding.target_price = plan
        self._aim(fact.symbol)

    def bust(self, fact: m.TradeBusted) -> None:
        """Take an execution back; the average of the rest stays what it was."""
        signed = -fact.quantity if fact.side is Side.BUY else fact.quantity
        self._shift(fact.strategy, fact.symbol, signed)

    def charge(self, fact: m.FeeCharged) -> None:
        """Lose the coins a fee took."""
        coins = coins_of(fact)
        if coins:
            self._shift(fact.strategy, fact.symbol, -coins)

    def split(self, fact: m.CorporateAction) -> None:
        """Multiply quantities and divide prices."""
        holders = self.positions.pop(fact.symbol, {})
        after = holders_after(fact, _quantities(holders))
        kept = {strategy: holders[strategy] for strategy, quantity in after.items() if quantity}
        if kept:
            self.positions[fact.symbol] = kept
        for strategy, holding in kept.items():
            holding.quantity = after[strategy]
            holding.average_price = price_after(fact, holding.average_price)
            if holding.stop_price is not None:
                holding.stop_price = price_after(fact, holding.stop_price)
            if holding.target_price is not None:
                holding.target_price = price_after(fact, holding.target_price)
        self._aim(fact.symbol)

    def adopt(self, fact: m.BookAdopted) -> None:
        """Take the broker's book (`state/positions.py` says whose each position is); who keeps one keeps its stops."""
        local, self.positions, self.triggers, self.unpriced = self.positions, {}, {}, set()
        for reported in fact.positions:
            holders = local.get(reported.symbol, {})
            if not keeps_owners(_quantities(holders), reported.quantity):
                holders = {EXTERNAL: ProtectedHolding(reported.quantity, ZERO)}
            if reported.quantity:
                self.positions[reported.symbol] = holders
                self._aim(reported.symbol)

    def start_protection(self, fact: m.ProtectionStarted) -> None:
        """Measure an adopted position from here on."""
        holding = self.get(fact.strategy, fact.symbol)
        if holding is not None:
            holding.average_price = fact.price
            self._aim(fact.symbol)

    def explain(self, fact: m.BreakExplained) -> None:
        """Take over explained coins or shares."""
        if not is_in_dollars(fact):
            heir = heir_of(_quantities(self.positions.get(fact.symbol, {})))
            self._shift(heir, fact.symbol, fact.amount)

    def _shift(self, strategy: str, symbol: str, signed: Decimal) -> None:
        before = self.get(strategy, symbol)
        price = before.average_price if before else ZERO
        self._move(strategy, symbol, signed, price)
        self._aim(symbol)

    def _move(
        self, strategy: str, symbol: str, signed: Decimal, price: Decimal
    ) -> ProtectedHolding | None:
        holders = self.positions.setdefault(symbol, {})
        holding = holders.setdefault(strategy, ProtectedHolding(ZERO, price))
        before, after = holding.quantity, holding.quantity + signed
        if before * signed > 0:
            cost = before * holding.average_price + signed * price
            holding.average_price = cost / after
        elif before * after <= 0:
            holding.average_price = price  # opened, or turned over
        holding.quantity = after
        if after:
            return holding
        del holders[strategy]
        if not holders:
            del self.positions[symbol]
        return None

    def _aim(self, symbol: str) -> None:
        holders = self.positions.get(symbol, {})
        adopted = holders.get(EXTERNAL)
        is_unpriced = adopted is not None and adopted.quantity > 0 and not adopted.average_price
        (self.unpriced.add if is_unpriced else self.unpriced.discard)(symbol)
        aimed = tuple(
            self._trigger(strategy, holding)
            for strategy, holding in sorted(holders.items())
            if holding.quantity > 0 and not (is_unpriced and strategy == EXTERNAL)
        )
        if aimed:
            self.triggers[symbol] = aimed
        else:
            self.triggers.pop(symbol, None)

    def _trigger(self, strategy: str, holding: ProtectedHolding) -> Trigger:
        stop, target = holding.stop_price, holding.target_price
        loss, profit = self._settings.stop_loss_pct, self._settings.take_profit_pct
        if strategy == EXTERNAL:
            profit = "off"  # nobody of ours wanted it: it is protected, and not traded
        if stop is None and isinstance(loss, Decimal):
            stop = holding.average_price * (1 - loss / 100)
        if target is None and isinstance(profit, Decimal):
            target = holding.average_price * (1 + profit / 100)
        return Trigger(
            strategy,
            -math.inf if stop is None else float(stop),
            math.inf if target is None else float(target),
        )


def _quantities(holders: dict[str, ProtectedHolding]) -> dict[str, Decimal]:
    return {strategy: holding.quantity for strategy, holding in holders.items()}
