"""Cash and positions after every execution, exact in `Decimal`, and the activities that prove it.

The only place of the exchange that moves money, so the only place that can be wrong about it.
"""

from __future__ import annotations

from decimal import Decimal

from tradingd.instruments.money import after_split, crypto_fee
from tradingd.instruments.units import ZERO
from tradingd.messages import Side


class AccountHolding:
    """One position: signed quantity and the average price it was entered at."""

    __slots__ = ("average", "quantity")

    def __init__(self) -> None:
        self.quantity = ZERO
        self.average = ZERO


class AccountLedger:
    """The account's books."""

    __slots__ = ("cash", "holdings", "lastday")

    def __init__(self, cash: Decimal) -> None:
        self.cash = cash
        self.holdings: dict[str, AccountHolding] = {}
        self.lastday: dict[str, Decimal] = {}
        """The latest close of each symbol, where one was seen."""

    def quantity(self, symbol: str) -> Decimal:
        """Return the signed position."""
        holding = self.holdings.get(symbol)
        return holding.quantity if holding is not None else ZERO

    def trade(
        self, symbol: str, is_buy: bool, quantity: Decimal, price: Decimal, rate: Decimal | None
    ) -> tuple[Decimal, Decimal]:
        """Book one execution; return (position after, fee). A rate marks a coin: its fee is taken
        from what is received, coins on a buy and US dollars on a sale."""
        fee = ZERO
        if rate is not None:
            fee = crypto_fee(Side.BUY if is_buy else Side.SELL, quantity, price, rate)
        value = quantity * price
        if is_buy:
            self.cash -= value
            moved = quantity if rate is None else quantity - fee
        else:
            self.cash += value - fee
            moved = -quantity
        return self._move(symbol, moved, price, is_coin=rate is not None), fee

    def split(self, symbol: str, rate: Decimal) -> None:
        """Make one share `rate` shares at the same value."""
        if symbol in self.lastday:
            self.lastday[symbol] /= rate
        holding = self.holdings.get(symbol)
        if holding is not None:
            holding.quantity = after_split(holding.quantity, rate)
            holding.average /= rate

    def take_back(
        self, symbol: str, is_buy: bool, quantity: Decimal, price: Decimal, fee: Decimal
    ) -> Decimal:
        """Undo an execution with its fee; return the position after it."""
        is_coin = bool(fee) or "/" in symbol
        value = quantity * price
        if is_buy:
            self.cash += value
            return self._move(symbol, fee - quantity, price, is_coin=is_coin)
        self.cash -= value - fee
        return self._move(symbol, quantity, price, is_coin=is_coin)

    def _move(self, symbol: str, moved: Decimal, price: Decimal, *, is_coin: bool) -> Decimal:
        holding = self.holdings.get(symbol)
        if holding is None:
            holding = self.holdings[symbol] = AccountHolding()
        before = holding.quantity
        after = before + moved
        assert not (is_coin and after < 0), f"{symbol}: coins cannot be owed, {after} would be"
        if before == 0 or (before > 0) != (after > 0):
            holding.average = price
        elif abs(after) > abs(before):
            holding.average = (holding.average * before + price * moved) / after
        holding.quantity = after
        if after == 0:
            del self.holdings[symbol]
        return after
