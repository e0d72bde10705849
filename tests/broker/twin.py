"""A broker of a few lines behind the network port, with everything that goes wrong on call.

Small on purpose: it knows orders, fills and the stream, and fills only when a test says so.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tradingd.broker.alpaca_wire import time_text
from tradingd.runtime.ports import Clock, Lane, NetworkError, Reply, SocketClosed

Json = dict[str, Any]
TRIP_S = 0.0001
"""How long a request is on its way; the stream is faster."""


@dataclass(slots=True)
class Fault:
    """What happens to the next request of one kind."""

    method: str
    path: str
    is_processed: bool = False
    is_sent: bool = True
    reply: tuple[int, bytes] | None = None
    """None is a cut connection."""
    headers: dict[str, str] = field(default_factory=dict)


class TwinSocket:
    """One socket of the twin."""

    def __init__(self, broker: TwinBroker) -> None:
        self._broker = broker
        self._frames: asyncio.Queue[str | bytes | SocketClosed] = asyncio.Queue()
        self.is_listening = False

    def put(self, message: Json) -> None:
        self._frames.put_nowait(json.dumps(message).encode())

    def put_text(self, text: str) -> None:
        self._frames.put_nowait(text)

    def end(self, code: int) -> None:
        self.is_listening = False
        self._frames.put_nowait(SocketClosed(code, "by the test"))

    async def send(self, frame: str | bytes) -> None:
        message = json.loads(frame)
        if self._broker.is_silent:
            return
        if message["action"] == "authenticate":
            self._broker.handshakes += 1
            status = "authorized" if self._broker.is_key_good else "unauthorized"
            self.put({"stream": "authorization", "data": {"status": status}})
        else:
            self.is_listening = True
            self.put({"stream": "listening", "data": {"streams": message["data"]["streams"]}})

    async def receive(self) -> str | bytes:
        frame = await self._frames.get()
        if isinstance(frame, SocketClosed):
            raise frame
        return frame

    async def close(self) -> None:
        self.is_listening = False


class TwinBroker:
    """Orders by client id, positions, cash, and the order stream."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.orders: dict[str, Json] = {}
        self.positions: dict[str, Decimal] = {}
        self.cash = Decimal(100_000)
        self.activities: list[Json] = []
        self.faults: deque[Fault] = deque()
        self.sockets: list[TwinSocket] = []
        self.requests: list[tuple[str, str, Lane]] = []
        self.bodies: list[Json] = []
        self.handshakes = 0
        self.is_key_good = True
        self.is_silent = False
        self.is_mute = False
        self.refuses_sockets: str = ""
        self.on_request: Callable[[str, str], None] = lambda _method, _path: None
        self.closes_fill = True
        self.can_page = True
        self._n = 0

    # --- the network port ---

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        lane: Lane = Lane.POLL,
        deadline_s: float = 10.0,
    ) -> Reply:
        del deadline_s
        parts = urlsplit(url)
        path = parts.path.removeprefix("/v2")
        assert headers["APCA-API-KEY-ID"] == "key"
        self.requests.append((method, path, lane))
        await asyncio.sleep(TRIP_S)
        self.on_request(method, path)
        fault = self._fault(method, path)
        if fault is not None and not fault.is_processed:
            return self._broken(fault)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if not self.is_key_good:
            return _reply(401, {"message": "unauthorized."})
        reply = self._answer(method, path, query, json.loads(body) if body else {})
        return reply if fault is None else self._broken(fault)

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> TwinSocket:
        del url, headers, deadline_s
        await asyncio.sleep(0)
        if self.refuses_sockets:
            raise NetworkError(self.refuses_sockets, was_sent=True)
        socket = TwinSocket(self)
        self.sockets.append(socket)
        return socket

    async def close(self) -> None:
        return

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.method == method and path.startswith(fault.path):
                self.faults.remove(fault)
                return fault
        return None

    def _broken(self, fault: Fault) -> Reply:
        if fault.reply is None:
            raise NetworkError("cut by the test", was_sent=fault.is_sent)
        return Reply(fault.reply[0], fault.reply[1], fault.headers)

    # --- REST ---

    def _answer(self, method: str, path: str, query: Mapping[str, str], body: Json) -> Reply:
        rows: dict[tuple[str, str], Callable[[], Reply]] = {
            ("POST", "/orders"): lambda: self._submit(body),
            ("GET", "/orders"): lambda: self._list(
                int(query["limit"]), query.get("after_order_id")
            ),
            ("GET", "/orders:by_client_order_id"): lambda: self._find(query["client_order_id"]),
            ("DELETE", "/orders"): self._cancel_all,
            ("GET", "/positions"): lambda: _reply(
                200, [self._position(*row) for row in self.positions.items()]
            ),
            ("DELETE", "/positions"): self._close_all,
            ("GET", "/account"): self._account,
            ("GET", "/account/activities"): lambda: self._activities(query["activity_types"]),
            ("GET", "/clock"): lambda: _reply(200, {}),
        }
        if (method, path) in rows:
            return rows[method, path]()
        assert method == "DELETE"
        _, kind, name = path.split("/")
        if kind == "orders":
            return self._cancel(name)
        self._close(name)
        return _reply(200, {})

    def _list(self, limit: int, after: str | None) -> Reply:
        rows = [order for order in self.orders.values() if _is_open(order)]
        names = [order["id"] for order in rows]
        start = names.index(after) + 1 if after and self.can_page else 0
        return _reply(200, rows[start : start + limit])

    def _find(self, client_id: str) -> Reply:
        order = self.orders.get(client_id)
        return _reply(200, order) if order else _not_found()

    def _cancel_all(self) -> Reply:
        for order in [order for order in self.orders.values() if _is_open(order)]:
            self.end(order["client_order_id"], "canceled")
        return _reply(207, [])

    def _close_all(self) -> Reply:
        for symbol in list(self.positions):
            self._close(symbol)
        return _reply(207, [])

    def _account(self) -> Reply:
        cash = str(self.cash)
        return _reply(200, {"id": "a", "account_number": "PA1", "status": "ACTIVE",
                            "cash": cash, "equity": cash})  # fmt: skip

    def _activities(self, kinds: str) -> Reply:
        wanted = kinds.split(",")
        return _reply(200, [row for row in self.activities if row["activity_type"] in wanted])

    def _submit(self, body: Json) -> Reply:
        self.bodies.append(body)
        client_id = body["client_order_id"]
        if client_id in self.orders:
            return _reply(422, {"code": 40010001, "message": "client_order_id must be unique"})
        order = self.make(client_id, **body)
        self.report("new", order)
        return _reply(200, order)

    def make(self, client_id: str, **fields: Any) -> Json:
        self._n += 1
        order = {
            "id": f"b{self._n}", "client_order_id": client_id, "symbol": "IBM", "qty": "10",
            "side": "buy", "type": "limit", "limit_price": None, "status": "new",
            "filled_qty": "0", "filled_avg_price": None,
            "created_at": time_text(self.clock.now()), **fields,
        }  # fmt: skip
        self.orders[client_id] = order
        return order

    def _cancel(self, broker_order_id: str) -> Reply:
        order = next((o for o in self.orders.values() if o["id"] == broker_order_id), None)
        if order is None:
            return _not_found()
        if not _is_open(order):
            text = f'order is already in "{order["status"]}" state'
            return _reply(422, {"code": 42210000, "message": text})
        self.end(order["client_order_id"], "canceled")
        return Reply(204, b"")

    def _close(self, symbol: str) -> None:
        quantity = self.positions[symbol]
        order = self.make(f"close-{self._n}", symbol=symbol, qty=str(quantity), side="sell")
        if self.closes_fill:
            order["status"] = "filled"
            del self.positions[symbol]

    def _position(self, symbol: str, quantity: Decimal) -> Json:
        is_pair = "/" in symbol
        return {
            "symbol": symbol.replace("/", ""), "qty": str(quantity), "avg_entry_price": "10",
            "side": "long" if quantity > 0 else "short",
            "asset_class": "crypto" if is_pair else "us_equity",
        }  # fmt: skip

    # --- what a test makes happen ---

    def fill(self, client_id: str, quantity: str, price: str, *, coin_fee: str = "0") -> Json:
        """Execute a part of an order, tell it, and return the update."""
        order = self.orders[client_id]
        amount, cost = Decimal(quantity), Decimal(quantity) * Decimal(price)
        before = Decimal(order["filled_qty"])
        spent = before * Decimal(order["filled_avg_price"] or 0)
        cumulative = before + amount
        order["filled_qty"] = str(cumulative)
        order["filled_avg_price"] = str((spent + cost) / cumulative)
        is_done = cumulative >= Decimal(order["qty"])
        order["status"] = "filled" if is_done else "partially_filled"
        sign = 1 if order["side"] == "buy" else -1
        symbol = order["symbol"]
        self.positions[symbol] = (
            self.positions.get(symbol, Decimal(0)) + sign * amount - Decimal(coin_fee)
        )
        if not self.positions[symbol]:
            del self.positions[symbol]
        self.cash -= sign * cost
        execution = f"x-{client_id}-{cumulative}"
        self.activities.append({
            "id": f"20260101000000000::{execution}", "activity_type": "FILL", "qty": quantity,
            "price": price, "cum_qty": str(cumulative), "order_id": order["id"],
            "transaction_time": time_text(self.clock.now()),
        })  # fmt: skip
        return self.report(
            "fill" if is_done else "partial_fill", order, qty=quantity, price=price,
            position_qty=str(self.positions.get(symbol, 0)), execution_id=execution,
        )  # fmt: skip

    def end(self, client_id: str, status: str) -> Json:
        """End an order and tell it."""
        order = self.orders[client_id]
        order["status"] = status
        return self.report(status, order)

    def report(self, event: str, order: Json, **fields: Any) -> Json:
        """Send an update to whoever listens; return it."""
        stamp = time_text(self.clock.now())
        data = {"event": event, "timestamp": stamp, "order": dict(order), **fields}
        if not self.is_mute:
            self.repeat(data)
        return data

    def repeat(self, data: Json) -> None:
        """Send an update (again)."""
        for socket in self.sockets:
            if socket.is_listening:
                socket.put({"stream": "trade_updates", "data": data})

    def posts(self) -> int:
        """Return how many orders were posted."""
        return sum(request[:2] == ("POST", "/orders") for request in self.requests)


def _is_open(order: Json) -> bool:
    return order["status"] not in {"filled", "canceled", "expired", "rejected", "replaced"}


def _reply(status: int, body: object) -> Reply:
    return Reply(status, json.dumps(body).encode(), {"x-ratelimit-remaining": "150"})


def _not_found() -> Reply:
    return _reply(404, {"code": 40410000, "message": "order not found"})
