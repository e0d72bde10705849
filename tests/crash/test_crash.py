"""A short session of real crashes, and that its comparison would see what it looks for."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from tests.crash.__main__ import WHOLE, chain_of, is_broken, main
from tests.crash.books import Log, Verdict, compare, read_log
from tests.crash.broker import Account
from tests.crash.script import MOMENTS, draw_doom, draw_troubles
from tests.crash.session import Session
from tradingd.log.sqlite_store import SqliteStore
from tradingd.messages import Envelope, OrderFilled, SnapshotAsked
from tradingd.observability.events import ROWS

pytestmark = pytest.mark.wire
KILLS = 4
Tampered = tuple[Log, Account]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Verdict, Log, Account]:
    async def play() -> tuple[Verdict, Log, Account]:
        session = Session(tmp_path_factory.mktemp("crash"), 11)
        verdict = await session.run(KILLS)
        assert session.kills == KILLS
        assert session.account is not None
        return verdict, await read_log(session.config), session.account

    return asyncio.run(play())


def test_after_a_few_kills_log_and_account_agree(played: tuple[Verdict, Log, Account]) -> None:
    verdict, _, account = played
    assert list(verdict.faults()) == []
    assert verdict.fills > 0
    assert account.positions == {}


def _without(log: Log, kind: type[object]) -> Log:
    last = next(e for e in reversed(log.rows) if isinstance(e.message, kind))
    return dataclasses.replace(log, rows=[e for e in log.rows if e is not last])


TAMPERED: dict[str, tuple[str, Callable[[Log, Account], Tampered]]] = {
    "a fill that was not counted": ("lost", lambda log, account: (_without(log, OrderFilled), account)),
    "an order without an intent": (
        "doubled", lambda log, account: (log, dataclasses.replace(
            account, orders=[*account.orders, {**account.orders[0], "client_order_id": "another"}]))),
    "two orders of one intent": (
        "doubled", lambda log, account: (
            log, dataclasses.replace(account, orders=[*account.orders, account.orders[0]]))),
    "a fill that never was": (
        "doubled", lambda log, account: (log, dataclasses.replace(account, fills=account.fills[1:]))),
    "a cent and a bit": (
        "differences", lambda log, account: (
            log, dataclasses.replace(account, cash=account.cash + Decimal("0.02")))),
    "a share": (
        "differences", lambda log, account: (
            log, dataclasses.replace(account, positions={"ACMX": Decimal(1)}))),
    "another quantity": (
        "differences", lambda log, account: (log, dataclasses.replace(
            account, orders=[{**account.orders[0], "qty": "999"}, *account.orders[1:]]))),
    "limits that were tighter": (
        "past_limit", lambda log, account: (dataclasses.replace(log, core_settings=dataclasses.replace(
            log.core_settings, risk=dataclasses.replace(log.core_settings.risk, exposure_pct_max=Decimal("0.1")))), account)),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_the_comparison_sees(what: str, played: tuple[Verdict, Log, Account]) -> None:
    kind, tamper = TAMPERED[what]
    _, log, account = played
    verdict = compare(*tamper(log, account))
    assert getattr(verdict, kind), list(verdict.faults())


def test_the_script_follows_from_the_seed_and_knows_the_events_it_waits_for() -> None:
    first, again = ([draw_doom(rng) for _ in range(50)] for rng in (Random(3), Random(3)))
    assert first == again
    assert {doom.act for doom in first} >= {"", "stop"}
    assert {doom.is_starting for doom in first} == {True, False}
    assert [draw_troubles(Random(n)) for n in range(9)] == [
        draw_troubles(Random(n)) for n in range(9)
    ]
    assert set(MOMENTS) <= {row.event for row in ROWS.values()}


def test_anything_wrong_is_an_exit_of_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record: dict[str, object] = {
        "kills": 1,
        "lost": 0,
        "doubled": 0,
        "past_limit": 0,
        "differences": 0,
        "chain": WHOLE,
    }
    assert not is_broken(record)
    assert is_broken(record | {"chain": "orders.db, row 7: was changed"})
    for kind in ("lost", "doubled", "past_limit", "differences"):
        assert is_broken(record | {kind: 1})

    async def played(*_: object) -> dict[str, object]:
        return {**record, "lost": 1}

    monkeypatch.setattr("tests.crash.__main__.play", played)
    assert main(["--kills", "1", "--keep", str(tmp_path)]) == 1


async def test_a_log_that_does_not_hold_is_named_in_the_record(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    store = SqliteStore(path)
    await store.open()
    await store.write([Envelope(n, n, "supervisor", SnapshotAsked(str(n))) for n in range(3)])
    await store.close()
    assert chain_of(path) == WHOLE
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE order_log SET at = 7 WHERE seq = 1")
        db.commit()
    assert chain_of(path).startswith("orders.db, row 1: does not follow")
    assert "missing" in chain_of(tmp_path / "missing.db")
