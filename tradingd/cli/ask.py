"""`status`, `positions`, `orders`, `fills`, `pnl`, `risk`, `signals`, `alerts`, `strategies`: ask the daemon."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from tradingd.app.exit_codes import Exit
from tradingd.cli.shared import config_option, json_option, print_json, print_table
from tradingd.cli.talk import ask

PLACES_SHOWN = 6
_VALUES = frozenset({
    "order_id", "status", "role", "side", "strategy", "symbol", "at", "verdict", "rule", "reason",
    "name", "unit", "state", "severity", "kind", "text",
})  # fmt: skip
"""What is written from the left; the rest are numbers."""


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


@click.command()
@config_option
@json_option
def fills(file: Path, as_json: bool) -> None:
    """Show the latest executions, newest first."""
    answer = ask(file, "/api/fills")
    if as_json:
        print_json(answer)
        return
    keys = ("at", "strategy", "symbol", "role", "side", "quantity", "price")
    _show(answer["fills"], keys, keys, "no fills")


@click.command()
@config_option
@click.option("--by", type=click.Choice(["day", "symbol", "strategy"]), help="Sums of each.")
@json_option
def pnl(file: Path, by: str | None, as_json: bool) -> None:
    """Show what trading came to: in all, or by day, symbol or strategy."""
    answer = ask(file, "/api/performance")
    if by is not None:
        rows = answer[f"by_{by}"]
        if as_json:
            print_json(rows)
        else:
            keys = ("name", "fills", "volume_usd", "realized_usd", "fees_usd", "pnl_usd")
            _show(rows, (by, "fills", "volume", "realized", "fees", "profit"), keys, "no trades")
        return
    whole = {key: value for key, value in answer.items() if not key.startswith("by_")}
    if as_json:
        print_json(whole)
        return
    for name, value in whole.items():
        click.echo(f"{name:<18} {'-' if value is None else value}")


@click.command()
@config_option
@json_option
def risk(file: Path, as_json: bool) -> None:
    """Show every limit as used over limit, and which rules refused."""
    answer = ask(file, "/api/risk")
    if as_json:
        print_json(answer)
        return
    keys = ("name", "unit", "used", "limit", "used_pct")
    _show(answer["limits"], ("limit", "unit", "used", "of", "%"), keys, "no limits")
    refused = ", ".join(f"{one['rule']} {one['count']}" for one in answer["refused"])
    click.echo(f"\nrefused: {refused or 'nothing'}")


@click.command()
@config_option
@json_option
def signals(file: Path, as_json: bool) -> None:
    """Show what strategies and operators asked for, and what the gate said; newest first."""
    answer = ask(file, "/api/signals")
    if as_json:
        print_json(answer)
        return
    keys = (
        "at",
        "strategy",
        "symbol",
        "side",
        "verdict",
        "rule",
        "reason",
        "confidence",
        "quantity",
    )
    _show(answer["signals"], keys, keys, "no signals")


@click.command()
@config_option
@json_option
def alerts(file: Path, as_json: bool) -> None:
    """Show the latest alerts, newest first."""
    answer = ask(file, "/api/alerts")
    if as_json:
        print_json(answer)
        return
    keys = ("at", "severity", "kind", "text")
    _show(answer["alerts"], keys, keys, "no alerts")


@click.command()
@config_option
@json_option
def strategies(file: Path, as_json: bool) -> None:
    """Show every configured strategy: running, stopped or cold."""
    answer = ask(file, "/api/strategies")
    if as_json:
        print_json(answer)
        return
    keys = ("strategy", "state", "reason", "positions", "realized_usd", "fees_usd")
    _show(answer["strategies"], (*keys[:4], "realized", "fees"), keys, "no strategies")


def _show(items: list[dict[str, Any]], head: Sequence[str], keys: Sequence[str], none: str) -> None:
    if not items:
        click.echo(none)
        return
    rows = [tuple(_cell(key, one[key]) for key in keys) for one in items]
    print_table(head, rows, numbers=sum(key not in _VALUES for key in keys))


def _cell(key: str, value: object) -> str:
    if value is None:
        return ""
    text = str(value)
    if key in _VALUES or "." not in text:
        return text
    rounded = f"{Decimal(text):.{PLACES_SHOWN}f}".rstrip("0").rstrip(".")
    return text if len(text) <= len(rounded) else rounded
