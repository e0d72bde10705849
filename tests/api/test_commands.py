"""What commands do to the system, and what they answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from tests.api.kit import AT, MORNING, Kit, served
from tradingd import messages as m
from tradingd.api.audit import verify
from tradingd.api.auth import Access
from tradingd.messages import Ask, Role
from tradingd.reconciler.core import ReconcilerCore
from tradingd.runtime.actor import Actor

pytestmark = pytest.mark.usefixtures("kit")
HALT = "/api/risk/emergency-stop"
WHY = {"reason": "test"}


async def test_a_halt_is_latched_when_it_answers_and_may_be_asked_again(kit: Kit) -> None:
    for _ in range(3):
        status, body = await kit.call("POST", HALT, Access.HALT, body=WHY)
        assert status == 202
        assert (body["is_done"], body["level"], body["causes"]) == (True, "halted", ["halt"])
    assert [asked.ask for asked in kit.published(m.OperatorAsked)] == [Ask.HALT] * 3
    assert kit.published(m.OperatorAsked)[0].who == "halt@127.0.0.1"


async def test_a_halt_needs_neither_request_id_nor_a_disk(kit: Kit) -> None:
    (kit.folder / "audit.jsonl").unlink(missing_ok=True)
    (kit.folder / "audit.jsonl").mkdir()
    status, body = await kit.call("POST", HALT, Access.HALT, body=WHY, fresh=False)
    assert (status, body["level"]) == (202, "halted")
    status, body = await kit.call("POST", "/api/control/pause", Access.HALT, body=WHY)
    assert (status, body["code"]) == (503, "audit_unavailable")


async def test_resuming_is_harder_than_halting(kit: Kit) -> None:
    await kit.call("POST", HALT, Access.HALT, body=WHY)
    resume = "/api/control/resume"
    assert (await kit.call("POST", resume, Access.HALT, body=WHY))[0] == 403
    assert (await kit.call("POST", resume, body={"reason": ""}))[0] == 400
    assert (await kit.call("POST", resume, body=WHY, fresh=False))[0] == 400
    status, body = await kit.call("POST", resume, body={"reason": "looked at it"})
    assert (status, body["level"]) == (202, "normal")


async def test_fault_81_a_resume_while_the_books_differ_is_refused_with_the_reason(
    kit: Kit,
) -> None:
    kit.publish(m.BreakOpened("position", "IBM", "10", "12"))
    status, body = await kit.call("POST", "/api/control/resume", body=WHY)
    assert (status, body["code"]) == (409, "resume_refused")
    assert "differ" in body["reason"]


@contextlib.asynccontextmanager
async def reconciling(kit: Kit) -> AsyncIterator[None]:
    """Have a reconciler that knows the morning compare the books."""
    core = ReconcilerCore()
    for envelope in kit.log:
        core.apply(envelope.message, envelope.at)
    actor = Actor("reconciler", core, kit.bus, kit.failures.append)
    running = asyncio.create_task(actor.run())
    yield
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_person_sees_what_differs_and_accepts_it_with_a_reason(kit: Kit) -> None:
    path, external_ids = (
        "/api/control/reconcile",
        [unidentified("by-hand"), unidentified("another")],
    )
    async with reconciling(kit):
        kit.publish(
            books("2500", ("IBM", "12"), orders=[unidentified("g-e-sma-2-1"), *external_ids])
        )
        await kit.settle()
        status, body = await kit.call("GET", "/api/reconcile", Access.READ)
        assert (status, body["is_agreed"], body["broker_cash_usd"]) == (200, False, "2500")
        assert [(row["kind"], row["local"], row["reported"]) for row in body["differences"]] == [
            ("position", "10", "12"), ("cash", "98994", "2500"),
            ("foreign_order", "not ours", "another"), ("foreign_order", "not ours", "by-hand"),
        ]  # fmt: skip
        assert body["broker_positions"] == [
            {"symbol": "IBM", "quantity": "12", "average_price": "10"}]  # fmt: skip
        assert (await kit.call("POST", path, Access.HALT, body=WHY))[0] == 403
        assert (await kit.call("POST", path, body={"reason": ""}))[0] == 400
        status, body = await kit.call("POST", path, body={"reason": "bought by hand"})
        assert (status, body["is_done"], body["causes"]) == (202, True, [])
        adopted = kit.published(m.BookAdopted)[-1]
        assert adopted.reason == "accepted by operate@127.0.0.1: bought by hand"
        status, body = await kit.call("GET", "/api/reconcile", Access.READ)
        assert (body["is_agreed"], body["differences"]) == (True, [])


async def test_nothing_can_be_accepted_before_the_brokers_books_were_read(tmp_path: Path) -> None:
    async with served(tmp_path, morning=False) as kit:
        status, body = await kit.call("POST", "/api/control/reconcile", body=WHY)
        assert (status, body["code"]) == (409, "not_read")
        status, body = await kit.call("GET", "/api/reconcile", Access.READ)
        assert (body["is_agreed"], body["differences"], body["read_at"]) == (False, [], None)
        kit.view.restore([m.Envelope(0, 0, "broker", books("1000"))])
        status, body = await kit.call("POST", "/api/control/reconcile", body=WHY)
        assert (status, body["code"]) == (409, "not_read"), (
            "what an earlier run read does not count"
        )


def books(
    cash: str, *positions: tuple[str, str], orders: Sequence[m.BrokerOrder] = ()
) -> m.BrokerSnapshot:
    amount = Decimal(cash)
    rows = tuple(m.BrokerPosition(symbol, Decimal(held), Decimal(10)) for symbol, held in positions)
    return m.BrokerSnapshot("period", amount, amount, amount, rows, tuple(orders), AT)


def unidentified(order_id: str) -> m.BrokerOrder:
    return m.BrokerOrder(order_id, "b2", "IBM", m.Side.BUY, Decimal(5), Decimal(0), "new")


async def test_a_request_counts_once_and_only_in_its_time(kit: Kit) -> None:
    now = int(time.time())
    same = {"Request-Id": "a" * 32, "Request-Time": str(now)}
    path = "/api/control/resume"
    assert (await kit.call("POST", path, body=WHY, headers=same))[0] == 202
    status, body = await kit.call("POST", path, body=WHY, headers=same)
    assert (status, body["code"]) == (409, "replayed")
    for stamp in (now - 3600, now + 3600):
        late = {"Request-Id": "b" * 32, "Request-Time": str(stamp)}
        status, body = await kit.call("POST", path, body=WHY, headers=late)
        assert (status, body["code"]) == (409, "stale_request")
    await asyncio.sleep(0.5)
    short = {"Request-Id": "c", "Request-Time": str(now)}
    assert (await kit.call("POST", path, body=WHY, headers=short))[0] == 400


async def test_an_order_passes_the_gate_and_its_verdict_is_the_answer(kit: Kit) -> None:
    order = {"symbol": "AIG", "side": "buy", "quantity": "10", "reason": "by hand"}
    status, body = await kit.call("POST", "/api/orders", body=order)
    assert (status, body["verdict"]) == (202, "approved"), body
    assert body["intent_id"] == "g-o-operator-1"
    (emitted,) = kit.published(m.OperatorOrder)
    assert (emitted.role, emitted.quantity, emitted.who) == (
        Role.ENTRY, Decimal(10), "operate@127.0.0.1",
    )  # fmt: skip
    status, body = await kit.call("POST", "/api/orders", body={**order, "quantity": "900000"})
    assert (status, body["code"], body["intent_id"]) == (409, "refused", "g-o-operator-2")
    assert body["rule"]
    assert body["value"]
    assert body["limit"]


async def test_numbers_of_orders_go_on_after_a_restart(kit: Kit) -> None:
    emitted = m.OperatorOrder("g-o-operator-41", "AIG", m.Side.BUY, Role.ENTRY, Decimal(1), None, "x", "y")  # fmt: skip
    kit.view.restore([m.Envelope(0, AT, "control", emitted)])
    assert kit.view.activity.operator_orders == 41


async def test_an_order_without_a_verdict_is_pending_and_never_guessed(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradingd.api.operator.ANSWER_REAL_S_MAX", 0.05)
    kit.actors["risk"].is_quarantined = True
    kit.bus._mailboxes.pop("risk")
    kit.bus._forget_routes()
    order = {"symbol": "AIG", "side": "buy", "quantity": "10", "reason": "by hand"}
    status, body = await kit.call("POST", "/api/orders", body=order)
    assert (status, body["verdict"]) == (202, "pending")


async def test_only_our_own_working_orders_can_be_canceled(kit: Kit) -> None:
    assert (await kit.call("POST", "/api/orders/strange-1/cancel", body=WHY))[0] == 404
    status, body = await kit.call("POST", "/api/orders/g-e-sma-1-1/cancel", body=WHY)
    assert (status, body["code"]) == (409, "closed")
    asked = asyncio.create_task(kit.call("POST", "/api/orders/g-e-sma-2-1/cancel", body=WHY))
    await kit.asked.get()
    kit.publish(m.OrderCanceled("g-e-sma-2-1", Decimal(0)))
    status, body = await asked
    assert (status, body["is_done"]) == (202, True)
    assert kit.published(m.OperatorAsked)[0].target == "g-e-sma-2-1"


async def test_all_working_orders_can_be_canceled_at_once(kit: Kit) -> None:
    asked = asyncio.create_task(kit.call("POST", "/api/orders/all/cancel", body=WHY))
    await kit.asked.get()
    kit.publish(m.OrderCanceled("g-e-sma-2-1", Decimal(0)))
    status, body = await asked
    assert (status, body["is_done"]) == (202, True)
    assert kit.published(m.OperatorAsked)[0].target == "all"


async def test_a_strategy_stops_and_starts(kit: Kit) -> None:
    asked = asyncio.create_task(kit.call("POST", "/api/strategies/sma/stop", body=WHY))
    await kit.asked.get()
    kit.publish(m.StrategyStopped("sma", "asked"))
    assert (await asked)[1]["is_done"]
    status, body = await kit.call("POST", "/api/strategies/sma/stop", body=WHY)
    assert (status, body["is_done"]) == (202, True), "asking again changes nothing"
    assert len(kit.published(m.OperatorAsked)) == 1
    assert (await kit.call("POST", "/api/strategies/other/start", body=WHY))[0] == 404


async def test_flatten_and_stop_reach_the_supervisor_and_the_daemon(kit: Kit) -> None:
    status, body = await kit.call("POST", "/api/control/flatten", body={**WHY, "symbol": "AIG"})
    assert (status, body["code"]) == (404, "not_held")
    status, body = await kit.call("POST", "/api/control/flatten", body=WHY)
    assert (status, body["level"]) == (202, "flattening")
    assert (await kit.call("POST", "/api/control/stop", body={**WHY, "keep": True}))[0] == 202
    assert kit.stops == [("operate@127.0.0.1", "test", True)]


async def test_every_command_is_on_record_before_it_acts_with_its_result(kit: Kit) -> None:
    await kit.call("POST", HALT, Access.HALT, body=WHY)
    await kit.call("POST", "/api/control/resume", Access.HALT, body=WHY)
    await kit.call("POST", "/api/control/resume", None, body=WHY)
    await kit.call("POST", "/api/orders/strange-1/cancel", body=WHY)
    trail = kit.folder / "audit.jsonl"
    assert verify(trail).fault == ""
    rows = [json.loads(line) for line in trail.read_text().splitlines()]
    settings = [(row["path"], row["role"], row["phase"], row["result"]) for row in rows]
    assert settings == [
        (HALT, "halt", "asked", ""),
        (HALT, "halt", "done", "202"),
        ("/api/control/resume", "halt", "refused", "forbidden"),
        ("/api/control/resume", "none", "refused", "unauthorized"),
        ("/api/orders/strange-1/cancel", "operate", "asked", ""),
        ("/api/orders/strange-1/cancel", "operate", "refused", "not_found"),
    ]
    assert json.loads(rows[0]["what"]) == WHY
    assert trail.stat().st_mode & 0o777 == 0o600


async def test_the_trail_goes_on_over_a_restart(kit: Kit) -> None:
    await kit.call("POST", HALT, Access.HALT, body=WHY)
    await kit.api.close()
    async with served(kit.folder, morning=False) as again:
        again.publish(*MORNING)
        await again.settle()
        await again.call("POST", HALT, Access.HALT, body=WHY)
    found = verify(kit.folder / "audit.jsonl")
    assert (found.rows, found.fault) == (4, "")
