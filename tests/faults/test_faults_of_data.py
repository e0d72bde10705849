"""Faults 28, 29 and 40 to 47: what the market does, and what the system makes of what it is told."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.app.large_orders import Once
from tests.app.lives import without_strategies
from tests.faults.environment import SYMBOL, Retell, Scene, day, patient, pause
from tradingd.instruments.money import round_limit, round_quantity, tick_of
from tradingd.instruments.symbols import instrument
from tradingd.messages import (
    ActorFailed,
    Ask,
    Bar,
    FeedConnected,
    FeedStale,
    IntentClosed,
    IntentRefused,
    Level,
    LevelChanged,
    Mark,
    Market,
    OrderApproved,
    OrderExpired,
    OrderFilled,
    OrderSent,
    Role,
    Side,
    SymbolHalted,
)
from tradingd.strategy.protocol import PositionView, Signal, Strategy
from tradingd.strategy.settings import StrategySettings
from tradingd.wiring import CoreSettings

MINUTE_NS = 60_000_000_000


def quote(bid: object, ask: object, symbol: str = SYMBOL, size: object = 100) -> str:
    """Return a raw quote of now."""
    return json.dumps({"T": "q", "S": symbol, "bx": "V", "bp": bid, "bs": size, "ax": "V",
                       "ap": ask, "as": size, "t": "now", "c": ["R"], "z": "C"})  # fmt: skip


def counts(scene: Scene) -> dict[str, int]:
    """Return what the door refused, by reason."""
    return dict(scene.life.system.feed.handler.quote_filter.counts)


def test_fault_28_a_halted_symbol_gets_no_orders_and_its_flattening_waits_with_an_alert(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        await scene.published(scene.buy(), OrderFilled)
        scene.trouble("halt", symbols=(SYMBOL,), for_s=120)
        await scene.until(lambda: len(scene.life.published(SymbolHalted)) > 0, 5)
        refused = scene.buy()
        await scene.published(refused, IntentRefused)
        scene.life.ask(Ask.FLATTEN)
        await pause(60)
        assert scene.held() == 10
        assert not [o for o in scene.life.published(OrderApproved) if o.order.role is Role.FLATTEN]
        assert scene.life.alerts().count("flatten_waits") == 1
        await scene.until(lambda: scene.held() == 0, 300)

    day(tmp_path, story, retell=patient)


def cut_off(settings: CoreSettings) -> CoreSettings:
    """Want much more than ten minutes will give."""
    settings = without_strategies(settings)
    once = StrategySettings(
        name="once", kind="once", symbols=(SYMBOL,), when="quote", refusal_wait_s=1,
        params={"quantity": 200, "algorithm": "twap:1200:60"},
    )  # fmt: skip
    return dataclasses.replace(settings, strategies=(once,), kinds={"once": Once})


def test_fault_29_a_plan_cut_off_by_the_close_reports_its_rest_and_does_not_roll_over(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        await scene.until(lambda: len(scene.life.published(OrderFilled)) > 0, 120)
        await scene.until(
            lambda: any(c.role is Role.ENTRY for c in scene.life.published(IntentClosed)),
            scene.town.at("16:00") + 120,
        )
        (closed,) = [c for c in scene.life.published(IntentClosed) if c.role is Role.ENTRY]
        assert 0 < closed.filled < closed.quantity
        assert closed.filled == scene.held()
        ended = len(scene.life.published(OrderSent))
        await pause(600)
        assert len(scene.life.published(OrderSent)) == ended, "nothing goes on after the close"
        assert not scene.town.exchange.open_orders()

    day(tmp_path, story, start="15:50", retell=cut_off, is_flat_at_end=False)


def test_fault_29_a_day_order_left_at_the_close_expires(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        resting = scene.buy(10, "-1.5")
        await pause(scene.town.at("16:00") + 60)
        assert scene.of(resting, OrderExpired) or scene.of(resting, IntentClosed)
        assert not scene.town.exchange.open_orders()

    day(tmp_path, story, start="15:50", retell=patient, is_flat_at_end=False)


def test_fault_40_no_entry_is_decided_on_frozen_quotes(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("freeze", symbols=(SYMBOL,), for_s=100)
        await scene.until(
            lambda: any(s.symbol == SYMBOL for s in scene.life.published(FeedStale)), 60
        )
        before = len(scene.life.published(OrderSent))
        parent = scene.buy()
        await scene.published(parent, IntentRefused)
        assert len(scene.life.published(OrderSent)) == before
        await pause(100)
        await scene.published(scene.buy(), OrderFilled)

    day(tmp_path, story)


@pytest.mark.parametrize(("bid", "ask", "reason"), [
    (90.0, 80.0, "crossed"), (0, 80.0, "not_positive"), (-5.0, 80.0, "not_positive"),
    ("nan", 80.0, "not_finite"), (80.0, "inf", "not_finite"),
])  # fmt: skip
def test_fault_41_nonsense_is_dropped_and_counted(
    tmp_path: Path, bid: object, ask: object, reason: str
) -> None:
    async def story(scene: Scene) -> None:
        before = counts(scene)[reason]
        for _ in range(5):
            scene.trouble("inject", socket="data", path="/v2/", body=quote(bid, ask))
        await pause(1)
        assert counts(scene)[reason] == before + 5
        assert all(0 < mark.bid <= mark.ask < 1e6 for mark in scene.life.published(Mark))
        assert scene.life.is_at(Level.NORMAL)

    day(tmp_path, story)


@pytest.mark.parametrize("factor", [10.0, 0.1])
def test_fault_42_one_spike_moves_no_mark_and_trips_no_limit(tmp_path: Path, factor: float) -> None:
    async def story(scene: Scene) -> None:
        await scene.published(scene.buy(200), OrderFilled)
        mark = scene.last_mark()
        scene.trouble("inject", socket="data", path="/v2/",
                      body=quote(round(mark.bid * factor, 2), round(mark.ask * factor, 2)))  # fmt: skip
        await pause(3)
        assert counts(scene)["spike"] == 1
        assert scene.held() == 200, "no stop, no target was reached by it"
        assert {emitted.level for emitted in scene.life.published(LevelChanged)[-1:]} == {
            Level.NORMAL
        }
        assert abs(scene.last_mark().bid / mark.bid - 1) < 0.1

    day(tmp_path, story)


def test_fault_43_an_unknown_symbol_is_ignored_and_counted(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.trouble("inject", socket="data", path="/v2/", body=quote(1.0, 2.0, "NOBODY"))
        scene.trouble("inject", socket="data", path="/v2/", body='[{"T":"zz","S":"ACMX","x":1}]')
        scene.trouble("inject", socket="data", path="/v2/", body='[{"T":"q","S":null}]')
        await pause(1)
        assert counts(scene)["unknown_symbol"] == 1
        assert scene.life.system.feed.handler.unread == 2
        assert not any(mark.symbol == "NOBODY" for mark in scene.life.published(Mark))
        assert scene.life.is_at(Level.NORMAL)

    day(tmp_path, story)


def test_fault_44_stamps_of_the_future_and_of_the_past_stay_outside(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        mark = scene.last_mark()
        for seconds in (3600.0, 86_400.0, -120.0):
            scene.trouble("inject", socket="data", path="/v2/", seconds=seconds,
                          body=quote(mark.bid, mark.ask))  # fmt: skip
        await pause(1)
        assert (counts(scene)["future"], counts(scene)["out_of_order"]) == (2, 1)
        await pause(20)
        stamps = [m.quoted_at for m in scene.life.published(Mark) if m.symbol == SYMBOL]
        assert stamps == sorted(stamps)
        assert stamps[-1] <= scene.town.clock.now()
        assert stamps[-1] > mark.quoted_at, "the next true quote came in"

    day(tmp_path, story)


def test_fault_45_a_burst_fills_no_inbox_and_delays_no_halt(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.published(scene.buy(), OrderFilled)
        mark = scene.last_mark()
        point = json.loads(quote(mark.bid, mark.ask))
        body = json.dumps([point] * 400)
        for _ in range(50):  # 20,000 quotes at one instant
            scene.trouble("inject", socket="data", path="/v2/", body=body)
        resting = scene.buy(5, "-1")
        asked = scene.life.ask(Ask.HALT)
        took = await scene.until(lambda: not scene.life.is_at(Level.NORMAL), 5)
        assert took < 1.0
        assert scene.life.entries_sent(after_seq=asked) == []
        await pause(2)
        assert not scene.life.published(ActorFailed)
        assert not scene.of(resting, OrderFilled)
        mailboxes = scene.life.system.bus.mailboxes
        assert all(
            mailbox.qsize() < mailbox.maxsize or not mailbox.maxsize
            for mailbox in mailboxes.values()
        )
        scene.life.ask(Ask.RESUME, "the test is over")

    day(tmp_path, story, retell=patient)


def test_fault_46_the_minutes_a_feed_missed_are_read_back_as_history(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        received = scene.life.system.bus.watch("bars", (Bar,), 10_000)
        await pause(125)
        scene.trouble("refuse", path="/v2/iex", for_s=200)
        scene.trouble("close", socket="data", path="/v2/", code=1006)
        before = len(scene.life.published(FeedConnected))
        await scene.until(lambda: len(scene.life.published(FeedConnected)) > before, 400)
        assert scene.life.system.feed.gap_bars > 0
        await pause(130)
        settings = [received.get_nowait().message for _ in range(received.qsize())]
        bars = [b for b in settings if isinstance(b, Bar) and b.symbol == SYMBOL and b.span_s == 60]
        run = [b.opened_at for b in bars if b.opened_at >= bars[-1].opened_at - 6 * MINUTE_NS]
        assert run == sorted(set(run)), "each minute once, in order"
        assert any(b.is_history and b.opened_at in run for b in bars), "the gap is marked"
        assert not any(b.is_history for b in bars[-1:]), "and over"

    day(tmp_path, story)


class Listener(Strategy):
    """Wants nothing and remembers what it saw."""

    def __init__(self, seen: list[tuple[int, bool, int]]) -> None:
        self._seen = seen

    def on_bar(self, bar: Bar, view: PositionView) -> Signal | None:
        self._seen.append((bar.opened_at, bar.is_history, view.received_since))
        return None


def listening(seen: list[tuple[int, bool, int]]) -> Retell:
    """Let one strategy listen to minutes."""

    def retell(settings: CoreSettings) -> CoreSettings:
        one = StrategySettings(name="ear", kind="ear", symbols=(SYMBOL,), when="bar", span_s=60)
        kinds = {"ear": lambda: Listener(seen)}
        return dataclasses.replace(without_strategies(settings), strategies=(one,), kinds=kinds)

    return retell


@pytest.mark.parametrize("is_read_back", [True, False])
def test_fault_46_a_strategy_sees_the_gap_read_back_or_not(
    tmp_path: Path, *, is_read_back: bool
) -> None:
    seen: list[tuple[int, bool, int]] = []

    async def story(scene: Scene) -> None:
        await pause(125)
        began = seen[-1][2]
        scene.trouble("refuse", path="/v2/iex", for_s=200)
        if not is_read_back:
            scene.trouble("status", path="/v2/stocks/bars", status=500)
        scene.trouble("close", socket="data", path="/v2/", code=1006)
        lost_at = scene.town.clock.now()
        await scene.until(lambda: len(scene.life.published(FeedConnected)) > 2, 400)
        back_at = scene.town.clock.now()
        await pause(130)
        live = [row for row in seen if not row[1] and row[0] > back_at]
        assert live
        assert began < lost_at < live[-1][2], "the view says since when it hears without a hole"
        gap = [at for at, is_history, _ in seen if is_history and lost_at < at < back_at]
        assert bool(gap) == is_read_back
        counts = scene.life.system.feed.gaps
        assert counts["us_equity", "read" if is_read_back else "unread"] == 1

    day(tmp_path, story, retell=listening(seen))


def test_fault_46_a_late_open_is_a_gap_for_strategies_too(tmp_path: Path) -> None:
    seen: list[tuple[int, bool, int]] = []

    async def story(scene: Scene) -> None:
        opened_at = scene.town.clock.now()
        scene.trouble("freeze", symbols=(SYMBOL,), for_s=240)
        await pause(400)
        live = [row for row in seen if not row[1]]
        assert live[-1][2] > opened_at + 4 * MINUTE_NS - 1, "heard since the late opening"
        refused = [row for row in live if row[0] < opened_at + 3 * MINUTE_NS]
        assert all(row[2] <= opened_at for row in refused)

    day(tmp_path, story, retell=listening(seen))


@given(
    st.sampled_from(["ACMX", "BTC/USD"]),
    st.decimals("0.0000000001", "100000", allow_nan=False, allow_infinity=False),
    st.decimals("0.0001", "100000", allow_nan=False, allow_infinity=False),
    st.sampled_from(list(Side)),
)
def test_fault_47_rounding_is_toward_less_risk(
    symbol: str, quantity: Decimal, price: Decimal, side: Side
) -> None:
    rounded = round_quantity(symbol, quantity)
    assert 0 <= rounded <= quantity
    assert rounded % instrument(symbol).lot == 0
    limit = round_limit(symbol, price, side)
    assert limit <= price if side is Side.BUY else limit >= price
    assert limit % tick_of(symbol, price) == 0


def test_fault_47_fractions_leave_as_they_were_meant_and_never_as_zero(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.until(
            lambda: any(m.symbol == "BTC/USD" for m in scene.life.published(Mark)), 30
        )
        for quantity in ("0.123456789", "0.0123456789012", "0.3", "0.00000000004"):
            scene.life.order(100 + len(quantity), "BTC/USD", quantity, "0.01")
        await pause(30)
        sent = {o.client_order_id: o for o in scene.town.exchange.orders()}
        approved = [o for o in scene.life.published(OrderApproved) if o.order.symbol == "BTC/USD"]
        assert approved
        for order in approved:
            assert order.order.quantity > 0
            assert sent[order.order_id].qty == order.order.quantity, "exact text, no float between"

    day(tmp_path, story)


def test_symbols_are_added_and_dropped_while_the_sockets_stay_open(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        feed = scene.life.system.feed
        kept = tuple(symbol for symbol in feed.handler.symbols if symbol != SYMBOL)
        await feed.watch(kept)
        await pause(3)
        count = len([m for m in scene.life.published(Mark) if m.symbol == SYMBOL])
        await pause(15)
        assert len([m for m in scene.life.published(Mark) if m.symbol == SYMBOL]) == count
        await feed.watch((*kept, SYMBOL))
        await scene.until(
            lambda: len([m for m in scene.life.published(Mark) if m.symbol == SYMBOL]) > count, 60
        )
        assert len(scene.life.published(FeedConnected)) == 2, "the sockets of the start"
        scene.trouble("inject", socket="data", path="/v2/",
                      body='[{"T":"error","code":405,"msg":"symbol limit exceeded"}]')  # fmt: skip
        await pause(1)
        assert sum(stream.refused_changes for stream in feed.streams) == 1
        assert len(scene.life.published(FeedConnected)) == 2, "the old set stays"
        feed.streams[:] = [s for s in feed.streams if s.market is not Market.CRYPTO]
        with pytest.raises(ValueError, match="no socket"):
            await feed.watch(("BTC/USD",))

    day(tmp_path, story)
