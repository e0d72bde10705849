"""What the state-changing routes do: a checked body in, a word of the house out."""

from __future__ import annotations

import msgspec

from tradingd import messages as m
from tradingd.api import bodies
from tradingd.api.guard import Refusal
from tradingd.api.operator import ALL_ORDERS, Standing
from tradingd.api.routing import Answer, Call
from tradingd.instruments.money import plain


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The command was given. `is_done`: the house has confirmed it; else look again."""

    request_id: str
    is_done: bool
    level: str
    causes: tuple[str, ...]


class NotGranted(msgspec.Struct, frozen=True, kw_only=True):
    """The house says no, and why."""

    code: str
    request_id: str
    reason: str


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's verdict on an order: approved, refused, or pending when it did not come in time."""

    code: str
    request_id: str
    intent_id: str
    verdict: str
    quantity: str
    limit_price: str | None = None
    rule: str = ""
    value: str = ""
    limit: str = ""
    reason: str = ""


async def submit_order(call: Call) -> Answer:
    """Bring an order before the gate."""
    asked = call.body
    assert isinstance(asked, bodies.OrderAsked)
    verdict = await call.surface.desk.order(asked, call.caller.who)
    if isinstance(verdict, str):
        return _judged(call, "pending", verdict, asked.quantity)
    if isinstance(verdict, m.IntentApproved):
        reply = Judged(
            code="approved",
            request_id=call.caller.request_id,
            intent_id=verdict.intent_id,
            verdict="approved",
            quantity=plain(verdict.quantity),
            limit_price=plain(verdict.limit_price),
        )
        return Answer(202, reply)
    return Answer(
        409,
        Judged(
            code="refused",
            request_id=call.caller.request_id,
            intent_id=verdict.intent_id,
            verdict="refused",
            quantity=asked.quantity,
            rule=verdict.rule,
            value=verdict.value,
            limit=verdict.limit,
            reason=verdict.reason,
        ),
    )


def _judged(call: Call, verdict: str, intent_id: str, quantity: str) -> Answer:
    reply = Judged(
        code=verdict,
        request_id=call.caller.request_id,
        intent_id=intent_id,
        verdict=verdict,
        quantity=quantity,
    )
    return Answer(202, reply)


async def cancel_order(call: Call) -> Answer:
    """Cancel one of our own working orders, or all of them; raises Refusal for any other."""
    if call.id == ALL_ORDERS:
        return told(call, await call.surface.desk.cancel_all(call.caller.who, call.reason))
    order = call.surface.view.orders.get(call.id)
    if order is None:
        raise Refusal(404, "not_found")
    if not order.is_open:
        return _not_granted(call, "closed", f"the order is {order.status}")
    standing = await call.surface.desk.cancel(call.id, call.caller.who, call.reason)
    return told(call, standing, "cancel_rejected")


async def start_strategy(call: Call) -> Answer:
    """Let a configured strategy speak again."""
    name = _strategy(call)
    return told(call, await call.surface.desk.start(name, call.caller.who, call.reason))


async def stop_strategy(call: Call) -> Answer:
    """Have a configured strategy say no more."""
    name = _strategy(call)
    return told(call, await call.surface.desk.stop(name, call.caller.who, call.reason))


async def pause(call: Call) -> Answer:
    """Take no entries until a resume."""
    return told(call, await call.surface.desk.pause(call.caller.who, call.reason))


async def resume(call: Call) -> Answer:
    """Clear a pause and what is latched."""
    standing = await call.surface.desk.resume(call.caller.who, call.reason)
    return told(call, standing, "resume_refused")


async def flatten(call: Call) -> Answer:
    """Sell everything, or one symbol; raises Refusal where that symbol is not held."""
    asked = call.body
    assert isinstance(asked, bodies.FlattenAsked)
    symbol = asked.symbol or ""
    if symbol and all(one.symbol != symbol for one in call.surface.view.held()):
        raise Refusal(404, "not_held")
    return told(call, await call.surface.desk.flatten(call.caller.who, call.reason, symbol))


async def stop(call: Call) -> Answer:
    """End the run."""
    asked = call.body
    assert isinstance(asked, bodies.StopAsked)
    call.surface.desk.end(call.caller.who, asked.reason, keep=asked.keep)
    return told(call, Standing(is_done=False))


async def emergency_stop(call: Call) -> Answer:
    """Halt, latched."""
    return told(call, await call.surface.desk.halt(call.caller.who, call.reason))


def _strategy(call: Call) -> str:
    if call.id not in call.surface.strategies:
        raise Refusal(404, "not_found")
    return call.id


def told(call: Call, standing: Standing, code: str = "refused") -> Answer:
    """Answer with where a command left the house, or with why it was refused."""
    if standing.refusal:
        return _not_granted(call, code, standing.refusal)
    view = call.surface.view
    reply = Told(
        request_id=call.caller.request_id,
        is_done=standing.is_done,
        level=view.permissions.level.value,
        causes=view.permissions.causes,
    )
    return Answer(202, reply)


def _not_granted(call: Call, code: str, reason: str) -> Answer:
    reply = NotGranted(code=code, request_id=call.caller.request_id, reason=reason)
    return Answer(409, reply)
