"""What happens to orders in time: arrival, matching, cancellation, replacement, expiry.

Every change goes through the table of statuses and leaves an event. `core` judges, the ledger moves money.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from decimal import Decimal

from msgspec.structs import replace

from tradingd.instruments.units import MS_NS
from tradingd.messages import Session, TradingDay
from tradingd.simulator.exchange import auctions, closes, edges, groups, happenings
from tradingd.simulator.exchange.activities import Activities
from tradingd.simulator.exchange.dated import DatedEvent, Payment
from tradingd.simulator.exchange.depth import DepthBook, Working
from tradingd.simulator.exchange.ids import Ids
from tradingd.simulator.exchange.ledger import AccountLedger
from tradingd.simulator.exchange.matching import executions, fills_completely
from tradingd.simulator.exchange.orders import TERMINAL, TRANSITIONS, ExchangeOrder, Status
from tradingd.simulator.exchange.orders import TradeUpdate as Update
from tradingd.simulator.exchange.sessions import ExchangeSessions
from tradingd.simulator.exchange.settings import Asset, ExchangeSettings, Switches

NEVER = 1 << 63
_AT_ONCE = frozenset({"ioc", "fok"})
_ENDING = frozenset({Status.PENDING_CANCEL, Status.PENDING_REPLACE})
_FRESH = frozenset({Status.PENDING_NEW, Status.ACCEPTED})

_Due = tuple[int, int, Callable[[Working, int], None], Working]


class Engine:
    """The state of every order and book, and the transitions that are due."""

    def __init__(
        self, settings: ExchangeSettings, calendar: Sequence[TradingDay], seed: int
    ) -> None:
        self.settings = settings
        self.switches = Switches(fractional_trading=settings.fractional_trading)
        self.sessions = ExchangeSessions(calendar)
        self.ids = Ids(seed)
        self.ledger = AccountLedger(settings.cash_usd)
        self.activities = Activities(settings)
        self.books: dict[str, DepthBook] = {}
        self.orders: dict[str, ExchangeOrder] = {}
        self.working: dict[str, Working] = {}
        self.coming: dict[str, Working] = {}
        """Replacements on their way, by their own id."""
        self.session = Session.REGULAR
        self.due_at = 0
        """When the next transition is due; 0 until the first call tells what time it is."""
        self.midnight_at = NEVER
        self._latency = settings.latency_ms * MS_NS
        self._fill_latency = settings.fill_latency_ms * MS_NS
        self.is_immediate = settings.fill == "same_event" or self._fill_latency > 0
        self._heap: list[_Due] = []
        self._pushed = 0
        self._edge_at: int | None = None
        self._is_overnight = False
        self._dated: list[tuple[int, int, DatedEvent | Payment]] = []
        self._has_started = False
        self.events: list[Update] = []
        """What happened and was not taken yet; always the same list."""
        self.on_close: Callable[[int], None] | None = None
        """Called at each end of the regular session."""
        self.refuses: Callable[[ExchangeOrder], bool] | None = None
        """Asked whether the venue rejects an order that was accepted."""

    @property
    def multiplier(self) -> int:
        """How many times its equity the account may buy."""
        return min(self.settings.multiplier, self.switches.max_margin_multiplier)

    @property
    def is_busy(self) -> bool:
        """Tell whether an order is open or a request is still on its way."""
        return bool(self.working or self._heap)

    def take_events(self) -> list[Update]:
        """Return what happened since the last call, in order."""
        events = self.events.copy()
        self.events.clear()
        return events

    # time

    def advance(self, now: int) -> None:
        """Do everything that is due up to and including `now`, in order."""
        if not self._has_started:
            self._has_started = True
            self.midnight_at = closes.next_midnight(now)
            self.enter_session(now)
        while (at := min(self.next_due(), self.midnight_at)) <= now:
            if self.midnight_at <= at:
                self.midnight_at = closes.roll_day(self.books, self.ledger, at)
            elif self._edge_at is not None and self._edge_at <= at:
                edges.cross(self, self._edge_at)
            elif self._heap and self._heap[0][0] <= at:
                _, _, act, working = heapq.heappop(self._heap)
                act(working, at)
            elif self._dated and self._dated[0][0] <= at:
                happenings.happen(self, heapq.heappop(self._dated)[2], at)
            else:
                self.activities.post_due(at)
        self.due_at = min(self.next_due(), self.midnight_at)

    def next_due(self) -> int:
        """Return when something happens to an order, an account or a session."""
        at = self._heap[0][0] if self._heap else NEVER
        if self._edge_at is not None and self._edge_at < at:
            at = self._edge_at
        if self._dated and self._dated[0][0] < at:
            at = self._dated[0][0]
        return min(at, self.activities.due_at)

    def schedule(self, at: int, act: Callable[[Working, int], None], working: Working) -> None:
        """Do something with an order at an instant."""
        self._pushed += 1
        heapq.heappush(self._heap, (at, self._pushed, act, working))
        self.due_at = min(self.due_at, at)

    def add_dated(self, event: DatedEvent | Payment) -> None:
        """Let something happen on a date."""
        self._pushed += 1
        heapq.heappush(self._dated, (event.at, self._pushed, event))
        self.due_at = min(self.due_at, event.at)

    def enter_session(self, at: int) -> None:
        """Be in the session an instant is in."""
        self.session = self.sessions.session(at)
        self._is_overnight = self.sessions.is_overnight(at)
        self._edge_at = self.sessions.next_edge(at)

    def next_edge_at(self) -> int:
        """Return when the session changes next."""
        return NEVER if self._edge_at is None else self._edge_at

    def expire(self, working: Working, at: int) -> None:
        """End an order whose time is over."""
        if working.order.status not in TERMINAL:
            self.change(working, Status.EXPIRED, "expired", at, expired_at=at)

    def may_trade(self, working: Working) -> bool:
        """Tell whether the session lets the order trade now."""
        if self.session is Session.REGULAR or working.asset.is_crypto:
            return True
        return self.is_open_for(working.asset, extended=working.order.extended_hours)

    def is_open_for(self, asset: Asset, *, extended: bool) -> bool:
        """Tell whether an order of an asset goes to the market now, or waits for its session."""
        if self.session is Session.REGULAR or asset.is_crypto:
            return True
        if not extended or self.session is not Session.CLOSED:
            return extended
        is_wanted = asset.trades_overnight and not self.switches.disable_overnight_trading
        return self._is_overnight and is_wanted

    # an order's life

    def admit(self, working: Working, now: int) -> None:
        """Take a judged order in: it travels to the market, or waits for the session."""
        self._enter(working)
        if working.group is not None:
            for leg in working.group.members:
                if leg is not working:
                    self._enter(leg)
        if working.order.status is Status.ACCEPTED:
            self.record("accepted", working.order, now)
            return
        self.record("pending_new", working.order, now)
        if self._latency:
            self.schedule(now + self._latency, self.arrive, working)
        else:
            self.arrive(working, now)

    def _enter(self, working: Working) -> None:
        order = working.order
        self.working[order.id] = working
        self.orders[order.id] = order
        self.books[order.symbol].place(working)

    def wake(self, leg: Working, now: int) -> None:
        """Begin the life of a leg whose entry is filled."""
        if not leg.stop_float:
            self._unpark(leg)
        self.arrive(leg, now)

    def release(self, working: Working, now: int) -> None:
        """Send an elected stop to the market."""
        self._unpark(working)
        if working.order.status is Status.HELD:
            self.change(working, Status.NEW, "new", now)
        self._approach(working, now)

    def _unpark(self, working: Working) -> None:
        book = self.books[working.order.symbol]
        book.remove(working)
        working.is_parked = False
        book.place(working)

    def arrive(self, working: Working, now: int) -> None:
        """Let an order reach the venue."""
        if working.order.status in TERMINAL:
            return
        is_new = working.order.status in _FRESH
        if is_new and self.refuses is not None and self.refuses(working.order):
            self.change(working, Status.REJECTED, "rejected", now, failed_at=now)
            return
        working.has_arrived = True
        if working.order.status is not Status.PENDING_CANCEL:
            self.change(working, Status.NEW, "new", now)
        if not working.is_parked:
            self._approach(working, now)
        elif working.order.time_in_force == "opg":
            at = now + auctions.OPENING_S_MAX * 1000 * MS_NS
            self.schedule(at, self._open_without_print, working)

    def _open_without_print(self, working: Working, now: int) -> None:
        auctions.open_without_print(self, working, now)

    def _approach(self, working: Working, now: int) -> None:
        """Let an order reach the market: at once, later, or with the next quote."""
        working.ready_at = now + self._fill_latency
        if self._fill_latency:
            self.schedule(working.ready_at, self._meet, working)
        elif self.is_immediate or self.books[working.order.symbol].is_halted:
            self._meet(working, now)

    def _meet(self, working: Working, now: int) -> None:
        """Let one order meet the standing quote."""
        book = self.books[working.order.symbol]
        if book.quoted_at:
            self._match(working, book, now)

    def change(
        self, working: Working, status: Status, event: str, now: int, **fields: object
    ) -> None:
        """Move an order to a status and say so."""
        before = working.order
        assert status in TRANSITIONS[before.status], f"{status} cannot follow {before.status}"
        order = replace(before, status=status, updated_at=now, **fields)
        self._settle(working, order)
        self.record(event, order, now)
        if working.group is not None:
            groups.after(self, working, working.group, now)

    def _settle(self, working: Working, order: ExchangeOrder) -> None:
        working.order = order
        self.orders[order.id] = order
        if order.status in TERMINAL:
            del self.working[order.id]
            self.books[order.symbol].remove(working)

    def record(self, event: str, order: ExchangeOrder, now: int) -> None:
        """Say what happened to an order."""
        self.events.append(Update(event, order, now, self.ids.execution()))

    # requests in flight

    def request_cancel(self, working: Working, now: int) -> None:
        """Begin a cancellation; fills may still outrun it."""
        fields = {"cancel_requested_at": now}
        self.change(working, Status.PENDING_CANCEL, "pending_cancel", now, **fields)
        if self._latency:
            self.schedule(now + self._latency, self._cancel, working)
        else:
            self._cancel(working, now)

    def _cancel(self, working: Working, now: int) -> None:
        if working.order.status is Status.CANCELED:
            return  # another one of its group took it along
        if working.order.status in TERMINAL:
            self.record("order_cancel_rejected", working.order, now)
        else:
            self.change(working, Status.CANCELED, "canceled", now, canceled_at=now)

    def request_replace(self, old: Working, new: Working, now: int) -> None:
        """Begin a replacement; `new` is judged already and enters the book when the old one leaves."""
        old.successor = new
        self.coming[new.order.id] = new
        self.orders[new.order.id] = new.order
        self.change(old, Status.PENDING_REPLACE, "pending_replace", now)
        if self._latency:
            self.schedule(now + self._latency, self._replace, old)
        else:
            self._replace(old, now)

    def _replace(self, old: Working, now: int) -> None:
        new, old.successor = old.successor, None
        assert new is not None, "a replacement has its successor"
        del self.coming[new.order.id]
        left = new.remaining - old.order.filled_qty
        if old.order.status is not Status.PENDING_REPLACE or left <= 0:
            self._refuse_replacement(old, new, now)
            return
        fields = {"replaced_at": now, "replaced_by": new.order.id}
        if old.group is not None:
            groups.succeed(self, old, new)
        self.change(old, Status.REPLACED, "replaced", now, **fields)
        new.order = replace(new.order, qty=left)
        new.remaining = left
        new.chain_filled = old.chain_filled + old.order.filled_qty
        new.is_elected = old.is_elected
        new.is_parked = new.is_parked and not old.is_elected
        self._enter(new)
        self.arrive(new, now)

    def _refuse_replacement(self, old: Working, new: Working, now: int) -> None:
        if old.order.status is Status.PENDING_REPLACE:
            back = Status.PARTIALLY_FILLED if old.order.filled_qty else Status.NEW
            self.change(old, back, "order_replace_rejected", now)
        else:
            self.record("order_replace_rejected", old.order, now)
        rejected = replace(new.order, status=Status.REJECTED, failed_at=now, updated_at=now)
        self.orders[rejected.id] = rejected
        self.record("rejected", rejected, now)

    # matching

    def match_book(self, book: DepthBook, now: int, *, only_rested: bool = False) -> None:
        """Let every order of a symbol meet the standing quote, price then time."""
        for working in tuple(book.open):
            if working.has_rested or not only_rested:
                self._match(working, book, now)

    def _match(self, working: Working, book: DepthBook, now: int) -> None:
        if not working.has_arrived or now < working.ready_at or not self.may_trade(working):
            return
        if working.order.status in TERMINAL:
            return
        touch = book.ask.price if working.is_buy else book.bid.price
        is_at_once = working.order.time_in_force in _AT_ONCE
        if working.is_marketable(touch) and not book.is_halted:
            ladder, band = book.ladder(working.is_buy, self.settings), book.band
            if working.order.time_in_force != "fok" or fills_completely(working, ladder, band):
                is_maker = working.has_rested
                for price, quantity in executions(working, ladder, self.settings, band):
                    self.execute(working, quantity, price, is_maker=is_maker, now=now)
        if working.remaining and is_at_once:
            self.change(working, Status.CANCELED, "canceled", now, canceled_at=now)
        elif working.limit is not None:
            working.has_rested = True

    def match_print(self, book: DepthBook, price: float, size: Decimal, now: int) -> None:
        """Fill resting orders that a print inside the standing quote went through."""
        if not book.takes(price):
            return
        for working in tuple(book.open):
            if size <= 0:
                return
            if not working.has_rested or working.limit is None or not self.may_trade(working):
                continue
            if working.order.status in TERMINAL:
                continue  # a fill just before ended its group
            limit = working.limit_float
            if price < limit if working.is_buy else price > limit:
                quantity = min(size, working.remaining)
                size -= quantity
                at = book.banded(working.limit, price)
                self.execute(working, quantity, at, is_maker=True, now=now)

    def execute(
        self, working: Working, quantity: Decimal, price: Decimal, *, is_maker: bool, now: int
    ) -> None:
        """Book one execution and say so."""
        before = working.order
        settings = self.settings
        rate = None
        if working.asset.is_crypto:
            rate = settings.maker_rate if is_maker else settings.taker_rate
        after, fee = self.ledger.trade(before.symbol, working.is_buy, quantity, price, rate)
        working.remaining -= quantity
        working.value += quantity * price
        assert working.remaining >= 0, f"{before.id} was filled beyond its quantity"
        filled = before.filled_qty + quantity
        status = Status.PARTIALLY_FILLED if working.remaining else Status.FILLED
        if working.remaining and before.status in _ENDING:
            status = before.status
        assert status in TRANSITIONS[before.status], f"{status} cannot follow {before.status}"
        order = replace(
            before,
            status=status,
            filled_qty=filled,
            filled_avg_price=working.value / filled,
            filled_at=now,
            updated_at=now,
        )
        self._settle(working, order)
        event = "partial_fill" if working.remaining else "fill"
        execution = self.ids.execution()
        update = Update(event, order, now, execution, price, quantity, after, fee, is_maker)
        self.events.append(update)
        self.activities.record(update, working.remaining)
        self.due_at = min(self.due_at, self.activities.due_at)
        if working.group is not None:
            groups.after(self, working, working.group, now)
