"""The exchange: judges requests, shows the account, and hears the market. Pure; time is an argument.

It serves the wire shell, the drained backtest and the deterministic simulation alike, so it knows
neither sockets nor clocks: quotes go in, `take_events` gives back what happened to orders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from math import inf

from msgspec.structs import replace

from tradingd.instruments.money import decimal_of
from tradingd.messages import Session, TradingDay
from tradingd.simulator.exchange import auctions, checks, classes, funds, showing, stops
from tradingd.simulator.exchange.closing import bust, closing_order
from tradingd.simulator.exchange.dated import DatedEvent, problem
from tradingd.simulator.exchange.depth import DepthBook
from tradingd.simulator.exchange.engine import NEVER, Engine
from tradingd.simulator.exchange.halts import Halts
from tradingd.simulator.exchange.judging import Judge
from tradingd.simulator.exchange.orders import (
    CancelResult,
    CloseResult,
    ExchangeOrder,
    NewOrder,
    Replacement,
    Status,
    TradeUpdate,
)
from tradingd.simulator.exchange.refusals import (
    OrderRefusal,
    business,
    forbidden,
    order_not_found,
    parameter,
    position_not_found,
)
from tradingd.simulator.exchange.settings import Asset, ExchangeSettings, default_asset
from tradingd.simulator.exchange.views import AccountActivity, AccountPosition, AccountView


class Exchange:
    """One account at one venue. Quotes and requests must come in time order."""

    def __init__(
        self, settings: ExchangeSettings, calendar: Sequence[TradingDay] = (), seed: int = 0
    ) -> None:
        self._engine = Engine(settings, calendar, seed)
        self._engine.on_close = self._keep_equity
        self._books = self._engine.books
        self._by_client_id: dict[str, str] = {}
        self._assets: dict[str, Asset] = {each.symbol: each for each in settings.assets}
        self._is_open_list = not settings.assets
        self._judge = Judge(self._engine)
        self.halts = Halts(self._engine, self._listed)
        self.events: Sequence[TradeUpdate] = self._engine.events
        """What `take_events` would give: looked at after every quote, so no call."""
        self._last_equity = settings.cash_usd
        self._opened_at: int | None = None
        self.settings = settings
        self.dated = list(settings.events)
        """Everything that was put on a date, past and to come."""
        for event in settings.events:
            self._engine.add_dated(event)
        self.switches = self._engine.switches
        self.account_id = self._engine.ids.account
        self.bad_quotes = 0
        """Quotes ignored for matching: a side missing, crossed, not finite."""

    # the market

    def on_quote(  # noqa: PLR0917 - the hot path passes six plain values by position
        self, symbol: str, bid: float, bid_size: float, ask: float, ask_size: float, now: int
    ) -> None:
        """Take the standing quote of a symbol and match our orders against it."""
        if now >= self._engine.due_at:
            self.advance(now)
        if not (0.0 < bid <= ask < inf and 0.0 < bid_size < inf and 0.0 < ask_size < inf):
            self.bad_quotes += 1
            return
        book = self._books.get(symbol) or self._book(symbol)
        side = book.bid
        if bid != side.price or bid_size != side.size:
            side.price, side.size, side.ladder = bid, bid_size, None
        side = book.ask
        if ask != side.price or ask_size != side.size:
            side.price, side.size, side.ladder = ask, ask_size, None
        book.quoted_at = now
        if book.open:
            self._engine.match_book(book, now)
        if book.parked and not book.printed_at:
            stops.elect(self._engine, book, bid, ask, now)

    def on_bar(self, symbol: str, opened: float, closed: float, volume: float, now: int) -> None:
        """Take a finished bar as a quote without a spread, its volume the size on both sides.

        With fill = next_event what waited meets the bar's open, and what rests also its close; else
        everything meets the close.
        """
        if now >= self._engine.due_at:
            self.advance(now)
        if not (0.0 < opened < inf and 0.0 < closed < inf and 0.0 < volume < inf):
            self.bad_quotes += 1
            return
        book = self._books.get(symbol) or self._book(symbol)
        is_next = self.settings.fill == "next_event"
        price = opened if is_next else closed
        for side in (book.bid, book.ask):
            side.price, side.size, side.ladder = price, volume, None
        book.quoted_at = now
        if book.open:
            self._engine.match_book(book, now)
        if book.parked:
            stops.elect(self._engine, book, price, price, now)
        if is_next and closed != opened:
            book.reprice(closed)
            if book.open:
                self._engine.match_book(book, now, only_rested=True)
            if book.parked:
                stops.elect(self._engine, book, closed, closed, now)

    def on_trade(self, symbol: str, price: float, size: float, now: int) -> None:
        """Take a print: inside the quote it fills a resting order of ours that it went through, and
        elects stops; the first one of a session is its opening auction.
        """
        if now >= self._engine.due_at:
            self.advance(now)
        book = self._books.get(symbol)
        if book is None or not (0.0 < price < inf and 0.0 < size < inf):
            return
        book.printed_at, book.last = now, price
        if book.open and self.settings.trades_fill:
            self._engine.match_print(book, price, decimal_of(size), now)
        if book.parked:
            auctions.open_(self._engine, book, price, now)
            if not book.quoted_at or book.bid.price <= price <= book.ask.price:
                stops.elect(self._engine, book, price, price, now)

    # time

    def advance(self, now: int) -> None:
        """Do every transition that is due up to and including `now`."""
        if now < self._engine.due_at:
            return
        if self._opened_at is None:
            self._opened_at = now
        self._engine.advance(now)

    def next_due(self) -> int | None:
        """Return when something happens without anybody asking: arrivals, cancels, session edges.

        Midnight alone wakes nobody: the first quote after it finds the day's close still standing.
        """
        due = self._engine.due_at
        if due == self._engine.midnight_at:
            due = self._engine.next_due()
        return None if due == NEVER else due

    def stand(self, now: int) -> None:
        """Count the standing quotes as the next event: for a market that has nothing more to say."""
        self.advance(now)
        for book in self._books.values():
            if book.open and book.quoted_at:
                self._engine.match_book(book, now)

    def session(self, now: int) -> Session:
        """Return the equity session at `now`."""
        return self._engine.sessions.session(now)

    def take_events(self) -> list[TradeUpdate]:
        """Return what happened to orders since the last call, in order."""
        return self._engine.take_events()

    @property
    def is_busy(self) -> bool:
        """Tell whether an order is open or a request is still on its way."""
        return self._engine.is_busy

    # requests

    def submit(self, order: NewOrder, now: int) -> ExchangeOrder:
        """Take a new order or raise `OrderRefusal`; the answer is the order as it was at acceptance."""
        if now >= self._engine.due_at:
            self.advance(now)
        if order.client_order_id is not None:
            self._check_client_id(order.client_order_id)
        if self._engine.switches.suspend_trade:
            raise forbidden("new orders are rejected by user request")
        checks.check_values(order)
        classes.check_class(order)
        order = classes.with_own_limit(order)
        checks.check_numbers(order)
        book = self._listed(order.symbol)
        working = self._judge.judge(order, book, now)
        accepted = working.order
        self._by_client_id[accepted.client_order_id] = accepted.id
        if working.group is not None:
            for leg in working.group.members:
                self._by_client_id[leg.order.client_order_id] = leg.order.id
        self._engine.admit(working, now)
        return accepted

    def cancel(self, order_id: str, now: int) -> None:
        """Ask for the end of an order; it may still fill before `canceled`."""
        self.advance(now)
        working = self._engine.working.get(order_id)
        if working is None:
            order = self.order(order_id)
            if order.is_open:
                raise business("order is not cancelable")
            raise business(f'order is already in "{order.status}" state')
        if working.order.status is Status.PENDING_CANCEL:
            raise business("order pending cancel")
        self._engine.request_cancel(working, now)

    def cancel_all(self, now: int) -> list[CancelResult]:
        """Ask for the end of every open order, oldest first."""
        self.advance(now)
        results = []
        for order_id in tuple(self._engine.working):
            if order_id not in self._engine.working:
                results.append(CancelResult(order_id, 200))  # went with another one of its group
                continue
            try:
                self.cancel(order_id, now)
            except OrderRefusal as refused:
                results.append(CancelResult(order_id, refused.http_status, refused))
            else:
                results.append(CancelResult(order_id, 200))
        return results

    def replace(self, order_id: str, changes: Replacement, now: int) -> ExchangeOrder:
        """Ask for another order in this one's place; the answer is the new order, not yet live."""
        self.advance(now)
        old = self._engine.working.get(order_id)
        if old is None:
            self.order(order_id)
            raise business("unable to replace order, order is not open")
        if changes.client_order_id is not None:
            self._check_client_id(changes.client_order_id)
        new = self._judge.judge_replacement(old, changes, self._books[old.order.symbol], now)
        accepted = new.order
        self._by_client_id[accepted.client_order_id] = accepted.id
        self._engine.request_replace(old, new, now)
        return accepted

    def close_position(
        self,
        symbol: str,
        now: int,
        quantity: Decimal | None = None,
        percentage: Decimal | None = None,
    ) -> ExchangeOrder:
        """Submit the market order that closes a position, or a part of it."""
        self.advance(now)
        position = self._engine.ledger.quantity(symbol)
        if not position:
            raise position_not_found()
        is_crypto = self._listed(symbol).is_crypto
        order = closing_order(symbol, position, quantity, percentage, is_crypto=is_crypto)
        return self.submit(order, now)

    def close_all(self, now: int, *, cancel_orders: bool = False) -> list[CloseResult]:
        """Submit a closing order for every position; with `cancel_orders` ask for cancels first."""
        self.advance(now)
        if cancel_orders:
            self.cancel_all(now)
        results = []
        for symbol in tuple(self._engine.ledger.holdings):
            try:
                order = self.close_position(symbol, now)
            except OrderRefusal as refused:
                results.append(CloseResult(symbol, refused.http_status, None, refused))
            else:
                results.append(CloseResult(symbol, 200, order))
        return results

    # what there is

    def order(self, order_id: str) -> ExchangeOrder:
        """Return an order by its id; raises `OrderRefusal` 404."""
        order = self._engine.orders.get(order_id)
        if order is None:
            raise order_not_found(order_id)
        return order

    def order_by_client_id(self, client_order_id: str) -> ExchangeOrder:
        """Return an order by the client's id; raises `OrderRefusal` 404."""
        order_id = self._by_client_id.get(client_order_id)
        if order_id is None:
            raise order_not_found(client_order_id)
        return self._engine.orders[order_id]

    def legs_of(self, order: ExchangeOrder) -> list[ExchangeOrder]:
        """Return the orders that hang on this one, as they stand."""
        return [self._engine.orders[leg] for leg in order.legs]

    def orders(self) -> list[ExchangeOrder]:
        """Return every order ever taken, oldest first."""
        return list(self._engine.orders.values())

    def open_orders(self) -> list[ExchangeOrder]:
        """Return the orders that are not terminal, replacements on their way included."""
        open_now = (*self._engine.working.values(), *self._engine.coming.values())
        return [working.order for working in open_now]

    def positions(self) -> list[AccountPosition]:
        """Return every position, in the order they were opened."""
        symbols = self._engine.ledger.holdings
        return [showing.position(self._engine, self._listed(symbol)) for symbol in symbols]

    def position(self, symbol: str) -> AccountPosition:
        """Return one position; raises `OrderRefusal` 404."""
        if not self._engine.ledger.quantity(symbol):
            raise position_not_found()
        return showing.position(self._engine, self._listed(symbol))

    def account(self, now: int) -> AccountView:
        """Return the account at the standing quotes."""
        self.advance(now)
        opened_at = self._opened_at or now
        return showing.account(self._engine, self._last_equity, opened_at)

    def activities(self) -> Sequence[AccountActivity]:
        """Return every FILL and CFEE, oldest first."""
        return self._engine.activities.read()

    def assets(self) -> list[Asset]:
        """Return what is listed (with an open list: what has been met so far)."""
        return list(self._assets.values())

    def asset(self, symbol_or_id: str) -> Asset | None:
        """Return an asset by system symbol, slash-free symbol or id."""
        found = self._assets.get(symbol_or_id)
        if found is not None:
            return found
        for each in self._assets.values():
            if symbol_or_id in {each.id, each.symbol.replace("/", "")}:
                return each
        return None

    # what nobody of the account asked for

    def happen(self, event: DatedEvent, now: int) -> None:
        """Let a deposit, a withdrawal, a dividend or a split happen at its time, or now."""
        wrong = problem(event)
        if wrong is not None:
            raise parameter(wrong)
        if event.symbol:
            self._listed(event.symbol)  # which refuses what nobody lists
        event = event if event.at > now else replace(event, at=now)
        self.dated.append(event)
        self._engine.add_dated(event)
        self.advance(now)

    def reject_by(self, refuses: Callable[[ExchangeOrder], bool]) -> None:
        """Let somebody say which accepted orders the venue rejects."""
        self._engine.refuses = refuses

    def bust(self, execution_id: str, now: int) -> TradeUpdate:
        """Take an execution back as the venue does when it breaks a trade; return the event of it."""
        self.advance(now)
        return bust(self._engine, execution_id, now)

    # inside

    def _book(self, symbol: str) -> DepthBook:
        asset = self._assets.get(symbol)
        if asset is None:
            asset = default_asset(symbol, self._engine.ids.asset())
            if self._is_open_list:
                self._assets[symbol] = asset
        book = self._books[symbol] = DepthBook(asset)
        return book

    def _listed(self, symbol: str) -> DepthBook:
        asset = self._assets.get(symbol)
        if asset is None and not self._is_open_list:
            raise checks.unknown_asset(symbol)
        if asset is not None and not asset.is_active:
            raise checks.inactive_asset(symbol)
        if asset is not None and not asset.is_tradable:
            raise checks.untradable_asset(symbol)
        return self._books.get(symbol) or self._book(symbol)

    def _check_client_id(self, client_order_id: str) -> None:
        checks.check_client_order_id(client_order_id)
        if client_order_id in self._by_client_id:
            raise parameter("client_order_id must be unique")

    def _keep_equity(self, now: int) -> None:
        self._last_equity = funds.equity(self._engine)
