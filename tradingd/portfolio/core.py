"""The portfolio's actor: applies fills, fees and marks, and says positions, equity and the day's base.

A mark costs one dictionary entry; decimals are touched only when there is something new to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from tradingd.instruments.calendar import next_midnight, trading_day
from tradingd.instruments.money import CENT, decimal_of
from tradingd.instruments.units import SECOND_NS, ZERO
from tradingd.messages import (
    NOTHING,
    BookAdopted,
    BreakExplained,
    CashMoved,
    CorporateAction,
    DayStarted,
    EquityMarked,
    FeeCharged,
    Mark,
    Message,
    OrderFilled,
    PositionChanged,
    RunStarted,
    SetTimer,
    TimerFired,
    TradeBusted,
)
from tradingd.portfolio.ledger import Ledger, SavedLedger
from tradingd.portfolio.settings import PortfolioSettings
from tradingd.state.positions import HeldPosition, Key, market_price_after

__all__ = ["PortfolioCore", "PortfolioSettings"]

ACTOR = "portfolio"
_HALF = Decimal("0.5")


class _SavedPortfolio(msgspec.Struct, frozen=True):
    ledger: SavedLedger
    date: str
    day_equity: Decimal
    day_capital: Decimal


class PortfolioCore:
    """The portfolio actor (`messages.Core`)."""

    def __init__(self, settings: PortfolioSettings) -> None:
        self.ledger = Ledger()
        self._stale_ns = round(settings.mark_stale_s * SECOND_NS)
        self._interval_ns = round(settings.equity_interval_s * SECOND_NS)
        self._marks: dict[str, Mark] = {}
        self._before: dict[str, Mark] = {}
        """The mark before the latest: what a loss must agree with before it is believed."""
        self._date = ""
        self._day_ends_at = 0
        """When the date has to be asked for again; 0 = before the next mark of the account."""
        self._day_equity = ZERO
        self._day_capital = ZERO
        self._due_at = 0
        """When a mark may make us say equity again."""
        self._timeout_at = 0
        """Until when we wait for a first mark of everything held rather than guess its price."""
        self._is_news = False
        """True when equity changed, or was due, and nobody was told yet."""
        self._on: dict[type[Message], Callable[[Any, int], Sequence[Message]]] = {
            Mark: self._on_mark,
            OrderFilled: self._on_fill,
            TradeBusted: self._on_bust,
            FeeCharged: self._on_fee,
            CashMoved: self._on_cash,
            CorporateAction: self._on_split,
            BreakExplained: self._on_explained,
            BookAdopted: self._on_adopted,
            RunStarted: self._on_run,
            TimerFired: self._on_timer,
        }
        self._handlers: dict[type[Message], Callable[[Any], tuple[Key, ...]]] = {
            OrderFilled: self.ledger.fill,
            TradeBusted: self.ledger.bust,
            FeeCharged: self.ledger.fee,
            CashMoved: self.ledger.move_cash,
            CorporateAction: self.ledger.split,
            BreakExplained: self.ledger.explain,
            BookAdopted: self.ledger.adopt,
            DayStarted: self._apply_day,
        }

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        """Return the positions, equity and day that this message makes new."""
        decide = self._on.get(type(message))
        return NOTHING if decide is None else decide(message, now)

    def handler(self, kind: type[Message]) -> Callable[[Any, int], Sequence[Message]] | None:
        """Return what `handle` calls for `kind`."""
        return self._on.get(kind)

    def apply(self, message: Message, now: int) -> None:
        """Apply one journaled message, heard or said, without deciding."""
        self._apply(message)

    def save(self) -> bytes:
        """Return the book and the day; marks come from the market again."""
        state = _SavedPortfolio(self.ledger.save(), self._date, self._day_equity, self._day_capital)
        return msgspec.json.encode(state)

    def load(self, state: bytes) -> None:
        """Replace the book and the day by saved ones."""
        saved = msgspec.json.decode(state, type=_SavedPortfolio)
        self.ledger.load(saved.ledger)
        self._date = saved.date
        self._day_ends_at = 0
        self._day_equity = saved.day_equity
        self._day_capital = saved.day_capital

    # Folds

    def _apply(self, message: Message) -> tuple[Key, ...]:
        handler = self._handlers.get(type(message))
        return () if handler is None else handler(message)

    def _apply_day(self, day: DayStarted) -> tuple[Key, ...]:
        self._date = day.date
        self._day_ends_at = 0
        self._day_equity = day.equity_usd
        self._day_capital = day.capital_usd
        return ()

    # Decisions

    def _on_mark(self, mark: Mark, now: int) -> Sequence[Message]:
        symbol, marks = mark.symbol, self._marks
        before = marks.get(symbol)
        if before is not None:
            self._before[symbol] = before
        marks[symbol] = mark
        # While everything is flat no mark can change equity.
        if now < self._due_at or not (self.ledger.positions.open or self._is_news):
            return NOTHING
        return self._equity(now)

    def _on_fill(self, fill: OrderFilled, now: int) -> Sequence[Message]:
        if fill.symbol not in self._marks:
            price = float(fill.price)
            self._marks[fill.symbol] = Mark(fill.symbol, price, price, fill.filled_at)
        return (*self._book_trade(fill, "fill"), *self._equity(now))

    def _on_bust(self, bust: TradeBusted, now: int) -> Sequence[Message]:
        return (*self._book_trade(bust, "bust"), *self._equity(now))

    def _on_fee(self, fee: FeeCharged, now: int) -> Sequence[Message]:
        # Not left to the next mark: the last fee of a run has none after it.
        return (*self._book_trade(fee, "fee"), *self._equity(now))

    def _on_cash(self, moved: CashMoved, now: int) -> Sequence[Message]:
        self._apply(moved)
        return self._equity(now)

    def _on_split(self, action: CorporateAction, now: int) -> Sequence[Message]:
        for marks in (self._marks, self._before):
            mark = marks.get(action.symbol)
            if mark is not None:
                marks[action.symbol] = msgspec.structs.replace(
                    mark,
                    bid=market_price_after(action, mark.bid),
                    ask=market_price_after(action, mark.ask),
                )
        return self._book(action, "split")

    def _on_explained(self, difference: BreakExplained, now: int) -> Sequence[Message]:
        return (*self._book(difference, "explained"), *self._equity(now))

    def _on_adopted(self, book: BookAdopted, now: int) -> Sequence[Message]:
        return (*self._book(book, "adopted"), *self._start(now))

    def _on_run(self, run: RunStarted, now: int) -> Sequence[Message]:
        midnight = SetTimer(ACTOR, "midnight", next_midnight(now))
        return (midnight, *self._start(now)) if self.ledger.is_adopted else (midnight,)

    def _on_timer(self, timer: TimerFired, now: int) -> Sequence[Message]:
        if timer.key != "midnight":
            return self._equity(now)
        self._is_news = True
        return (SetTimer(ACTOR, "midnight", next_midnight(now)), *self._equity(now))

    # Words

    def _start(self, now: int) -> Sequence[Message]:
        """Say equity now, or wait a while for the first marks of what is held."""
        self._is_news = True
        self._timeout_at = now + self._stale_ns
        if self._is_priced(now):
            return self._equity(now)
        return (SetTimer(ACTOR, "patience", self._timeout_at),)

    def _book(self, message: Message, reason: str) -> Sequence[Message]:
        before = {key: holding.realized for key, holding in self.ledger.positions.open.items()}
        return tuple(
            self._position(key, reason, self._realized_since(before, key), ZERO)
            for key in self._apply(message)
        )

    def _realized_since(self, before: dict[Key, Decimal], key: Key) -> Decimal:
        """Return what a holding realized by being set: cost whose last coins are gone is a loss."""
        realized = self.ledger.positions.all[key].realized
        return realized - before.get(key, realized)

    def _book_trade(
        self, message: OrderFilled | TradeBusted | FeeCharged, reason: str
    ) -> tuple[Message, ...]:
        key = (message.strategy, message.symbol)
        holding = self.ledger.positions.all.get(key)
        realized, fees = (ZERO, ZERO) if holding is None else (holding.realized, holding.fees)
        self._apply(message)
        after = self.ledger.positions.all[key]
        return (self._position(key, reason, after.realized - realized, after.fees - fees),)

    def _position(
        self, key: Key, reason: str, realized_change: Decimal, fees_change: Decimal
    ) -> PositionChanged:
        holding = self.ledger.positions.all[key]
        return PositionChanged(
            strategy=key[0],
            symbol=key[1],
            quantity=holding.quantity,
            average_price=holding.average_price,
            realized_usd=holding.realized,
            fees_usd=holding.fees,
            reason=reason,
            realized_change_usd=realized_change,
            fees_change_usd=fees_change,
        )

    def _is_priced(self, now: int) -> bool:
        marks = self._marks
        return now >= self._timeout_at or all(
            symbol in marks for _, symbol in self.ledger.positions.open
        )

    def _equity(self, now: int) -> Sequence[Message]:
        """Mark the account, and begin the day when its date is new."""
        ledger = self.ledger
        if not (ledger.is_adopted and self._is_priced(now)):
            self._is_news = True
            return NOTHING
        value = exposure = cost = ZERO
        oldest_at, unconfirmed_cents = now, 0  # whole, so that their sum is the same in every order
        for (_, symbol), holding in ledger.positions.open.items():
            mark = self._marks.get(symbol)
            if mark is None:
                price, oldest_at = holding.last_price, 0
                unconfirmed_cents += round(abs(holding.quantity * price) * 100)
            else:
                unconfirmed_cents += self._unconfirmed_cents(mark, holding)
                price = _mid(mark)
                oldest_at = min(oldest_at, mark.quoted_at)
            worth = holding.quantity * price
            value += worth
            exposure += abs(worth)
            cost += holding.cost
        equity = ledger.cash + value
        day = self._new_day(equity, now) if now >= self._day_ends_at else NOTHING
        self._due_at = now + self._interval_ns
        self._is_news = False
        marked = EquityMarked(
            equity_usd=equity,
            cash_usd=ledger.cash,
            exposure_usd=exposure,
            day_pnl_usd=(equity - self._day_equity) - (ledger.capital - self._day_capital),
            realized_usd=ledger.realized,
            unrealized_usd=value - cost,
            fees_usd=ledger.fees,
            is_stale=now - oldest_at > self._stale_ns,
            unconfirmed_usd=unconfirmed_cents * CENT if unconfirmed_cents else ZERO,
        )
        return (*day, marked)

    def _unconfirmed_cents(self, mark: Mark, holding: HeldPosition) -> int:
        """Return by how many cents more the mark before (or the last trade, before there are two) would value it."""
        before = self._before.get(mark.symbol)
        both = 2 * float(holding.last_price) if before is None else before.bid + before.ask
        fall = both - mark.bid - mark.ask
        if (fall > 0.0) is not (holding.quantity > ZERO):
            return 0  # it was worth less, or the same
        return round(fall * float(holding.quantity) * 100 / 2)  # of the middle, half of both sides

    def _new_day(self, equity: Decimal, now: int) -> tuple[Message, ...]:
        date = trading_day(now)
        emitted: tuple[Message, ...] = NOTHING
        if date != self._date:
            emitted = (DayStarted(date, equity, self.ledger.capital),)
            self._apply(emitted[0])
        self._day_ends_at = next_midnight(now)
        return emitted


def _mid(mark: Mark) -> Decimal:
    bid = decimal_of(mark.bid)
    # The mark of a bar has no spread, and a bar backtest marks its holdings at every bar.
    return bid if mark.bid == mark.ask else (bid + decimal_of(mark.ask)) * _HALF
