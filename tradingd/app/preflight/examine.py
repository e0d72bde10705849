"""All checks of one configuration, in an order in which a later one never hides an earlier one's fault."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random

from tradingd.app.endpoints import Endpoints
from tradingd.app.identity import build, new_run_id
from tradingd.app.preflight import account as broker
from tradingd.app.preflight import machine
from tradingd.app.preflight.alerts import check_alerts
from tradingd.app.preflight.books import check_external, check_flatten
from tradingd.app.preflight.check import Check, Report, fail, ok, skip
from tradingd.app.preflight.feed import check_feed, check_order_stream, markets_of
from tradingd.app.preflight.limits import check_limits
from tradingd.app.state_directory import StateFiles
from tradingd.broker.alpaca_wire import WireAccount, local_symbol, number
from tradingd.broker.rest import AlpacaRest, CallFailed, identity_of
from tradingd.config import Settings, config_hash
from tradingd.config.mapping import core_settings, notify_settings
from tradingd.instruments.symbols import market_of
from tradingd.instruments.units import ZERO
from tradingd.log.recovery import recover
from tradingd.log.sqlite_store import SqliteStore, StoreError
from tradingd.messages import Market
from tradingd.portfolio.core import PortfolioCore
from tradingd.quotes.history import History
from tradingd.quotes.sessions import MarketSessions
from tradingd.runtime.ports import Network, NetworkError
from tradingd.wiring import WIRING, CoreSettings, build_cores

LOCKS = Path(__file__).parents[3] / "requirements/run.txt"
_NO_ACCOUNT = "the account could not be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is examined, and from where."""

    settings: Settings
    config_file: Path
    endpoints: Endpoints
    network: Network
    with_alerts: bool = True
    wall: broker.Wall = time.time


async def examine(subject: Subject) -> Report:
    """Ask everything; sends no order."""
    settings = subject.settings
    given = core_settings(settings)
    mode = settings.run.mode
    checks = [
        ok("configuration", f"{subject.config_file}, mode {mode}, {config_hash(settings)}"),
        *_machine(subject),
    ]
    account, of_account = await _account(subject)
    checks += of_account
    checks += await _market(subject)
    if account is None:
        checks += [skip(name, _NO_ACCOUNT) for name in ("limits", "orders and positions")]
    else:
        equity = number(account.equity) or ZERO
        checks.append(check_limits(given.risk, given.supervisor, equity))
        checks += await _holdings(subject, given)
    checks.append(await _alerts(subject))
    return Report(
        checks=checks,
        mode=mode,
        config_hash=config_hash(settings),
        build=build(),
        account=(account.account_number or "") if account else "",
    )


def _machine(subject: Subject) -> list[Check]:
    settings = subject.settings
    folder = settings.state_dir
    wanted = settings.notify.disk_free_mib_min + settings.run.log_bytes_max // machine.MIB
    is_live = settings.run.mode == "live"
    return [
        machine.check_versions(LOCKS),
        machine.check_config_file(subject.config_file, is_guarded=is_live),
        machine.check_folder(folder),
        machine.check_disk(folder, wanted),
    ]


async def _account(subject: Subject) -> tuple[WireAccount | None, list[Check]]:
    settings, endpoints = subject.settings, subject.endpoints
    rest = AlpacaRest(subject.network, endpoints.clock, endpoints.broker)
    try:
        answered = await broker.ask(rest, subject.wall)
    except NetworkError as error:
        return None, [broker.unreached(error, endpoints.broker), skip("account", _NO_ACCOUNT)]
    mode = settings.run.mode
    keys, account = broker.check_keys(answered, endpoints.broker, mode)
    checks = [keys, broker.check_skew(answered)]
    if account is not None:
        identity = identity_of(account)
        expected = settings.alpaca.account_id if mode != "mock" else ""
        checks.insert(1, broker.check_account(identity, expected, mode))
    return account, checks


async def _market(subject: Subject) -> list[Check]:
    endpoints, network = subject.endpoints, subject.network
    history = History(network, endpoints.clock, endpoints.feed)
    checks = [await broker.check_calendar(history)]
    checks += [
        await check_feed(network, endpoints.feed, market) for market in markets_of(endpoints.feed)
    ]
    return [*checks, await check_order_stream(network, endpoints.broker)]


async def _holdings(subject: Subject, settings: CoreSettings) -> list[Check]:
    endpoints = subject.endpoints
    rest = AlpacaRest(subject.network, endpoints.clock, endpoints.broker)
    try:
        orders, rows = await rest.open_orders(), await rest.positions()
    except CallFailed as failure:
        name = "orders and positions"
        return [fail(name, str(failure), "Wait until the broker is well, and ask again")]
    positions = {
        local_symbol(row.symbol or "", row.asset_class): number(row.qty) or ZERO for row in rows
    }
    is_live = subject.settings.run.mode == "live"
    try:
        instance_id, local = await _own_books(subject, settings)
    except (StoreError, sqlite3.Error) as error:
        remedy = "Restore it from a backup, or move it away: the account would be adopted anew"
        return [fail("order log", str(error), remedy)]
    closed = [symbol for symbol in positions if market_of(symbol) is Market.US_EQUITY]
    is_open = MarketSessions().regular_since(Market.US_EQUITY, endpoints.clock.now()) is not None
    return [
        check_external(orders, positions, local, instance_id, is_live=is_live),
        check_flatten(len(orders), positions, is_open=is_open, markets_closed=len(closed)),
    ]


async def _own_books(
    subject: Subject, settings: CoreSettings
) -> tuple[str, dict[str, Decimal] | None]:
    """Return the instance id and what our log says we hold; None where there is no log to continue."""
    files = StateFiles(subject.settings.state_dir)
    if subject.endpoints.server is not None or not files.log.exists():
        return "", None  # an embedded simulator's account is as new as its log will be
    store = SqliteStore(files.log, is_read_only=True)
    try:
        await store.open()
        cores = build_cores(settings)
        recovered = await recover(store, cores, WIRING, Random(0))
    finally:
        await store.close()
    portfolio = cores["portfolio"]
    assert isinstance(portfolio, PortfolioCore)
    held: dict[str, Decimal] = {}
    for (_, symbol), holding in portfolio.ledger.positions.open.items():
        held[symbol] = held.get(symbol, ZERO) + holding.quantity
    return recovered.instance_id, held


async def _alerts(subject: Subject) -> Check:
    settings = subject.settings
    if not subject.with_alerts:
        return skip("alerts", "no test alert was sent (--no-alerts)")
    return await check_alerts(notify_settings(settings), settings.run.mode, new_run_id())
