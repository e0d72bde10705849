"""Lets the edge and the readers take up an earlier log, and reads only as much of it as they need.

The cores go on from the checkpoint and so does the broker's edge. Readers show what was lately: the latest
orders whole, curves thinned. What a month brought is in the log and in the records, not in this process.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from tradingd import messages as m
from tradingd.broker.edge import AlpacaBroker
from tradingd.broker.order_store import Record
from tradingd.log.recovery import Recovered
from tradingd.log.sqlite_store import SqliteStore
from tradingd.messages import Core, Envelope, Message
from tradingd.portfolio.core import PortfolioCore

ORDERS_MAX = 2_000
ROWS_OF_A_KIND_MAX = 5_000
"""Beyond this many of one kind the readers' past begins later."""

CURVE_POINTS_MAX = 2_000
FLOODS: tuple[type[Message], ...] = (m.BrokerSnapshot, m.IntentRefused, m.Intent, m.AlertRaised)
"""What may come without orders, for ever."""

WHOLE: frozenset[type[Message]] = frozenset({
    m.OperatorOrder, m.DayStarted, m.StrategyStarted, m.StrategyStopped,
})  # fmt: skip
"""Few, and wanted from the very beginning: numbers that go on, and how each strategy stands."""

LATEST: tuple[type[Message], ...] = (
    m.LevelChanged, m.RunStarted, m.SessionChanged, m.BooksAgreed, m.BrokerSnapshot,
)  # fmt: skip
LATEST_ROWS = 4
"""How things stand; of sessions there is one for each market."""


class Reader(Protocol):
    """Shows what was; decides nothing."""

    def restore(self, envelopes: list[Envelope]) -> None:
        """Apply an earlier log, without telling any of it again."""


async def restore_history(
    store: SqliteStore,
    recovered: Recovered,
    broker: AlpacaBroker,
    cores: Mapping[str, Core],
    readers: Sequence[tuple[Reader, Collection[type[Message]]]],
) -> None:
    """Restore the broker's edge, then every reader with what it wants to hear."""
    await _restore_broker(store, recovered, broker)
    kinds = {kind for _, wanted in readers for kind in wanted}
    envelopes = await _recent(store, kinds, broker.unfinished(), cores)
    for reader, _ in readers:
        reader.restore(envelopes)


async def _restore_broker(store: SqliteStore, recovered: Recovered, broker: AlpacaBroker) -> None:
    is_whole = recovered.after_seq < 0 or _is_loaded(broker, recovered.more.get("broker"))
    past = recovered.envelopes if is_whole else await store.read_types(broker.kinds)
    for envelope in past:
        broker.apply(envelope)


def _is_loaded(broker: AlpacaBroker, state: bytes | None) -> bool:
    """Tell whether the edge goes on from its checkpoint; another version may have kept less, or otherwise."""
    try:
        broker.load(b"" if state is None else state)
    except (msgspec.MsgspecError, ValueError):
        return False
    return True


async def _recent(
    store: SqliteStore,
    kinds: Collection[type[Message]],
    unfinished: Sequence[Record],
    cores: Mapping[str, Core],
) -> list[Envelope]:
    floor = await store.seq_of_last(m.OrderApproved, ORDERS_MAX)
    for kind in FLOODS:
        floor = max(floor, await store.seq_of_last(kind, ROWS_OF_A_KIND_MAX))
    late = await store.read_types(set(kinds) - {m.EquityMarked}, floor)
    early = await store.read_types(WHOLE & set(kinds))
    for kind in LATEST:
        early += await store.read_types((kind,), await store.seq_of_last(kind, LATEST_ROWS) - 1)
    early = [each for each in early if each.seq <= floor]
    curve = await store.sample(m.EquityMarked, CURVE_POINTS_MAX)
    seen = sorted((*early, *curve, *late), key=lambda envelope: envelope.seq)
    return [*_open_items(seen, late, unfinished, cores), *seen]


def _open_items(
    seen: Sequence[Envelope],
    late: Sequence[Envelope],
    unfinished: Sequence[Record],
    cores: Mapping[str, Core],
) -> Iterator[Envelope]:
    """Yield what began before the part that is read and still stands: positions and working orders."""
    at = seen[0].at if seen else 0
    moved = {(e.message.strategy, e.message.symbol)
             for e in late if isinstance(e.message, m.PositionChanged)}  # fmt: skip
    portfolio = cores["portfolio"]
    assert isinstance(portfolio, PortfolioCore)
    for (strategy, symbol), held in portfolio.ledger.positions.open.items():
        if (strategy, symbol) not in moved and held.quantity:
            average = held.cost / held.quantity
            changed = m.PositionChanged(
                strategy, symbol, held.quantity, average, held.realized, held.fees, "restored"
            )
            yield Envelope(-1, at, "portfolio", changed)
    approved = {e.message.order_id for e in late if isinstance(e.message, m.OrderApproved)}
    for record in unfinished:
        if record.order.order_id not in approved:
            yield from _facts_of(record)


def _facts_of(record: Record) -> Iterator[Envelope]:
    order_id, at = record.order.order_id, record.approved_at
    yield Envelope(-1, at, "risk", record.order)
    if record.is_sent:
        yield Envelope(-1, at, "broker", m.OrderSent(order_id))
    if record.is_accepted:
        yield Envelope(-1, at, "broker", m.OrderAccepted(order_id, record.broker_order_id))
    for fill in record.executions.values():
        yield Envelope(-1, at, "broker", fill)
