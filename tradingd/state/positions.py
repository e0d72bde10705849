"""What each strategy holds: quantity, cost, average price, and whose it is where a fact names no owner.

One class for every actor; each holds its own instance. Average cost, in exact decimals:

* A fill that opens or adds raises cost; one that closes takes a share of the cost and realizes
  price * quantity - share; one that crosses zero does both. A bust is the opposite trade at its price.
* A fee in coins is a sale of those coins at the price of the last fill: the average price stays, and the
  value of the coins is a fee. A fee in dollars moves no position.
* A split changes quantity and leaves cost alone, and so does an explained difference in shares or coins.
* An adopted book keeps the owners, at their own cost, of each symbol whose total is the broker's; any other
  belongs to `external`, at the broker's average price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec

from tradingd.instruments.money import SHARE_STEP, after_split, signed, trimmed
from tradingd.instruments.units import ZERO
from tradingd.messages import (
    BookAdopted,
    BreakExplained,
    CorporateAction,
    FeeCharged,
    Message,
    OrderFilled,
    TradeBusted,
)

EXTERNAL = "external"
"""The owner of what no strategy of ours holds: flattened with the rest, traded by nobody."""

CASH_KINDS = frozenset({"fee", "cash"})
"""Kinds of explained difference whose amount is US dollars; any other is in shares or coins."""

USD = "USD"
_COST_STEP = Decimal("0.000000000001")

KINDS = (OrderFilled, TradeBusted, FeeCharged, CorporateAction, BreakExplained, BookAdopted)
"""The messages that may change a position."""

Key = tuple[str, str]
"""(strategy, symbol)."""


def is_in_dollars(difference: BreakExplained) -> bool:
    """Tell whether an explained difference moves cash; else it moves a position."""
    return difference.kind in CASH_KINDS or difference.symbol in {"", USD}


def coins_of(fee: FeeCharged) -> Decimal:
    """Return what a fee takes out of the position; nothing when it is paid in dollars."""
    return ZERO if fee.asset == USD else fee.amount


def heir_of(holders: Mapping[str, Decimal]) -> str:
    """Return whose an explained difference in a symbol is: its only holder's, else nobody's of ours."""
    owners = [owner for owner, quantity in holders.items() if quantity]
    return owners[0] if len(owners) == 1 else EXTERNAL


def keeps_owners(holders: Mapping[str, Decimal], adopted: Decimal) -> bool:
    """Tell whether a symbol of an adopted book stays with its owners.

    It does where their total is what the broker has. Else nobody knows whose the difference is, and the
    whole of it becomes external: two owners of opposite sign in one symbol would trade with each other.
    """
    return bool(adopted) and sum(holders.values(), ZERO) == adopted


def split_among(holders: Mapping[str, Decimal], ratio: Decimal) -> dict[str, Decimal]:
    """Return what each holder has after a split: together exactly what the broker then has.

    The broker rounds the total once. Rounded one by one, three holders of ten shares each would have
    9.999999999 together after one for three: a rest nobody sells, or elsewhere a sale of what is not there.
    So each part is cut off at nine places, and what that leaves goes to those who lost most, a step each.
    """
    exact = {owner: quantity * ratio for owner, quantity in holders.items()}
    cut = {owner: share.quantize(SHARE_STEP, ROUND_FLOOR) for owner, share in exact.items()}
    total = after_split(sum(holders.values(), ZERO), ratio)
    steps = int((total - sum(cut.values(), ZERO)) / SHARE_STEP)
    for owner in sorted(cut, key=lambda each: (cut[each] - exact[each], each))[:steps]:
        cut[owner] += SHARE_STEP
    return {owner: trimmed(share) for owner, share in cut.items()}


def holders_after(action: CorporateAction, holders: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return what each holder has after a corporate action."""
    return split_among(holders, action.ratio)


def total_after(action: CorporateAction, quantity: Decimal) -> Decimal:
    """Return what the account has after a corporate action, as the broker rounds it."""
    return after_split(quantity, action.ratio)


def price_after(action: CorporateAction, price: Decimal) -> Decimal:
    """Return a price of ours (a stop, a target, an average) after a corporate action."""
    return price / action.ratio


def market_price_after(action: CorporateAction, price: float) -> float:
    """Return a price of the market after a corporate action."""
    return price / float(action.ratio)


class HeldPosition:
    """What one strategy holds in one symbol, in shares or coins and US dollars.

    `cost` has the sign of the quantity; `last_price` is that of the latest trade.
    """

    __slots__ = ("cost", "fees", "last_price", "quantity", "realized")

    def __init__(self) -> None:
        self.quantity = ZERO
        self.cost = ZERO
        self.realized = ZERO
        self.fees = ZERO
        self.last_price = ZERO

    @property
    def average_price(self) -> Decimal:
        """Return the average cost of one share or coin in US dollars; 0 when flat."""
        return self.cost / self.quantity if self.quantity else ZERO

    def trade(self, quantity: Decimal, price: Decimal) -> None:
        """Move by a signed quantity at a price."""
        held = self.quantity
        after = held + quantity
        if held * quantity >= 0:
            self.cost += quantity * price
        elif after * held > 0:
            # Rounded, so that sums stay finite decimals and the ledger's identity stays exact.
            share = (self.cost * -quantity / held).quantize(_COST_STEP, ROUND_HALF_EVEN)
            self.cost -= share
            self.realized += -quantity * price - share
        else:
            self.realized += held * price - self.cost
            self.cost = after * price
        self.quantity = after
        self.last_price = price

    def put(self, quantity: Decimal, cost: Decimal) -> None:
        """Set quantity and cost; cost that has no quantity left to stand for is realized as a loss."""
        if not quantity:
            self.realized -= cost
            cost = ZERO
        self.quantity, self.cost = quantity, cost


class SavedPosition(msgspec.Struct, frozen=True, array_like=True):
    """A position in a checkpoint."""

    strategy: str
    symbol: str
    quantity: Decimal
    cost: Decimal
    realized: Decimal
    fees: Decimal
    last_price: Decimal


class Positions:
    """(strategy, symbol) -> position, changed by facts only."""

    def __init__(self) -> None:
        self.all: dict[Key, HeldPosition] = {}
        """Every position there ever was: the flat ones keep what they realized."""
        self.open: dict[Key, HeldPosition] = {}
        self._holders: dict[str, dict[str, HeldPosition]] = {}
        self._on: dict[type[Message], Callable[[Any], tuple[Key, ...]]] = {
            OrderFilled: self._fill,
            TradeBusted: self._bust,
            FeeCharged: self._charge,
            CorporateAction: self._split,
            BreakExplained: self._explain,
            BookAdopted: self._adopt,
        }

    def apply(self, fact: Message) -> tuple[Key, ...]:
        """Take a fact in and return the keys of the positions it concerns; none for any other message."""
        change = self._on.get(type(fact))
        return () if change is None else change(fact)

    def at(self, key: Key) -> HeldPosition:
        """Return the position of (strategy, symbol), flat if there never was one."""
        position = self.all.get(key)
        if position is None:
            position = self.all[key] = HeldPosition()
        return position

    def holders(self, symbol: str) -> dict[str, Decimal]:
        """Return strategy -> signed quantity of those who hold a symbol."""
        return {owner: each.quantity for owner, each in self._holders.get(symbol, {}).items()}

    def save(self) -> list[SavedPosition]:
        """Return all positions in a fixed order."""
        return list(self._rows())

    def load(self, rows: list[SavedPosition]) -> None:
        """Replace all positions by saved ones."""
        self.all, self.open, self._holders = {}, {}, {}
        for row in rows:
            key = (row.strategy, row.symbol)
            position = self.at(key)
            position.quantity, position.cost = row.quantity, row.cost
            position.realized, position.fees = row.realized, row.fees
            position.last_price = row.last_price
            self._index(key, position)

    def _rows(self) -> Iterator[SavedPosition]:
        for (strategy, symbol), each in sorted(self.all.items(), key=lambda item: item[0]):
            yield SavedPosition(
                strategy, symbol, each.quantity, each.cost, each.realized, each.fees, each.last_price
            )  # fmt: skip

    def _fill(self, fill: OrderFilled) -> tuple[Key, ...]:
        key = (fill.strategy, fill.symbol)
        return self._trade(key, signed(fill.side, fill.quantity), fill.price)

    def _bust(self, bust: TradeBusted) -> tuple[Key, ...]:
        key = (bust.strategy, bust.symbol)
        return self._trade(key, -signed(bust.side, bust.quantity), bust.price)

    def _charge(self, fee: FeeCharged) -> tuple[Key, ...]:
        key = (fee.strategy, fee.symbol)
        position = self.at(key)
        coins = coins_of(fee)
        if not coins:
            position.fees += fee.amount
            return (key,)
        position.fees += coins * position.last_price
        return self._trade(key, -coins, position.last_price)

    def _split(self, action: CorporateAction) -> tuple[Key, ...]:
        after = holders_after(action, self.holders(action.symbol))
        for owner, quantity in sorted(after.items()):
            position = self.all[owner, action.symbol]
            position.last_price = price_after(action, position.last_price)
            self._put((owner, action.symbol), quantity, position.cost)
        return tuple((owner, action.symbol) for owner in sorted(after))

    def _explain(self, difference: BreakExplained) -> tuple[Key, ...]:
        if is_in_dollars(difference):
            return ()
        key = (heir_of(self.holders(difference.symbol)), difference.symbol)
        position = self.at(key)
        return self._put(key, position.quantity + difference.amount, position.cost)

    def _adopt(self, book: BookAdopted) -> tuple[Key, ...]:
        taken = [row for row in book.positions if not self._keeps(row.symbol, row.quantity)]
        kept = {row.symbol for row in book.positions} - {row.symbol for row in taken}
        changed = sorted(key for key in self.open if key[1] not in kept)
        for key in changed:
            self._put(key, ZERO, ZERO)
        for row in taken:
            key = (EXTERNAL, row.symbol)
            self.at(key).last_price = row.average_price
            changed += self._put(key, row.quantity, row.quantity * row.average_price)
        return tuple(dict.fromkeys(changed))

    def _keeps(self, symbol: str, adopted: Decimal) -> bool:
        return keeps_owners(self.holders(symbol), adopted)

    def _trade(self, key: Key, quantity: Decimal, price: Decimal) -> tuple[Key, ...]:
        position = self.at(key)
        position.trade(quantity, price)
        return self._index(key, position)

    def _put(self, key: Key, quantity: Decimal, cost: Decimal) -> tuple[Key, ...]:
        position = self.at(key)
        position.put(quantity, cost)
        return self._index(key, position)

    def _index(self, key: Key, position: HeldPosition) -> tuple[Key, ...]:
        strategy, symbol = key
        if position.quantity:
            self.open[key] = position
            self._holders.setdefault(symbol, {})[strategy] = position
        elif self.open.pop(key, None) is not None:
            holders = self._holders[symbol]
            del holders[strategy]
            if not holders:
                del self._holders[symbol]
        return (key,)
