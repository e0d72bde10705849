"""The book: cash, and what each strategy holds, cost, realized and paid; exact to the last digit.

One identity holds after every fact, and every rule below is chosen so that it does:

    cash + sum(quantity * price) = capital + realized + unrealized - fees
    unrealized = sum(quantity * price - cost)

* A fill that opens or adds raises cost; one that closes takes a share of the cost (average cost) and
  realizes price * quantity - share; one that crosses zero does both.
* A fee in dollars leaves cash. A fee in coins counts as a sale of those coins at the price of the last
  fill, whose proceeds pay the fee: the average price stays, and the value of the coins is a fee.
* A busted trade is the opposite trade at its price. A split changes quantity and leaves cost alone.
* Cash that moves for other reasons (deposit, withdrawal, dividend, interest) moves capital, not profit.
* An adopted book keeps the owners, at their own cost, of each symbol whose total is the broker's; any other
  belongs to `external`, at the broker's average price. What that changes in worth moves capital.
* A difference the reconciler explained is dollars (of kind `fee`, or else capital), or coins or shares that
  leave cost alone. Whose they are is said in `instruments/ownership.py`, for every book alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from tradingd.instruments.money import signed
from tradingd.instruments.ownership import (
    EXTERNAL,
    coins_of,
    heir_of,
    is_in_dollars,
    keeps_owners,
    split_among,
)
from tradingd.messages import (
    BookAdopted,
    CashMoved,
    CorporateAction,
    DifferenceExplained,
    FeeCharged,
    OrderFilled,
    TradeBusted,
)

ZERO = Decimal(0)
_SHARE_STEP = Decimal("0.000000000001")

Key = tuple[str, str]
"""(strategy, symbol)."""


class Holding:
    """What one strategy holds in one symbol. `cost` has the sign of the quantity."""

    __slots__ = ("cost", "fees", "last_price", "quantity", "realized")

    def __init__(self) -> None:
        self.quantity = ZERO
        self.cost = ZERO
        self.realized = ZERO
        self.fees = ZERO
        self.last_price = ZERO

    @property
    def average_price(self) -> Decimal:
        """Return the average cost of one share or coin; 0 when flat."""
        return self.cost / self.quantity if self.quantity else ZERO

    def trade(self, quantity: Decimal, price: Decimal) -> None:
        """Move by a signed quantity at a price."""
        held = self.quantity
        after = held + quantity
        if held * quantity >= 0:
            self.cost += quantity * price
        elif after * held > 0:
            # Rounded, so that sums stay finite decimals and the identity stays exact.
            share = (self.cost * -quantity / held).quantize(_SHARE_STEP, ROUND_HALF_EVEN)
            self.cost -= share
            self.realized += -quantity * price - share
        else:
            self.realized += held * price - self.cost
            self.cost = after * price
        self.quantity = after
        self.last_price = price


class SavedHolding(msgspec.Struct, frozen=True, array_like=True):
    """A holding in the checkpoint."""

    strategy: str
    symbol: str
    quantity: Decimal
    cost: Decimal
    realized: Decimal
    fees: Decimal
    last_price: Decimal


class SavedLedger(msgspec.Struct, frozen=True):
    """The book in the checkpoint."""

    is_adopted: bool
    cash: Decimal
    capital: Decimal
    realized: Decimal
    fees: Decimal
    holdings: list[SavedHolding]


class Ledger:
    """Folds the facts that move money or positions; each method returns the keys it changed."""

    def __init__(self) -> None:
        self.is_adopted = False
        self.cash = ZERO
        self.capital = ZERO
        self.realized = ZERO
        self.fees = ZERO
        self.holdings: dict[Key, Holding] = {}
        self.open: dict[Key, Holding] = {}
        """The holdings that are not flat."""

    def fill(self, fill: OrderFilled) -> tuple[Key, ...]:
        """Book an execution."""
        key = (fill.strategy, fill.symbol)
        return self._trade(key, signed(fill.side, fill.quantity), fill.price)

    def bust(self, bust: TradeBusted) -> tuple[Key, ...]:
        """Take an execution back."""
        key = (bust.strategy, bust.symbol)
        return self._trade(key, -signed(bust.side, bust.quantity), bust.price)

    def fee(self, fee: FeeCharged) -> tuple[Key, ...]:
        """Book a cost of trading, in dollars or in coins."""
        key = (fee.strategy, fee.symbol)
        holding = self._holding(key)
        amount = fee.amount
        coins = coins_of(fee)
        if coins:
            price = holding.last_price
            self._trade(key, -coins, price)
            amount = coins * price
        self.cash -= amount
        self.fees += amount
        holding.fees += amount
        return (key,)

    def move_cash(self, moved: CashMoved) -> tuple[Key, ...]:
        """Book money that is not trading."""
        self.cash += moved.amount
        self.capital += moved.amount
        return ()

    def split(self, action: CorporateAction) -> tuple[Key, ...]:
        """Multiply quantities; what they cost stays."""
        after = split_among(self._holders(action.symbol), action.ratio)
        keys = tuple((strategy, action.symbol) for strategy in sorted(after))
        for key in keys:
            holding = self.open[key]
            holding.last_price /= action.ratio
            self._put(key, after[key[0]], holding.cost)
        return keys

    def explain(self, difference: DifferenceExplained) -> tuple[Key, ...]:
        """Take over a difference that has a reason."""
        amount = difference.amount
        if not is_in_dollars(difference):
            key = (heir_of(self._holders(difference.symbol)), difference.symbol)
            holding = self._holding(key)
            self._put(key, holding.quantity + amount, holding.cost)
            return (key,)
        self.cash += amount
        if difference.kind == "fee":
            self.fees -= amount
        else:
            self.capital += amount
        return ()

    def adopt(self, book: BookAdopted) -> tuple[Key, ...]:
        """Take over the broker's cash and positions."""
        theirs = {position.symbol: position.quantity for position in book.positions}
        kept = {
            symbol
            for symbol, quantity in theirs.items()
            if keeps_owners(self._holders(symbol), quantity)
        }
        changed = sorted(key for key in self.open if key[1] not in kept)
        for key in changed:
            holding = self.open.pop(key)
            holding.quantity = holding.cost = ZERO
        for position in book.positions:
            if position.symbol in kept:
                continue
            key = (EXTERNAL, position.symbol)
            self._holding(key).last_price = position.average_price
            self._put(key, position.quantity, position.quantity * position.average_price)
            changed.append(key)
        self.is_adopted = True
        self.cash = book.cash
        self.capital = self.cash + self.cost - self.realized + self.fees
        return tuple(dict.fromkeys(changed))

    @property
    def cost(self) -> Decimal:
        """Return what all open holdings cost."""
        return sum((holding.cost for holding in self.open.values()), ZERO)

    def by_strategy(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Return realized P&L and fees of each strategy."""
        table: dict[str, tuple[Decimal, Decimal]] = {}
        for (strategy, _), holding in self.holdings.items():
            realized, fees = table.get(strategy, (ZERO, ZERO))
            table[strategy] = (realized + holding.realized, fees + holding.fees)
        return table

    def save(self) -> SavedLedger:
        """Return the book in a fixed order."""
        return SavedLedger(
            self.is_adopted, self.cash, self.capital, self.realized, self.fees, list(self._rows())
        )

    def load(self, saved: SavedLedger) -> None:
        """Replace the book by a saved one."""
        self.is_adopted = saved.is_adopted
        self.cash, self.capital = saved.cash, saved.capital
        self.realized, self.fees = saved.realized, saved.fees
        self.holdings, self.open = {}, {}
        for row in saved.holdings:
            key = (row.strategy, row.symbol)
            holding = self._holding(key)
            holding.realized, holding.fees = row.realized, row.fees
            holding.last_price = row.last_price
            self._put(key, row.quantity, row.cost)

    def _rows(self) -> Iterator[SavedHolding]:
        for (strategy, symbol), each in sorted(self.holdings.items(), key=lambda item: item[0]):
            yield SavedHolding(
                strategy, symbol, each.quantity, each.cost, each.realized, each.fees, each.last_price
            )  # fmt: skip

    def _holding(self, key: Key) -> Holding:
        holding = self.holdings.get(key)
        if holding is None:
            holding = self.holdings[key] = Holding()
        return holding

    def _holders(self, symbol: str) -> dict[str, Decimal]:
        return {key[0]: each.quantity for key, each in self.open.items() if key[1] == symbol}

    def _trade(self, key: Key, quantity: Decimal, price: Decimal) -> tuple[Key, ...]:
        holding = self._holding(key)
        before = holding.realized
        holding.trade(quantity, price)
        self.cash -= quantity * price
        self.realized += holding.realized - before
        self._note(key, holding)
        return (key,)

    def _put(self, key: Key, quantity: Decimal, cost: Decimal) -> None:
        """Set a position; cost that has no quantity left to stand for is realized as a loss."""
        holding = self._holding(key)
        holding.quantity, holding.cost = quantity, cost
        if not quantity and cost:
            holding.realized -= cost
            self.realized -= cost
            holding.cost = ZERO
        self._note(key, holding)

    def _note(self, key: Key, holding: Holding) -> None:
        if holding.quantity:
            self.open[key] = holding
        else:
            self.open.pop(key, None)
