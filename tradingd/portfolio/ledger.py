"""The ledger: cash and capital beside the positions; exact to the last digit.

One identity holds after every fact, and every rule here and in `state/positions.py` is chosen so that it does:

    cash + sum(quantity * price) = capital + realized + unrealized - fees
    unrealized = sum(quantity * price - cost)

* A fee in dollars leaves cash; the coins of one in coins are sold, and what they fetch pays the fee.
* Cash that moves for other reasons (deposit, withdrawal, dividend, interest) moves capital, not profit.
* What an adopted book changes in worth moves capital.
* A difference the reconciler explained in dollars is a fee (of kind `fee`), or else capital.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tradingd.instruments.money import signed
from tradingd.instruments.units import ZERO
from tradingd.messages import (
    BookAdopted,
    BreakExplained,
    CashMoved,
    CorporateAction,
    FeeCharged,
    OrderFilled,
    TradeBusted,
)
from tradingd.state.positions import USD, Key, Positions, SavedPosition, is_in_dollars


class SavedLedger(msgspec.Struct, frozen=True):
    """The ledger in the checkpoint."""

    is_adopted: bool
    cash: Decimal
    capital: Decimal
    realized: Decimal
    fees: Decimal
    holdings: list[SavedPosition]


class Ledger:
    """Applies the facts that move money or positions; each method returns the keys it changed."""

    def __init__(self) -> None:
        self.is_adopted = False
        self.cash = ZERO
        self.capital = ZERO
        self.realized = ZERO
        self.fees = ZERO
        self.positions = Positions()

    def fill(self, fill: OrderFilled) -> tuple[Key, ...]:
        """Book an execution."""
        return self._trade(fill, signed(fill.side, fill.quantity))

    def bust(self, bust: TradeBusted) -> tuple[Key, ...]:
        """Take an execution back."""
        return self._trade(bust, -signed(bust.side, bust.quantity))

    def fee(self, fee: FeeCharged) -> tuple[Key, ...]:
        """Book a cost of trading, in dollars or in coins (whose sale pays it: cash stays)."""
        position = self.positions.at((fee.strategy, fee.symbol))
        realized, fees = position.realized, position.fees
        keys = self.positions.apply(fee)
        self.realized += position.realized - realized
        self.fees += position.fees - fees
        if fee.asset == USD:
            self.cash -= fee.amount
        return keys

    def move_cash(self, moved: CashMoved) -> tuple[Key, ...]:
        """Book money that is not trading."""
        self.cash += moved.amount
        self.capital += moved.amount
        return ()

    def split(self, action: CorporateAction) -> tuple[Key, ...]:
        """Multiply quantities; what they cost stays."""
        return self._set(action)

    def explain(self, difference: BreakExplained) -> tuple[Key, ...]:
        """Take over a difference that has a reason."""
        if not is_in_dollars(difference):
            return self._set(difference)
        amount = difference.amount
        self.cash += amount
        if difference.kind == "fee":
            self.fees -= amount
        else:
            self.capital += amount
        return ()

    def adopt(self, book: BookAdopted) -> tuple[Key, ...]:
        """Take over the broker's cash and positions."""
        keys = self.positions.apply(book)
        self.is_adopted = True
        self.cash = book.cash
        self.capital = self.cash + self.cost - self.realized + self.fees
        return keys

    @property
    def cost(self) -> Decimal:
        """Return what all open positions cost, in US dollars."""
        return sum((position.cost for position in self.positions.open.values()), ZERO)

    def by_strategy(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Return realized P&L and fees of each strategy."""
        table: dict[str, tuple[Decimal, Decimal]] = {}
        for (strategy, _), position in self.positions.all.items():
            realized, fees = table.get(strategy, (ZERO, ZERO))
            table[strategy] = (realized + position.realized, fees + position.fees)
        return table

    def save(self) -> SavedLedger:
        """Return the ledger in a fixed order."""
        return SavedLedger(
            self.is_adopted, self.cash, self.capital, self.realized, self.fees, self.positions.save()
        )  # fmt: skip

    def load(self, saved: SavedLedger) -> None:
        """Replace the ledger by a saved one."""
        self.is_adopted = saved.is_adopted
        self.cash, self.capital = saved.cash, saved.capital
        self.realized, self.fees = saved.realized, saved.fees
        self.positions.load(saved.holdings)

    def _trade(self, fact: OrderFilled | TradeBusted, quantity: Decimal) -> tuple[Key, ...]:
        position = self.positions.at((fact.strategy, fact.symbol))
        before = position.realized
        keys = self.positions.apply(fact)
        self.realized += position.realized - before
        self.cash -= quantity * fact.price
        return keys

    def _set(self, fact: CorporateAction | BreakExplained) -> tuple[Key, ...]:
        """Change quantities and not cost; where no quantity is left, its cost is a loss."""
        before = {key: position.realized for key, position in self.positions.open.items()}
        keys = self.positions.apply(fact)
        after = self.positions.all
        self.realized += sum(
            (after[key].realized - before[key] for key in keys if key in before), ZERO
        )
        return keys
