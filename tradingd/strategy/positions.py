"""What strategies see of their positions: by fills, so that a decision never waits for the ledger's word."""

from __future__ import annotations

from decimal import Decimal

from tradingd.instruments.units import ZERO
from tradingd.messages import Message, Side
from tradingd.state.positions import Key, Positions, SavedPosition
from tradingd.strategy.protocol import PositionView


class PositionViews:
    """The positions of all strategies, and one view of each that stays the same object."""

    def __init__(self) -> None:
        self.positions = Positions()
        self._views: dict[Key, PositionView] = {}

    def view(self, strategy: str, symbol: str) -> PositionView:
        """Return the one view of a strategy's position in a symbol."""
        key = (strategy, symbol)
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = PositionView()
        return view

    def apply(self, fact: Message) -> None:
        """Take a fact in and show what it changed."""
        for key in self.positions.apply(fact):
            self._show(key)

    def load(self, rows: list[SavedPosition]) -> None:
        """Replace the positions by saved ones; views already handed out follow."""
        self.positions.load(rows)
        for key in [*self._views, *self.positions.open]:
            self._show(key)

    def _show(self, key: Key) -> None:
        # Not `at`: a view that was only asked for must leave no row in the checkpoint.
        position, view = self.positions.open.get(key), self.view(*key)
        view.quantity = ZERO if position is None else position.quantity
        view.average_price = ZERO if position is None else position.average_price
        view.is_flat = position is None
        view.is_long = view.quantity > 0


def reduces(side: Side, held: Decimal) -> bool:
    """Tell whether a trade of this side brings a position nearer to flat."""
    return held > 0 if side is Side.SELL else held < 0
