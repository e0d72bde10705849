"""Starting again reads a part of the log and comes to the same: cores, edge, and what readers show."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.app import virtual
from tests.app.virtual import Recorded, play
from tradingd.app import history, system
from tradingd.broker import order_store
from tradingd.broker.order_store import OrderStore
from tradingd.log.memory_store import MemoryStore
from tradingd.log.recovery import recover
from tradingd.log.sqlite_store import SqliteStore
from tradingd.messages import Envelope, OrderFilled
from tradingd.runtime.ports import Checkpoint
from tradingd.views.system_view import SystemView
from tradingd.wiring import WIRING, build_cores

SEED, MINUTES = 7, 8


class Keeping(MemoryStore):
    """Keeps every checkpoint it was given."""

    made: list[Keeping] = []  # noqa: RUF012 - the one way to reach the store of a played session

    def __init__(self) -> None:
        super().__init__()
        self.checkpoints: list[Checkpoint] = []
        Keeping.made.append(self)

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        self.checkpoints.append(checkpoint)
        await super().save_checkpoint(checkpoint)


class Edge:
    """What `resume` asks of the broker's edge."""

    def __init__(self) -> None:
        self.known = OrderStore()
        self.kinds, self.load = self.known.kinds, self.known.load
        self.unfinished = self.known.unfinished

    def apply(self, envelope: Envelope) -> None:
        self.known.apply(envelope.message, envelope.at)


@pytest.fixture(scope="module")
def kept() -> tuple[Recorded, Keeping]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(virtual, "MemoryStore", Keeping)
        patch.setattr(system, "CHECKPOINT_REAL_S", 60.0)
        session = play(SEED, MINUTES)
    return session, Keeping.made[-1]


def known_of(log: list[Envelope], state: bytes | None = None) -> OrderStore:
    known = OrderStore()
    if state is not None:
        known.load(state)
    for envelope in log:
        known.apply(envelope.message, envelope.at)
    return known


def test_checkpoints_are_kept_while_the_house_trades(kept: tuple[Recorded, Keeping]) -> None:
    assert len(kept[1].checkpoints) >= MINUTES


async def test_from_every_checkpoint_the_cores_come_to_the_same(
    kept: tuple[Recorded, Keeping],
) -> None:
    session, store = kept
    whole = build_cores(session.settings)
    fresh = MemoryStore()
    fresh.rows = store.rows
    await recover(fresh, whole, WIRING, random.Random(1))
    for checkpoint in store.checkpoints:
        cores = build_cores(session.settings)
        await fresh.save_checkpoint(checkpoint)
        recovered = await recover(fresh, cores, WIRING, random.Random(1))
        assert len(recovered.envelopes) < len(store.rows)
        for name, core in cores.items():
            assert core.save() == whole[name].save(), f"{name} from {checkpoint.seq}"


def test_from_every_checkpoint_the_edge_comes_to_the_same(kept: tuple[Recorded, Keeping]) -> None:
    session, store = kept
    whole = known_of(session.log).save()
    for checkpoint in store.checkpoints:
        late = [envelope for envelope in session.log if envelope.seq > checkpoint.seq]
        assert known_of(late, checkpoint.states["broker"]).save() == whole


def test_finished_orders_beyond_the_bound_are_let_go(
    kept: tuple[Recorded, Keeping], monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr(order_store, "SETTLED_SAVED_MAX", 3)
    again = OrderStore()
    again.load(known_of(kept[0].log).save())
    assert len(again._records) == 3 + len(again.unfinished())


@pytest.mark.parametrize("orders_max", [1, 3, 1000])
@pytest.mark.parametrize("part", [0.4, 0.6, 0.8])
async def test_readers_show_the_same_books_from_a_part_of_the_log(
    kept: tuple[Recorded, Keeping],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: float,
    orders_max: int,
) -> None:
    session = kept[0]
    log = session.log[: int(len(session.log) * part)]
    store = SqliteStore(tmp_path / "orders.db")
    await store.open()
    await store.put("genesis", "abcdef")
    await store.write(log)
    cores, edge, view, whole = build_cores(session.settings), Edge(), SystemView(), SystemView()
    recovered = await recover(store, cores, WIRING, random.Random(1))
    monkeypatch.setattr(history, "ORDERS_MAX", orders_max)
    await history.restore_history(store, recovered, edge, cores, ((view, view.kinds),))  # type: ignore[arg-type]
    await store.close()
    whole.restore(log)
    books = [[(p.strategy, p.symbol, p.quantity, p.realized_usd) for p in v.held()]
             for v in (view, whole)]  # fmt: skip
    assert books[0] == books[1]
    orders = [{(o.order_id, o.status, o.filled) for o in v.open_orders()} for v in (view, whole)]
    assert orders[0] == orders[1]
    assert (view.equity, view.permissions, view.day) == (whole.equity, whole.permissions, whole.day)
    assert view.counts.fills == 0


async def test_a_sample_is_spread_over_the_log_and_ends_with_the_last(
    kept: tuple[Recorded, Keeping], tmp_path: Path
) -> None:
    from tradingd.messages import EquityMarked

    store = SqliteStore(tmp_path / "orders.db")
    await store.open()
    await store.write(kept[0].log)
    marks = [e for e in kept[0].log if isinstance(e.message, EquityMarked)]
    some = await store.sample(EquityMarked, 20)
    fills = [e.seq for e in kept[0].log if isinstance(e.message, OrderFilled)]
    places = [await store.seq_of_last(OrderFilled, n) for n in (1, len(fills), len(fills) + 1)]
    await store.close()
    assert 5 <= len(some) <= 41
    assert some[-1] == marks[-1]
    assert {e.seq for e in some} < {e.seq for e in marks}
    assert places == [fills[-1], fills[0], -1]
