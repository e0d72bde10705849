"""`tradingd explain`: why there is an order, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tradingd.app.exit_codes import Exit
from tradingd.cli.journal import log_or_exit, settings_or_exit, store_errors, warn_of_other_settings
from tradingd.cli.shared import (
    config_option,
    fail,
    json_option,
    load_or_exit,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from tradingd.app.explain import OrderStory, Story
    from tradingd.messages import Envelope
    from tradingd.risk.rules import Answer

_HIDDEN = {"type", "intent_id", "order_id", "strategy", "symbol", "side", "role"}
"""Fields that stand in the heading."""


@click.command()
@click.argument("order_id")
@click.option(
    "--journal", type=click.Path(path_type=Path), help="Another order log, or its folder."
)
@config_option
@json_option
def explain(order_id: str, journal: Path | None, file: Path, as_json: bool) -> None:
    """Tell the life of an order from the log: the signal, each rule with its numbers, each order, each fill.

    ORDER_ID is an order or the intent behind it. The rules are asked again on the book and the marks of that
    moment; where the market tape no longer reaches back to it, that is said. The configuration must be that
    of the run. Exit 1 when the log knows no such order.
    """
    from tradingd.app.explain import NotInTheLog
    from tradingd.app.explain import explain as explain_order
    from tradingd.log.order_log import OrderLog
    from tradingd.log.tape import read_tape
    from tradingd.messages import RunStarted

    log_file = log_or_exit(journal, file)
    settings = load_or_exit(file)
    limits = settings_or_exit(settings).risk
    log = OrderLog(log_file, is_read_only=True)
    with store_errors():
        log.open()
        try:
            warn_of_other_settings(log.read_types([RunStarted]), settings)
            story = explain_order(log, read_tape(log_file.parent / "tape"), order_id, limits)
        except NotInTheLog as error:
            fail(str(error), Exit.FAILURE)
        finally:
            log.close()
    if as_json:
        print_json(_as_json(story))
    else:
        _show(story)


def _as_json(story: Story) -> dict[str, Any]:
    return {
        "intent_id": story.intent_id,
        "asked": _describe(story.asked),
        "verdict": _describe(story.verdict),
        "rules": _rules(story.rules),
        "orders": [
            {
                "order_id": order.order_id,
                "proposed": _describe(order.proposed),
                "verdict": _describe(order.verdict),
                "rules": _rules(order.rules),
                "wire": [_describe(each) for each in order.wire],
                "fills": [_describe(each) for each in order.fills],
                "fees": [_describe(each) for each in order.fees],
            }
            for order in story.orders
        ],
        "closed": _describe(story.closed),
        "notes": story.notes,
    }


def _describe(envelope: Envelope | None) -> dict[str, Any] | None:
    import msgspec

    if envelope is None:
        return None
    message: dict[str, Any] = json.loads(msgspec.json.encode(envelope.message))
    return {"seq": envelope.seq, "at": _time(envelope.at), "by": envelope.source, **message}


def _rules(rules: Sequence[Answer]) -> list[dict[str, Any]]:
    return [rule._asdict() for rule in rules]


def _show(story: Story) -> None:
    first = (story.asked or story.orders[0].proposed).message
    values = [str(getattr(first, name, "")) for name in ("strategy", "role", "side", "symbol")]
    click.echo(f"{story.intent_id}: {' '.join(value for value in values if value)}")
    if story.asked is not None:
        _heading("asked", story.asked)
    if story.verdict is not None:
        _heading("answered", story.verdict)
    _show_rules(story.rules)
    for order in story.orders:
        _show_order(order)
    if story.closed is not None:
        _heading("closed", story.closed)
    for note in story.notes:
        click.echo(f"\nnote: {note}")


def _show_order(order: OrderStory) -> None:
    number = getattr(order.proposed.message, "slice_number", 0)
    click.echo(f"\norder {order.order_id}" + (f", slice {number}" if number else ""))
    _heading("proposed", order.proposed)
    _show_rules(order.rules)
    events = [*([] if order.verdict is None else [order.verdict]), *order.wire, *order.fills]
    rows = [
        (_time(each.at), each.source, type(each.message).__name__, _details(each))
        for each in sorted((*events, *order.fees), key=lambda each: each.seq)
    ]
    if rows:
        click.echo()
        print_table(("time", "by", "what", "numbers"), rows)


def _heading(text: str, envelope: Envelope) -> None:
    kind = type(envelope.message).__name__
    click.echo(f"\n{text} {_time(envelope.at)} by {envelope.source}: {kind}")
    for name, value in _fields(envelope):
        click.echo(f"  {name:<14} {value}")


def _show_rules(rules: Sequence[Answer]) -> None:
    if rules:
        click.echo()
        rows = [
            (each.rule, "REFUSED" if each.is_refusal else "ok", each.value, each.limit)
            for each in rules
        ]
        print_table(("rule", "", "value", "limit"), rows, numbers=2)


def _details(envelope: Envelope) -> str:
    return ", ".join(f"{name} {value}" for name, value in _fields(envelope))


def _fields(envelope: Envelope) -> Iterator[tuple[str, str]]:
    for name, value in (_describe(envelope) or {}).items():
        if name in _HIDDEN or name in {"seq", "at", "by"} or value in (None, ""):
            continue
        yield name, _time(value) if name.endswith("_at") and value else str(value)


def _time(at: int) -> str:
    moment = datetime.fromtimestamp(at // 10**9, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{at % 10**9 // 10**6:03}Z"
