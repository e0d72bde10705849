"""The host: warm-up, positions by fills, one open intent, quarantine of the strategy that raises."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from tests.strategy import kit
from tests.support.verdicts import intent_refused
from tradingd.messages import (
    AlertRaised,
    Ask,
    Bar,
    BookAdopted,
    BrokerPosition,
    CorporateAction,
    FeeCharged,
    FeedRecovered,
    FeedStale,
    Intent,
    IntentClosed,
    IntentRefused,
    Level,
    LevelChanged,
    Market,
    Message,
    OperatorAsked,
    OrderFilled,
    Quote,
    Role,
    Session,
    SessionChanged,
    SetTimer,
    Side,
    StrategyStarted,
    StrategyStopped,
    TimerFired,
    TradeBusted,
)
from tradingd.strategy.core import StrategyCore
from tradingd.strategy.protocol import PositionView, Signal, Strategy
from tradingd.strategy.settings import Param, StrategySettings, When

SECOND = 1_000_000_000


class Eager(Strategy):
    """Wants what the size of the bid says: 1 buys, 2 sells, 3 raises, else nothing."""

    def __init__(self, *, warmup: int = 1, quantity: str = "10") -> None:
        self._warmup = warmup
        self._quantity = Decimal(quantity)
        self.fills: list[OrderFilled] = []

    @property
    def warmup(self) -> int:
        return self._warmup

    def on_quote(self, quote: Quote, view: PositionView) -> Signal | None:
        return self._signal(quote.bid_size)

    def on_bar(self, bar: Bar, view: PositionView) -> Signal | None:
        return self._signal(bar.volume)

    def on_timer(self, now: int, view: PositionView) -> Signal | None:
        return self._signal(view.quote.bid_size if view.quote else 0)

    def on_fill(self, fill: OrderFilled, view: PositionView) -> None:
        self.fills.append(fill)

    def _signal(self, value: float) -> Signal | None:
        if value == 1:
            return Signal(side=Side.BUY, reason="up", quantity=self._quantity, confidence=0.9)
        if value == 2:
            return Signal(side=Side.SELL, reason="down")
        if value == 3:
            raise KeyError("lost")
        return None


def a_core(
    *names: str, symbols: tuple[str, ...] = ("BTC/USD",), when: When = "quote", **params: Param
) -> StrategyCore:
    settings = tuple(
        StrategySettings(name=name, kind="eager", symbols=symbols, when=when, params=params)
        for name in names or ("one",)
    )
    core = StrategyCore(settings, {"eager": Eager})
    kit.start(core)
    return core


def quote(value: float = 0, symbol: str = "BTC/USD", at: int = 0) -> Quote:
    return Quote(symbol, 99.0, value, 101.0, 1.0, at)


def bar(value: float, *, is_history: bool = False) -> Bar:
    return Bar("BTC/USD", 60, 0, 1.0, 1.0, 1.0, 50.0, value, is_history)


def a_fill(
    side: Side, quantity: str, *, strategy: str = "one", price: str = "100", symbol: str = "BTC/USD"
) -> OrderFilled:
    number = Decimal(quantity)
    return OrderFilled(
        "o", "b", "e", "i", strategy, symbol, side, Role.ENTRY, number, Decimal(price), number, number, 0
    )  # fmt: skip


def refused(intent: Intent) -> IntentRefused:
    return intent_refused(
        intent.intent_id, intent.strategy, intent.symbol, intent.role, "rule", "1", "2", "too much"
    )


def closed(intent: Intent, filled: str = "10") -> IntentClosed:
    return IntentClosed(
        intent.intent_id, intent.strategy, intent.symbol, intent.side, intent.role,
        Decimal(10), Decimal(filled), Decimal(100), "filled",
    )  # fmt: skip


def intents(fact: Sequence[Message]) -> list[Intent]:
    return [message for message in fact if isinstance(message, Intent)]


def test_no_intent_before_warm_up_and_the_start_is_said_once() -> None:
    core = a_core(warmup=3)
    assert list(core.handle(quote(1), 0)) == []
    assert list(core.handle(quote(1), 0)) == []
    started, intent = core.handle(quote(1, at=5), 7)
    assert started == StrategyStarted("one", "warm")
    assert intent == Intent(
        "gen-e-one-1", "one", "BTC/USD", Side.BUY, Role.ENTRY, Decimal(10), "up", 0.9, 99.0, 101.0, 5
    )  # fmt: skip


def test_history_bars_warm_up_and_never_make_an_intent() -> None:
    core = a_core(when="bar", warmup=2)
    assert not intents(core.handle(bar(1, is_history=True), 0))
    assert core.handle(bar(1, is_history=True), 0) == (StrategyStarted("one", "warm"),)
    assert not intents(core.handle(bar(1, is_history=True), 0))
    (intent,) = intents(core.handle(bar(1), 0))
    assert (intent.bid, intent.ask, intent.quoted_at) == (50.0, 50.0, 60 * SECOND)


def test_one_intent_at_a_time_until_it_is_closed() -> None:
    core = a_core()
    (first,) = intents(core.handle(quote(1), 0))
    assert not core.handle(quote(1), 0)
    core.handle(closed(first), 0)
    (second,) = intents(core.handle(quote(1), 0))
    assert second.intent_id == "gen-e-one-2"


def test_a_refused_intent_waits_unless_the_signal_changes() -> None:
    core = a_core()
    (intent,) = intents(core.handle(quote(1), 0))
    core.handle(refused(intent), 0)
    assert not core.handle(quote(1), 59 * SECOND)
    (intent,) = intents(core.handle(quote(1), 60 * SECOND))
    core.handle(refused(intent), 60 * SECOND)
    assert not core.handle(quote(0), 61 * SECOND)
    assert intents(core.handle(quote(1), 62 * SECOND))


def test_an_unfilled_intent_waits_like_a_refused_one() -> None:
    core = a_core()
    (intent,) = intents(core.handle(quote(1), 0))
    core.handle(closed(intent, filled="0"), 0)
    assert not core.handle(quote(1), 1)


def test_a_sale_is_an_exit_of_all_that_this_strategy_holds() -> None:
    core = a_core("one", "two")
    core.handle(quote(0), 0)
    core.handle(a_fill(Side.BUY, "7"), 0)
    core.handle(a_fill(Side.BUY, "5", strategy="two"), 0)
    first, second = intents(core.handle(quote(2), 0))
    assert (first.strategy, first.role, first.quantity) == ("one", Role.EXIT, Decimal(7))
    assert (second.strategy, second.role, second.quantity) == ("two", Role.EXIT, Decimal(5))


def test_a_fee_in_coins_shrinks_what_can_be_sold() -> None:
    core = a_core()
    core.handle(quote(0), 0)
    core.handle(a_fill(Side.BUY, "1"), 0)
    core.handle(FeeCharged("f", "o", "one", "BTC/USD", "BTC", Decimal("0.0025"), 0), 0)
    core.handle(FeeCharged("g", "o", "one", "BTC/USD", "USD", Decimal(5), 0), 0)
    (intent,) = intents(core.handle(quote(2), 0))
    assert intent.quantity == Decimal("0.9975")


def test_adopted_positions_belong_to_nobody_here() -> None:
    core = a_core()
    adopted = BookAdopted(
        Decimal(1), (BrokerPosition("BTC/USD", Decimal(3), Decimal(100)),), "first start"
    )
    core.handle(adopted, 0)
    core.handle(quote(0), 0)
    (intent,) = intents(core.handle(quote(2), 0))
    assert (intent.role, intent.quantity) == (Role.ENTRY, None)


@pytest.mark.parametrize(
    ("reported", "role"), [("7", Role.EXIT), ("6", Role.ENTRY), ("0", Role.ENTRY)]
)
def test_an_adopted_book_leaves_a_strategy_what_agrees(reported: str, role: Role) -> None:
    core = a_core()
    core.handle(quote(0), 0)
    core.handle(a_fill(Side.BUY, "7"), 0)
    position = BrokerPosition("BTC/USD", Decimal(reported), Decimal(100))
    core.handle(BookAdopted(Decimal(1), (position,), "accepted"), 0)
    (intent,) = intents(core.handle(quote(2), 0))
    assert intent.role is role


def test_a_bust_takes_the_position_back_and_a_split_multiplies_it() -> None:
    core = a_core(symbols=("IBM",))
    core.handle(SessionChanged(Market.US_EQUITY, Session.REGULAR, 0), 0)
    core.handle(quote(0, "IBM"), 0)
    core.handle(a_fill(Side.BUY, "7", symbol="IBM"), 0)
    core.handle(a_fill(Side.BUY, "5", symbol="IBM"), 0)
    core.handle(
        TradeBusted("o", "e", "one", "IBM", Side.BUY, Decimal(5), Decimal(100)), 0
    )  # fmt: skip
    core.handle(CorporateAction("a", "IBM", "split", Decimal(2)), 0)
    (intent,) = intents(core.handle(quote(2, "IBM"), 0))
    assert intent.quantity == Decimal(14)


@pytest.mark.parametrize(
    ("level", "enters", "leaves"),
    [
        (Level.NORMAL, True, True),
        (Level.NO_ENTRIES, False, True),
        (Level.REDUCE_ONLY, False, True),
        (Level.FLATTENING, False, False),
        (Level.HALTED, False, False),
    ],
)
def test_the_level_says_who_may_wish(level: Level, enters: bool, leaves: bool) -> None:
    core = a_core()
    core.handle(quote(0), 0)
    core.handle(LevelChanged(level, ("test",)), 0)
    assert bool(intents(core.handle(quote(1), 0))) == enters
    core = a_core()
    core.handle(quote(0), 0)
    core.handle(LevelChanged(level, ("test",)), 0)
    core.handle(a_fill(Side.BUY, "7"), 0)
    assert bool(intents(core.handle(quote(2), 0))) == leaves


def test_equities_wait_for_the_regular_session() -> None:
    core = a_core(symbols=("IBM",))
    assert not intents(core.handle(quote(1, "IBM"), 0))
    core.handle(SessionChanged(Market.US_EQUITY, Session.PRE, 0), 0)
    assert not intents(core.handle(quote(1, "IBM"), 0))
    core.handle(SessionChanged(Market.US_EQUITY, Session.REGULAR, 0), 0)
    assert intents(core.handle(quote(1, "IBM"), 0))


def test_a_stale_symbol_is_not_traded() -> None:
    core = a_core()
    core.handle(FeedStale("BTC/USD", 0), 0)
    assert not intents(core.handle(quote(1), 0))
    core.handle(FeedRecovered("BTC/USD"), 0)
    assert intents(core.handle(quote(1), 0))


def test_a_silence_moves_the_time_since_which_a_symbol_is_heard() -> None:
    core = a_core(symbols=("BTC/USD", "IBM"))
    core.handle(kit.RUN, 5)
    coins, shares = (instance.view for instance in core._instances["one"])
    assert (coins.received_since, shares.received_since) == (5, 5)
    core.handle(FeedStale("IBM", 7), 8)
    assert shares.received_since == 5, "a strategy looks at no quote meanwhile"
    core.handle(FeedRecovered("IBM"), 9)
    assert (coins.received_since, shares.received_since) == (5, 9)


def test_a_strategy_that_raises_is_switched_off_alone() -> None:
    core = a_core("one", "two", symbols=("BTC/USD", "ETH/USD"))
    emitted = core.handle(quote(3), 0)
    stops = [message for message in emitted if isinstance(message, StrategyStopped)]
    alerts = [message for message in emitted if isinstance(message, AlertRaised)]
    assert [stop.strategy for stop in stops] == ["one", "two"]
    assert len(alerts) == 2
    assert "test_core.py:" in stops[0].error
    assert "KeyError: 'lost'" in stops[0].error
    assert "/" not in stops[0].error.replace("BTC/USD", "")

    class Broken(Eager):
        def on_quote(self, quote: Quote, view: PositionView) -> Signal | None:
            return "buy"  # type: ignore[return-value]

    core = StrategyCore(
        (
            StrategySettings(
                name="bad", kind="broken", symbols=("BTC/USD", "ETH/USD"), when="quote"
            ),
            StrategySettings(name="good", kind="eager", symbols=("BTC/USD",), when="quote"),
        ),
        {"broken": Broken, "eager": Eager},
    )
    kit.start(core)
    emitted = core.handle(quote(1), 0)
    assert [type(message).__name__ for message in emitted] == [
        "StrategyStopped", "AlertRaised", "StrategyStarted", "Intent",
    ]  # fmt: skip
    assert not core.handle(quote(1, "ETH/USD"), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": 10}, {"quantity": 10.5}, {"stop": 99.5}, {"target": "101"}, {"side": "buy"},
        {"confidence": "much"}, {"algorithm": 7}, {"reason": None},
    ],
)  # fmt: skip
def test_a_wish_of_other_kinds_is_its_strategys_fault_and_never_comes_to_the_gate(
    wrong: dict[str, Any],
) -> None:
    class Loose(Strategy):
        def on_quote(self, quote: Quote, view: PositionView) -> Signal | None:
            whole: dict[str, Any] = {"side": Side.BUY, "reason": "up", **wrong}
            return Signal(**whole)

    settings = (
        StrategySettings(name="loose", kind="loose", symbols=("BTC/USD",), when="quote"),
        StrategySettings(name="one", kind="eager", symbols=("BTC/USD",), when="quote"),
    )
    core = StrategyCore(settings, {"loose": Loose, "eager": Eager})
    kit.start(core)
    emitted = core.handle(quote(1), 1)
    (stopped,) = [each for each in emitted if isinstance(each, StrategyStopped)]
    assert stopped.strategy == "loose"
    assert next(iter(wrong)) in stopped.error
    assert [each.strategy for each in intents(emitted)] == ["one"]


def test_an_operator_starts_a_broken_strategy_afresh_and_it_warms_up_again() -> None:
    core = a_core(warmup=2)
    core.handle(quote(0), 0)
    core.handle(quote(3), 0)
    assert not core.handle(quote(1), 0)
    emitted = core.handle(OperatorAsked(Ask.START_STRATEGY, "ann", "fixed", "one"), 0)
    assert emitted == (StrategyStarted("one", "ann: fixed"),)
    assert not core.handle(quote(1), 0)
    assert intents(core.handle(quote(1), 0))


def test_an_operator_stops_and_starts_one_strategy() -> None:
    core = a_core("one", "two")
    core.handle(quote(0), 0)
    stopped = core.handle(OperatorAsked(Ask.STOP_STRATEGY, "ann", "too wild", "one"), 0)
    assert stopped == (StrategyStopped("one", "ann: too wild"),)
    assert [intent.strategy for intent in intents(core.handle(quote(1), 0))] == ["two"]
    core.handle(OperatorAsked(Ask.START_STRATEGY, "ann", "again", "one"), 0)
    assert [intent.strategy for intent in intents(core.handle(quote(1), 0))] == ["one"]
    assert not core.handle(OperatorAsked(Ask.STOP_STRATEGY, "ann", "who?", "three"), 0)


def test_every_so_many_seconds_the_latest_quote_is_looked_at() -> None:
    core = StrategyCore(
        (
            StrategySettings(
                name="slow", kind="eager", symbols=("BTC/USD",), when="every", span_s=300
            ),
        ),
        {"eager": Eager},
    )
    assert core.handle(kit.RUN, 10 * SECOND) == [SetTimer("strategy", "every:slow", 300 * SECOND)]
    kit.allow(core)
    tick = TimerFired("strategy", "every:slow", 300 * SECOND)
    assert core.handle(tick, 300 * SECOND) == [SetTimer("strategy", "every:slow", 600 * SECOND)]
    assert not core.handle(quote(1), 301 * SECOND)
    assert not core.handle(quote(1, at=9), 302 * SECOND)
    emitted = core.handle(tick, 600 * SECOND)
    (intent,) = intents(emitted)
    assert intent.quoted_at == 9
    assert emitted[-1] == SetTimer("strategy", "every:slow", 900 * SECOND)


def test_a_strategy_hears_its_own_fills_only() -> None:
    core = a_core("one", "two")
    core.handle(a_fill(Side.BUY, "7"), 0)
    minds: list[Any] = [core._instances[name][0].strategy for name in ("one", "two")]
    assert [len(strategy.fills) for strategy in minds] == [1, 0]


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "Big Name"},
        {"name": "external"},
        {"symbols": ()},
        {"symbols": ("A", "A")},
        {"when": "never"},
        {"span_s": 0},
        {"kind": "none"},
        {"params": {"unknown": 1}},
        {"params": {"quantity": "x"}},
    ],
    ids=str,
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    whole = {"name": "one", "kind": "sma", "symbols": ("A",), **settings}
    with pytest.raises(ValueError, match=f"strategy|kind|{next(iter(settings))}"):
        StrategyCore((StrategySettings(**whole),))
