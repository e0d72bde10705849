"""What the state-changing routes do: a checked body in, a word of the system out."""

from __future__ import annotations

import msgspec

from tradingd import messages as m
from tradingd.api import bodies
from tradingd.api.guard import RequestRefusal
from tradingd.api.operator import ALL_ORDERS, CommandResult
from tradingd.api.routing import ApiCall, RouteReply
from tradingd.instruments.money import plain


class CommandAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The command was given. `is_done`: the system has confirmed it; else look again."""

    request_id: str
    is_done: bool
    level: str
    causes: tuple[str, ...]


class CommandDenied(msgspec.Struct, frozen=True, kw_only=True):
    """The system says no, and why."""

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


async def submit_order(call: ApiCall) -> RouteReply:
    """Bring an order before the gate."""
    asked = call.body
    assert isinstance(asked, bodies.OrderAsked)
    verdict = await call.context.commands.order(asked, call.caller.who)
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
        return RouteReply(202, reply)
    return RouteReply(
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


def _judged(call: ApiCall, verdict: str, intent_id: str, quantity: str) -> RouteReply:
    reply = Judged(
        code=verdict,
        request_id=call.caller.request_id,
        intent_id=intent_id,
        verdict=verdict,
        quantity=quantity,
    )
    return RouteReply(202, reply)


async def cancel_order(call: ApiCall) -> RouteReply:
    """Cancel one of our own working orders, or all of them; raises RequestRefusal for any other."""
    if call.id == ALL_ORDERS:
        return command_reply(
            call, await call.context.commands.cancel_all(call.caller.who, call.reason)
        )
    order = call.context.view.orders.get(call.id)
    if order is None:
        raise RequestRefusal(404, "not_found")
    if not order.is_open:
        return _not_granted(call, "closed", f"the order is {order.status}")
    result = await call.context.commands.cancel(call.id, call.caller.who, call.reason)
    return command_reply(call, result, "cancel_rejected")


async def start_strategy(call: ApiCall) -> RouteReply:
    """Let a configured strategy speak again."""
    name = _strategy(call)
    return command_reply(
        call, await call.context.commands.start(name, call.caller.who, call.reason)
    )


async def stop_strategy(call: ApiCall) -> RouteReply:
    """Have a configured strategy say no more."""
    name = _strategy(call)
    return command_reply(call, await call.context.commands.stop(name, call.caller.who, call.reason))


async def pause(call: ApiCall) -> RouteReply:
    """Take no entries until a resume."""
    return command_reply(call, await call.context.commands.pause(call.caller.who, call.reason))


async def resume(call: ApiCall) -> RouteReply:
    """Clear a pause and what is latched."""
    result = await call.context.commands.resume(call.caller.who, call.reason)
    return command_reply(call, result, "resume_refused")


async def flatten(call: ApiCall) -> RouteReply:
    """Sell everything, or one symbol; raises RequestRefusal where that symbol is not held."""
    asked = call.body
    assert isinstance(asked, bodies.FlattenAsked)
    symbol = asked.symbol or ""
    if symbol and all(one.symbol != symbol for one in call.context.view.held()):
        raise RequestRefusal(404, "not_held")
    return command_reply(
        call, await call.context.commands.flatten(call.caller.who, call.reason, symbol)
    )


async def stop(call: ApiCall) -> RouteReply:
    """End the run."""
    asked = call.body
    assert isinstance(asked, bodies.StopAsked)
    call.context.commands.end(call.caller.who, asked.reason, keep=asked.keep)
    return command_reply(call, CommandResult(is_done=False))


async def emergency_stop(call: ApiCall) -> RouteReply:
    """Halt, latched."""
    return command_reply(call, await call.context.commands.halt(call.caller.who, call.reason))


def _strategy(call: ApiCall) -> str:
    if call.id not in call.context.strategies:
        raise RequestRefusal(404, "not_found")
    return call.id


def command_reply(call: ApiCall, result: CommandResult, code: str = "refused") -> RouteReply:
    """Answer with where a command left the system, or with why it was refused."""
    if result.refusal:
        return _not_granted(call, code, result.refusal)
    view = call.context.view
    reply = CommandAccepted(
        request_id=call.caller.request_id,
        is_done=result.is_done,
        level=view.permissions.level.value,
        causes=view.permissions.causes,
    )
    return RouteReply(202, reply)


def _not_granted(call: ApiCall, code: str, reason: str) -> RouteReply:
    reply = CommandDenied(code=code, request_id=call.caller.request_id, reason=reason)
    return RouteReply(409, reply)
