"""The standalone simulator as a process, and the account in it as anybody may read it over REST."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from tests.crash.life import ROOT
from tradingd.simulator.wire.fault import SimulatedFault
from tradingd.simulator.wire.settings import SIMULATOR_KEYS

SPEED = 20
"""Market seconds a real second: a life of three seconds is a market minute."""

MARKET_MINUTES = 2880
ANSWER_REAL_S_MAX = 60.0
ORDERS_PAGE, ACTIVITIES_PAGE = 500, 100
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Account:
    """What the broker has, by its own word."""

    orders: list[dict[str, Any]]
    fills: list[dict[str, Any]]
    positions: dict[str, Decimal]
    cash: Decimal

    @property
    def open_orders(self) -> list[str]:
        """Our ids of what may still trade."""
        ended = ("filled", "canceled", "expired", "rejected", "replaced", "done_for_day")
        return [row["client_order_id"] for row in self.orders if row["status"] not in ended]

    def executed(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Return quantity and value of what was executed of each order, from single executions."""
        by_broker_id = {row["id"]: row["client_order_id"] for row in self.orders}
        found: dict[str, tuple[Decimal, Decimal]] = {}
        for row in self.fills:
            order_id = by_broker_id.get(row["order_id"], row["order_id"])
            quantity, value = found.get(order_id, (ZERO, ZERO))
            part = Decimal(row["qty"])
            found[order_id] = quantity + part, value + part * Decimal(row["price"])
        return found


class Broker:
    """A market that goes on while the daemon dies."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._log = (folder / "simulator.log").open("w")
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "tradingd", "simulator", "--port", "0", "--seed", str(seed),
             "--speed", str(SPEED), "--minutes", str(MARKET_MINUTES), "--start", "2024-03-05 09:30"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        emitted = self._process.stdout.readline()
        assert emitted, f"no simulator: see {self._log.name}"
        self.url = emitted.split()[-1]

    def close(self) -> None:
        """End the market."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    async def arm(self, fault: SimulatedFault) -> None:
        """Have something go wrong."""
        await asyncio.to_thread(self._call, "/sim/faults", msgspec.json.encode(fault))

    async def fired(self) -> dict[str, int]:
        """Return how often each fault has struck."""
        settings = await asyncio.to_thread(self._call, "/sim/faults")
        fired: dict[str, int] = settings["fired"]
        return fired

    async def account(self) -> Account:
        """Read the whole account, all pages."""
        return await asyncio.to_thread(self._account)

    def _account(self) -> Account:
        held = self._call("/v2/positions")
        positions = {_system(row): Decimal(row["qty"]) for row in held}
        cash = Decimal(self._call("/v2/account")["cash"])
        return Account(self._orders(), self._fills(), positions, cash)

    def _orders(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        query = {"status": "all", "limit": str(ORDERS_PAGE), "direction": "asc"}
        while True:
            page = self._call(f"/v2/orders?{urlencode(query)}")
            rows += page
            if len(page) < ORDERS_PAGE:
                return rows
            query["after_order_id"] = page[-1]["id"]

    def _fills(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        query = {"activity_types": "FILL", "direction": "asc", "page_size": str(ACTIVITIES_PAGE)}
        while True:
            page = self._call(f"/v2/account/activities?{urlencode(query)}")
            rows += page
            if len(page) < ACTIVITIES_PAGE:
                return rows
            query["page_token"] = page[-1]["id"]

    def _call(self, path: str, body: bytes | None = None) -> Any:
        keys = SIMULATOR_KEYS
        headers = {"APCA-API-KEY-ID": keys.key_id, "APCA-API-SECRET-KEY": keys.secret_key}
        request = urllib.request.Request(self.url + path, data=body, headers=headers)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=ANSWER_REAL_S_MAX) as reply:  # noqa: S310 - loopback
            return json.loads(reply.read())


def _system(row: Mapping[str, str]) -> str:
    """Return a symbol as the system writes it."""
    symbol = row["symbol"]
    is_coin = row["asset_class"] == "crypto" and "/" not in symbol
    return f"{symbol.removesuffix('USD')}/USD" if is_coin else symbol
