"""Questions that a resting order answers: small, far from the market, canceled at once."""

from __future__ import annotations

from scripts.paper_probe.paper import Paper, Unanswered, body_of, events_of
from scripts.paper_probe.report import Questions
from tradingd.broker.outcome import error_text
from tradingd.runtime.ports import Reply


def _published(reply: Reply) -> str:
    if reply.status < 300:
        return f"HTTP {reply.status} {body_of(reply).get('status', '')}".strip()
    return f"HTTP {reply.status} {' '.join(error_text(reply))}"


async def _placed(paper: Paper) -> str:
    reply = await paper.place(paper.settings.equity)
    if reply.status != 200:
        raise Unanswered(f"the order was refused: {_published(reply)}")
    return str(body_of(reply)["id"])


async def order_events(paper: Paper) -> str:
    """Place and cancel, and listen."""
    async with paper.updates() as frames:
        order_id = await _placed(paper)
        canceled = await paper.ask("DELETE", f"/v2/orders/{order_id}")
    kinds = {"binary" if isinstance(frame, bytes) else "text" for frame in frames}
    events = ", ".join(events_of(frames)) or "none"
    return f"{'/'.join(sorted(kinds))} frames; events {events}; cancel HTTP {canceled.status}"


async def replace_events(paper: Paper) -> str:
    """Replace a resting order, then replace what has been replaced."""
    async with paper.updates() as frames:
        order_id = await _placed(paper)
        before = await paper.at_venue(order_id)
        changed = await paper.replace(order_id, qty="2")
        await paper.at_venue(order_id)
        again = await paper.replace(order_id, qty="3")
    return (
        f"replace of {before} {_published(changed)}; of the replaced one {_published(again)}; "
        f"events {', '.join(events_of(frames)) or 'none'}"
    )


async def id_twice(paper: Paper) -> str:
    """Use an id again after its order was canceled."""
    reply = await paper.place(paper.settings.equity)
    if reply.status != 200:
        raise Unanswered(f"the order was refused: {_published(reply)}")
    order = body_of(reply)
    await paper.ask("DELETE", f"/v2/orders/{order['id']}")
    twice = await paper.place(
        paper.settings.equity, client_order_id=order["client_order_id"], limit_price="1.00"
    )
    return _published(twice)


async def crypto_fok(paper: Paper) -> str:
    """Ask for fill-or-kill far from the market, where it can only be killed."""
    return _published(await paper.place(paper.settings.crypto, time_in_force="fok"))


async def cancel_twice(paper: Paper) -> str:
    """Cancel what is canceled."""
    order_id = await _placed(paper)
    settings = [_published(await paper.ask("DELETE", f"/v2/orders/{order_id}")) for _ in range(2)]
    return "; then ".join(settings)


ORDER_QUESTIONS: Questions = {
    "order_events": (
        "Which events, in which frames, tell of an order and its cancel?",
        order_events,
    ),
    "replace_events": ("Which events tell of a replace, and of one that fails?", replace_events),
    "id_twice": ("Is a client order id unique beyond its order?", id_twice),
    "cancel_twice": ("What answers the cancel of a canceled order?", cancel_twice),
    "crypto_fok": ("Does crypto take fill-or-kill?", crypto_fok),
}
