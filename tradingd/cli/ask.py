"""`status`, `positions` and `orders`: ask the running daemon over its unix socket.

The standard library's client rather than aiohttp: asking should take as long as the answer, not as long
as importing a web framework.
"""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

import click

from tradingd.cli.shared import (
    Exit,
    config_option,
    fail,
    json_option,
    load_or_exit,
    print_json,
    print_table,
)

SOCKET_FILE = "api.sock"
ASK_REAL_S_MAX = 5.0
REPLY_BYTES_MAX = 8 * 1024**2


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ASK_REAL_S_MAX)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(ASK_REAL_S_MAX)
        self.sock.connect(str(self._path))


def ask(file: Path, path: str) -> dict[str, Any]:
    """Return the daemon's answer to GET `path`; ends the process where there is none."""
    address = load_or_exit(file).state_dir / SOCKET_FILE
    connection = _UnixConnection(address)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        body = reply.read(REPLY_BYTES_MAX)
    except TimeoutError:
        fail(f"the daemon did not answer within {ASK_REAL_S_MAX:.0f} s", Exit.TIMEOUT)
    except (OSError, http.client.HTTPException):
        fail(f"no daemon answers at {address}; start one with `tradingd run`", Exit.NOT_RUNNING)
    finally:
        connection.close()
    if reply.status != 200:
        fail(f"the daemon refused: HTTP {reply.status}", Exit.FAILURE)
    answer: dict[str, Any] = json.loads(body)
    return answer


@click.command()
@config_option
@json_option
def status(file: Path, as_json: bool) -> None:
    """Show level, causes, account and connections of the running daemon. Exit 6 when halted."""
    health, portfolio = ask(file, "/api/health"), ask(file, "/api/portfolio")
    if as_json:
        print_json({"health": health, "portfolio": portfolio})
    else:
        _show_status(health, portfolio)
    if health["level"] == "halted":
        raise SystemExit(Exit.HALTED)


def _show_status(health: dict[str, Any], portfolio: dict[str, Any]) -> None:
    causes = f" ({', '.join(health['causes'])})" if health["causes"] else ""
    streams = {**health["feeds"], "trade_updates": health["is_broker_connected"]}
    rows = [
        ("level", health["level"] + causes),
        ("mode", health["mode"]),
        ("market time", health["market_time"]),
        ("sessions", ", ".join(f"{k} {v}" for k, v in health["sessions"].items())),
        ("streams", ", ".join(f"{k} {'up' if v else 'DOWN'}" for k, v in streams.items())),
        ("equity", f"{portfolio['equity_usd']} USD"),
        ("day", f"{portfolio['day_pnl_usd']} USD"),
        ("exposure", f"{portfolio['exposure_usd']} USD in {portfolio['positions']} positions"),
        ("open orders", str(portfolio["open_orders"])),
        ("run", f"{health['run_id']}, build {health['build']}"),
    ]
    for name, value in rows:
        click.echo(f"{name:<12} {value}")


@click.command()
@config_option
@json_option
def positions(file: Path, as_json: bool) -> None:
    """Show what the running daemon holds, by strategy and symbol."""
    answer = ask(file, "/api/positions")
    if as_json:
        print_json(answer)
        return
    head = ("strategy", "symbol", "quantity", "average", "value", "unrealized", "realized")
    keys = (
        "strategy", "symbol", "quantity", "average_price", "market_value_usd", "unrealized_usd",
        "realized_usd",
    )  # fmt: skip
    _show(answer["positions"], head, keys, "no positions")


@click.command()
@config_option
@json_option
def orders(file: Path, as_json: bool) -> None:
    """Show the open orders of the running daemon, then the latest closed ones."""
    answer = ask(file, "/api/orders")
    if as_json:
        print_json(answer)
        return
    keys = ("order_id", "status", "role", "side", "symbol", "quantity", "filled", "limit_price")
    _show(answer["orders"], (*keys[:5], "quantity", "filled", "limit"), keys, "no orders")


def _show(
    items: list[dict[str, Any]], head: tuple[str, ...], keys: tuple[str, ...], none: str
) -> None:
    if not items:
        click.echo(none)
        return
    rows = [tuple("" if one[key] is None else str(one[key]) for key in keys) for one in items]
    words = sum(key in ("order_id", "status", "role", "side", "strategy", "symbol") for key in keys)
    print_table(head, rows, numbers=len(keys) - words)
