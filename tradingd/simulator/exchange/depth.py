"""One symbol's book: the standing quote, what we have taken of it, and our own orders in their order.

Size that was taken stays taken until the quote really changes, and behind the touch stand synthetic
levels: else one displayed lot would fill any order, and an algorithm would look good for no reason.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

from tradingd.instruments.money import CENT, decimal_of, tick_of
from tradingd.simulator.exchange.orders import ExchangeOrder
from tradingd.simulator.exchange.settings import Asset, ExchangeSettings

COIN_LOT = Decimal("0.000000001")
SHARE_LOT = Decimal(1)
NOTHING = Decimal(0)


class DepthLevel:
    """A price, what was shown there, and what is left of it."""

    __slots__ = ("left", "price", "shown")

    def __init__(self, price: Decimal, shown: Decimal) -> None:
        self.price = price
        self.shown = shown
        self.left = shown


class Working:
    """An open order of ours with what matching needs at hand; `order` is its latest frozen state."""

    __slots__ = (
        "asset", "chain_filled", "group", "has_arrived", "has_rested", "is_buy", "is_elected", "is_parked", "limit",
        "limit_float", "order", "rank", "ready_at", "remaining", "reserve_price", "stop_float",
        "successor", "value",
    )  # fmt: skip

    def __init__(
        self, order: ExchangeOrder, asset: Asset, quantity: Decimal, reserve: Decimal, number: int
    ) -> None:
        self.order = order
        self.asset = asset
        self.is_buy = order.side == "buy"
        self.limit = order.limit_price
        self.limit_float = 0.0 if self.limit is None else float(self.limit)
        self.remaining = quantity
        self.chain_filled = NOTHING
        """What the orders that this one replaces have filled."""
        self.value = NOTHING
        """Quantity times price over all executions: the exact numerator of the average."""
        self.reserve_price = reserve
        self.has_arrived = False
        self.ready_at = 0
        self.has_rested = False
        self.successor: Working | None = None
        self.stop_float = 0.0 if order.stop_price is None else float(order.stop_price)
        """What elects the order; 0 for one that needs no election."""
        self.is_elected = False
        self.is_parked = False
        """Whether it waits beside the market: an unelected stop, a held leg, an auction order."""
        self.group: Group | None = None
        self.rank = _rank(self.is_buy, self.limit, number)

    def set_limit(self, limit: Decimal) -> None:
        """Give a limit that the order object does not show: the cap of a buy stop."""
        self.limit, self.limit_float = limit, float(limit)
        self.rank = _rank(self.is_buy, limit, self.rank[2])

    def set_prices(self, order: ExchangeOrder, limit: Decimal | None) -> None:
        """Take other prices over; who keeps books by rank puts it into its place again."""
        self.order = order
        self.stop_float = 0.0 if order.stop_price is None else float(order.stop_price)
        if limit is not None:
            self.set_limit(limit)

    def is_marketable(self, touch: float) -> bool:
        """Tell whether the other side's touch is within the limit."""
        if self.limit is None:
            return True
        return touch <= self.limit_float if self.is_buy else touch >= self.limit_float

    def accepts(self, price: Decimal) -> bool:
        """Tell whether a price is within the limit."""
        if self.limit is None:
            return True
        return price <= self.limit if self.is_buy else price >= self.limit


def _rank(is_buy: bool, limit: Decimal | None, number: int) -> tuple[int, Decimal, int]:
    """Price, then time: market orders first, then the most generous limit, then the older."""
    if limit is None:
        return (0, NOTHING, number)
    return (1, -limit if is_buy else limit, number)


def _by_rank(working: Working) -> tuple[int, Decimal, int]:
    return working.rank


class Group:
    """Orders that end together: an entry and the legs that wait for it, or two exits of one position."""

    __slots__ = ("entry", "is_ending", "members", "parent")

    def __init__(self, parent: Working, entry: Working | None, members: list[Working]) -> None:
        self.parent = parent
        """Shows the others as its legs."""
        self.entry = entry
        """None once it is filled, and where two exits stand alone."""
        self.members = members
        """The exits."""
        self.is_ending = False


class Band(NamedTuple):
    """Limit down and limit up: what is executed lies between them."""

    low: Decimal
    high: Decimal

    def holds(self, price: Decimal) -> bool:
        """Tell whether a price may be executed."""
        return self.low <= price <= self.high


class DepthSide:
    """One side of the market: the touch, and the ladder behind it once somebody takes from it."""

    __slots__ = ("ladder", "price", "size")

    def __init__(self) -> None:
        self.price = 0.0
        self.size = 0.0
        self.ladder: Ladder | None = None


class DepthBook:
    """The standing quote of a symbol and our open orders in it."""

    __slots__ = (
        "ask", "asset", "band", "bid", "is_crypto", "is_halted", "last", "open", "parked",
        "printed_at", "quoted_at",
    )  # fmt: skip

    def __init__(self, asset: Asset) -> None:
        self.asset = asset
        self.is_crypto = asset.is_crypto
        self.bid = DepthSide()
        self.ask = DepthSide()
        self.quoted_at = 0
        self.open: list[Working] = []
        """Every order that may meet the market, best rank first."""
        self.parked: list[Working] = []
        """Every other one that is not terminal."""
        self.printed_at = 0
        self.last = 0.0
        """The latest print, once there was one."""
        self.is_halted = False
        self.band: Band | None = None

    @property
    def resting(self) -> list[Working]:
        """Return every order that is not terminal."""
        return self.open + self.parked if self.parked else self.open

    def place(self, working: Working) -> None:
        """Put an order into the market by its rank, or beside it."""
        if working.is_parked:
            self.parked.append(working)
        else:
            insort(self.open, working, key=_by_rank)

    def remove(self, working: Working) -> None:
        """Take an order out."""
        (self.parked if working.is_parked else self.open).remove(working)

    @property
    def has_quote(self) -> bool:
        """Tell whether a usable quote has been seen."""
        return self.quoted_at > 0

    def mid(self) -> Decimal | None:
        """Return the middle of the standing quote."""
        if not self.has_quote:
            return None
        return (decimal_of(self.bid.price) + decimal_of(self.ask.price)) / 2

    def takes(self, price: float) -> bool:
        """Tell whether a print at this price could have been with an order of ours."""
        if self.is_halted or not self.bid.price <= price <= self.ask.price:
            return False
        return self.band is None or self.band.holds(decimal_of(price))

    def banded(self, limit: Decimal, price: float) -> Decimal:
        """Return what a resting order pays when a print goes through it: its limit, inside the band."""
        return limit if self.band is None or self.band.holds(limit) else decimal_of(price)

    def ladder(self, is_buy: bool, settings: ExchangeSettings) -> Ladder:
        """Return what a buyer (or seller) can take, nearest first; made once per change of the side."""
        side = self.ask if is_buy else self.bid
        if side.ladder is None:
            side.ladder = Ladder(self.asset, side, is_buy, settings)
        return side.ladder

    def rescale(self, rate: float) -> None:
        """Divide every price: one share became `rate` shares, and nobody quoted since."""
        for side in (self.bid, self.ask):
            side.price, side.size, side.ladder = side.price / rate, side.size * rate, None
        self.last /= rate

    def reprice(self, price: float) -> None:
        """Move the quote to another price with the size that is left: the close of a bar's volume."""
        for side in (self.bid, self.ask):
            left = side.size if side.ladder is None else float(side.ladder.touch.left)
            side.price, side.size, side.ladder = price, left, None


class Ladder:
    """The touch and the synthetic levels behind it, each made when somebody reaches it."""

    __slots__ = ("_asset", "_is_buy", "_levels", "_settings", "touch")

    def __init__(
        self, asset: Asset, side: DepthSide, is_buy: bool, settings: ExchangeSettings
    ) -> None:
        lot = COIN_LOT if asset.is_crypto else SHARE_LOT
        shown = decimal_of(side.size).quantize(lot, ROUND_DOWN)
        self.touch = DepthLevel(decimal_of(side.price), shown)
        self._levels = [self.touch]
        self._asset = asset
        self._is_buy = is_buy
        self._settings = settings

    def __iter__(self) -> Iterator[DepthLevel]:
        number = 0
        while number < len(self._levels) or self._deepen():
            yield self._levels[number]
            number += 1

    def _deepen(self) -> bool:
        """Make the next level; False when there is none."""
        settings, touch, number = self._settings, self.touch, len(self._levels)
        if number > settings.depth_levels:
            return False
        away = _ladder_tick(self._asset.symbol, touch.price) * settings.depth_step_ticks * number
        price = touch.price + away if self._is_buy else touch.price - away
        if price <= 0:
            return False
        lot = COIN_LOT if self._asset.is_crypto else SHARE_LOT
        size = (touch.shown * settings.depth_size_multiple).quantize(lot, ROUND_DOWN)
        self._levels.append(DepthLevel(price, size))
        return True


def _ladder_tick(symbol: str, price: Decimal) -> Decimal:
    """Coins quote in steps of a hundredth of a basis point or a cent, not in their smallest unit."""
    tick = tick_of(symbol, price)
    return CENT if tick < CENT <= price / 1000 else tick
