"""Alpaca's trading API as calls with a lane and a deadline. One request each; whoever calls decides on retries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import quote, urlencode

from tradingd import __version__
from tradingd.broker.alpaca_wire import (
    BrokerOrderView,
    Unreadable,
    WireAccount,
    WireActions,
    WireActivity,
    WireOrder,
    WirePosition,
    WireSplit,
    decode,
    decode_rows,
    read_order,
    view_of,
)
from tradingd.broker.outcome import error_text
from tradingd.broker.settings import AccountIdentity, AlpacaSettings, KeysRefused
from tradingd.runtime.account_wire import AccountWire
from tradingd.runtime.ports import Clock, Lane, Network, NetworkError, Reply
from tradingd.runtime.tally import PlainHistogram

T = TypeVar("T")

ACTIVITY_PAGE_SIZE = 100
"""Lines on a page of activities; the broker's maximum."""

LOOKUPS_KEPT = 10
"""Lookups of the minute's budget that readings which can wait leave to those which cannot."""

QUOTA_SPAN_NS = 60_000_000_000
"""A header about the quota says nothing about the next minute (market time)."""

REQUEST_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class CallFailed(Exception):  # noqa: N818 - it names the state of affairs
    """A reading did not succeed: no reply, a refusal, or an unreadable body."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


def wire_of(network: Network, clock: Clock, settings: AlpacaSettings) -> AccountWire:
    """Return the account's wire over a network, unless it is one: nobody pays twice."""
    if isinstance(network, AccountWire):
        return network
    return AccountWire(
        network,
        clock,
        per_min_max=settings.requests_per_min_max,
        data_per_min_max=settings.data_requests_per_min_max,
        secrets=(settings.secret_key, settings.key_id),
    )


class AlpacaRest:
    """The calls of the trading API that the edge makes."""

    def __init__(self, network: Network, clock: Clock, settings: AlpacaSettings) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        """(operation, HTTP status or "failed") -> count."""
        self.seconds: dict[str, PlainHistogram] = {}
        """Operation -> real time of its requests, answered or not."""
        self.rate_limit_remaining: int | None = None
        """What the broker last said is left of the minute's quota."""
        self._remaining_at = 0
        self.wire = wire_of(network, clock, settings)
        """Everything leaves here: budgeted and traced."""
        self._clock = clock
        self._settings = settings
        self._base = f"{settings.trading_url.rstrip('/')}/v2"
        self._headers = {
            "APCA-API-KEY-ID": settings.key_id,
            "APCA-API-SECRET-KEY": settings.secret_key,
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": f"tradingd/{__version__}",
        }

    async def call(
        self,
        operation: str,
        method: str,
        path: str,
        lane: Lane,
        body: bytes | None = None,
        *,
        has_slot: bool = False,
    ) -> Reply:
        """Do one request and count it; raises `NetworkError`. `has_slot`: the caller holds one."""
        began = self._clock.monotonic()
        request = self.wire.send if has_slot else self.wire.request
        try:
            reply = await request(
                method,
                self._base + path,
                headers=self._headers,
                body=body,
                lane=lane,
                deadline_s=self._settings.request_s_max,
            )
        except NetworkError:
            self.requests[operation, "failed"] += 1
            raise
        finally:
            spent = self._clock.monotonic() - began
            self.seconds.setdefault(operation, PlainHistogram(REQUEST_BOUNDS_S)).add(spent)
        self.requests[operation, str(reply.status)] += 1
        remaining = reply.headers.get("x-ratelimit-remaining", "")
        if remaining.isdecimal():
            self.rate_limit_remaining = int(remaining)
            self._remaining_at = self._clock.now()
        return reply

    def may_poll(self) -> bool:
        """Tell whether the quota leaves room for what can wait."""
        if self.wire.trading.budget.room(Lane.LOOKUP, self._clock.now()) < LOOKUPS_KEPT:
            return False
        if self.rate_limit_remaining is None:
            return True
        is_old = self._clock.now() - self._remaining_at > QUOTA_SPAN_NS
        return is_old or self.rate_limit_remaining > self._settings.poll_reserve

    async def read(self, operation: str, path: str, lane: Lane = Lane.POLL) -> bytes:
        """GET a body; raises `CallFailed` for anything but success."""
        try:
            reply = await self.call(operation, "GET", path, lane)
        except NetworkError as error:
            raise CallFailed(f"{operation}: {error}") from error
        if reply.status != 200:
            code, message = error_text(reply)
            raise CallFailed(f"{operation}: HTTP {reply.status} {code} {message}", reply.status)
        return reply.body

    async def account(self) -> WireAccount:
        """Return the account."""
        return _readable(await self.read("account", "/account", Lane.LOOKUP), WireAccount)

    async def positions(self, lane: Lane = Lane.LOOKUP) -> list[WirePosition]:
        """Return every position; raises CallFailed also at a row that cannot be read, since it is not flat."""
        rows, faults = _rows(await self.read("positions", "/positions", lane), WirePosition)
        if faults:
            raise CallFailed(f"positions: {faults[0]}")
        return rows

    async def open_orders(self, lane: Lane = Lane.LOOKUP) -> list[BrokerOrderView]:
        """Return every open order of the account, all pages; raises CallFailed rather than a part of them."""
        found: dict[str, BrokerOrderView] = {}
        size = self._settings.page_size
        query = {"status": "open", "limit": str(size), "direction": "asc"}
        for _ in range(self._settings.pages_max):
            body = await self.read("orders", f"/orders?{urlencode(query)}", lane)
            rows, faults = _rows(body, WireOrder)
            if faults:
                raise CallFailed(f"orders: {faults[0]}")
            page = [_view(row) for row in rows]
            is_new = any(view.broker_order_id not in found for view in page)
            found.update((view.broker_order_id, view) for view in page)
            if len(page) < size:
                return list(found.values())
            if not is_new:
                raise CallFailed("orders: the next page repeats the last, so some stay unseen")
            query["after_order_id"] = page[-1].broker_order_id
        raise CallFailed(f"orders: more than {self._settings.pages_max} pages")

    async def order_by_client_id(
        self, order_id: str, lane: Lane = Lane.LOOKUP
    ) -> BrokerOrderView | None:
        """Return the order with our id, None when the broker says it has none; raises CallFailed."""
        query = urlencode({"client_order_id": order_id})
        try:
            body = await self.read("lookup", f"/orders:by_client_order_id?{query}", lane)
        except CallFailed as failure:
            if failure.status == 404:
                return None
            raise
        view = _order(body)
        if view.order_id != order_id:
            raise CallFailed("lookup: the reply names another order")
        return view

    async def activities(self, kinds: str, after: str) -> list[WireActivity]:
        """Return activities since `after` (RFC 3339), oldest first, all pages; raises CallFailed."""
        found: list[WireActivity] = []
        size = ACTIVITY_PAGE_SIZE
        query = {
            "activity_types": kinds,
            "after": after,
            "direction": "asc",
            "page_size": str(size),
        }
        for _ in range(self._settings.pages_max):
            path = f"/account/activities?{urlencode(query)}"
            body = await self.read("activities", path, Lane.LOOKUP)
            rows, _faults = _rows(body, WireActivity)
            found += rows
            if len(rows) < size or not rows[-1].id:
                return found
            query["page_token"] = rows[-1].id
        raise CallFailed(f"activities: more than {self._settings.pages_max} pages")

    async def splits(self, symbols: Sequence[str], first: str, last: str) -> list[WireSplit]:
        """Return the splits of symbols whose ex-date is within two dates; raises CallFailed."""
        query = {"symbols": ",".join(symbols), "types": "forward_split,reverse_split",
                 "start": first, "end": last, "limit": "1000"}  # fmt: skip
        url = f"{self._settings.data_url.rstrip('/')}/v1/corporate-actions?{urlencode(query)}"
        try:
            reply = await self.wire.request("GET", url, headers=self._headers, lane=Lane.POLL)
        except NetworkError as error:
            raise CallFailed(f"corporate actions: {error}") from error
        self.requests["corporate_actions", str(reply.status)] += 1
        if reply.status != 200:
            raise CallFailed(f"corporate actions: HTTP {reply.status}", reply.status)
        actions = _readable(reply.body, WireActions).corporate_actions
        return [*actions.forward_splits, *actions.reverse_splits]

    async def cancel(self, broker_order_id: str) -> Reply:
        """Ask for one cancel."""
        path = f"/orders/{quote(broker_order_id)}"
        return await self.call("cancel", "DELETE", path, Lane.CANCEL)

    async def verify(self) -> AccountIdentity:
        """Return whose account this is; raises `KeysRefused` or `CallFailed`."""
        try:
            account = await self.account()
        except CallFailed as failure:
            if keys_refused(failure):
                raise KeysRefused(str(failure)) from failure
            raise
        identity = identity_of(account)
        self.wire.trace.hide(identity.account_id, identity.account_number)
        return identity


def identity_of(account: WireAccount) -> AccountIdentity:
    """Return whose account this is, and whether it may trade."""
    switches = (account.trading_blocked, account.account_blocked, account.trade_suspended_by_user)
    return AccountIdentity(
        account_id=account.id or "",
        account_number=account.account_number or "",
        status=account.status or "",
        is_blocked=any(switches),
    )


def keys_refused(failure: CallFailed) -> bool:
    """Tell whether a reading failed for the keys: no reading is refused with 403 for another reason."""
    return failure.status in {401, 403}


def _readable(body: bytes, kind: type[T]) -> T:
    try:
        return decode(body, kind)
    except Unreadable as fault:
        raise CallFailed(str(fault)) from fault


def _rows(body: bytes, kind: type[T]) -> tuple[list[T], list[str]]:
    try:
        return decode_rows(body, kind)
    except Unreadable as fault:
        raise CallFailed(str(fault)) from fault


def _view(row: WireOrder) -> BrokerOrderView:
    try:
        return view_of(row)
    except Unreadable as fault:
        raise CallFailed(str(fault)) from fault


def _order(body: bytes) -> BrokerOrderView:
    try:
        return read_order(body)
    except Unreadable as fault:
        raise CallFailed(str(fault)) from fault
