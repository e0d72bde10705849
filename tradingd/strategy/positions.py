"""Who holds what, by fills: the strategies' own book, so that a decision never waits for the ledger's.

The host hears fills, fees and busts in the same order as the ledger does and folds them the same way.
"""

from __future__ import annotations

from decimal import Decimal

from tradingd.instruments.money import signed
from tradingd.instruments.units import ZERO
from tradingd.messages import (
    BookAdopted,
    CorporateAction,
    DifferenceExplained,
    FeeCharged,
    OrderFilled,
    Side,
    TradeBusted,
)
from tradingd.state.positions import (
    EXTERNAL,
    coins_of,
    heir_of,
    is_in_dollars,
    keeps_owners,
    split_among,
)
from tradingd.strategy.protocol import PositionView


class PositionBook:
    """(strategy, symbol) -> what it holds. A view once handed out stays the same object."""

    def __init__(self) -> None:
        self._views: dict[tuple[str, str], PositionView] = {}

    def view(self, strategy: str, symbol: str) -> PositionView:
        """Return the one view of a strategy's position in a symbol."""
        key = (strategy, symbol)
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = PositionView()
        return view

    def fill(self, fill: OrderFilled) -> None:
        """Move a position by an execution."""
        self._trade(fill.strategy, fill.symbol, signed(fill.side, fill.quantity), fill.price)

    def bust(self, bust: TradeBusted) -> None:
        """Take an execution back: the opposite trade at the same price."""
        quantity = -signed(bust.side, bust.quantity)
        self._trade(bust.strategy, bust.symbol, quantity, bust.price)

    def fee(self, fee: FeeCharged) -> None:
        """Take a fee charged in coins out of the position; dollars do not touch it."""
        coins = coins_of(fee)
        if coins:
            view = self.view(fee.strategy, fee.symbol)
            _put(view, view.quantity - coins, view.average_price)

    def split(self, action: CorporateAction) -> None:
        """Multiply every holder's quantity and divide its price."""
        after = split_among(self._holders(action.symbol), action.ratio)
        for strategy, quantity in after.items():
            view = self.view(strategy, action.symbol)
            _put(view, quantity, view.average_price / action.ratio)

    def explain(self, difference: DifferenceExplained) -> None:
        """Take over a difference in coins or shares; dollars do not touch a position."""
        if not is_in_dollars(difference):
            heir = heir_of(self._holders(difference.symbol))
            view = self.view(heir, difference.symbol)
            _put(view, view.quantity + difference.amount, view.average_price)

    def adopt(self, book: BookAdopted) -> None:
        """Take the broker's book (`state/positions.py` says whose each position is)."""
        theirs = {position.symbol: position for position in book.positions}
        kept = {
            symbol
            for symbol, position in theirs.items()
            if keeps_owners(self._holders(symbol), position.quantity)
        }
        for (_, symbol), view in self._views.items():
            if symbol not in kept:
                _put(view, ZERO, ZERO)
        for symbol in theirs.keys() - kept:
            position = theirs[symbol]
            _put(self.view(EXTERNAL, symbol), position.quantity, position.average_price)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return every open position in a fixed order."""
        return [
            (strategy, symbol, str(view.quantity), str(view.average_price))
            for (strategy, symbol), view in sorted(self._views.items())
            if not view.is_flat
        ]

    def restore(self, rows: list[tuple[str, str, str, str]]) -> None:
        """Replace the book by saved rows; views already handed out follow."""
        for view in self._views.values():
            _put(view, ZERO, ZERO)
        for strategy, symbol, quantity, price in rows:
            _put(self.view(strategy, symbol), Decimal(quantity), Decimal(price))

    def _holders(self, symbol: str) -> dict[str, Decimal]:
        return {
            strategy: view.quantity
            for (strategy, held), view in self._views.items()
            if held == symbol and not view.is_flat
        }

    def _trade(self, strategy: str, symbol: str, quantity: Decimal, price: Decimal) -> None:
        view = self.view(strategy, symbol)
        held = view.quantity
        after = held + quantity
        average = view.average_price
        if held * quantity >= 0:
            average = (held * average + quantity * price) / after if after else ZERO
        elif held * after < 0:
            average = price
        _put(view, after, average)


def _put(view: PositionView, quantity: Decimal, average_price: Decimal) -> None:
    view.quantity = quantity
    view.is_flat = not quantity
    view.is_long = quantity > 0
    view.average_price = average_price if quantity else ZERO


def reduces(side: Side, held: Decimal) -> bool:
    """Tell whether a trade of this side brings a position nearer to flat."""
    return held > 0 if side is Side.SELL else held < 0
