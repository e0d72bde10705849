"""A host that only applies the order log comes out in the state of the host that was there."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from tests.strategy import kit
from tests.support.verdicts import intent_refused
from tradingd.messages import (
    MARKET_DATA,
    Ask,
    BookAdopted,
    BrokerPosition,
    CorporateAction,
    FeeCharged,
    FeedRecovered,
    FeedStale,
    Intent,
    IntentClosed,
    Level,
    LevelChanged,
    Market,
    Message,
    OperatorAsked,
    OrderFilled,
    Quote,
    Session,
    SessionChanged,
    Side,
    TradeBusted,
)
from tradingd.strategy.core import StrategyCore
from tradingd.strategy.settings import Param, StrategySettings

SYMBOLS = ("IBM", "BTC/USD")


def a_core() -> StrategyCore:
    params: dict[str, Param] = {"fast": 2, "slow": 4, "quantity": "2"}
    return StrategyCore((
        StrategySettings(name="sma", kind="sma", symbols=SYMBOLS, when="quote", params=params, refusal_wait_s=2),
        StrategySettings(
            name="mom", kind="momentum", symbols=SYMBOLS, when="quote", params={"lookback": 3, "threshold_pct": Decimal("0.1")}
        ),
    ))  # fmt: skip


class World:
    """Draws the next thing the host hears, answering its open intents in any of the ways there are."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._open: list[Intent] = []

    def handle(self, message: Message) -> None:
        if isinstance(message, Intent):
            self._open.append(message)

    def next(self) -> tuple[Message, ...]:
        rng = self._rng
        if self._open and rng.random() < 0.3:
            return self._answer(self._open.pop(0))
        if rng.random() < 0.9:
            bid = 100 + rng.randint(-50, 50) / 100
            return (Quote(rng.choice(SYMBOLS), bid, 1.0, bid + 0.02, 1.0, 0),)
        return (self._event(),)

    def _answer(self, intent: Intent) -> tuple[Message, ...]:
        rng = self._rng
        quantity = intent.quantity or Decimal(3)
        filled = quantity if rng.random() < 0.7 else Decimal(0)
        if rng.random() < 0.3:
            return (
                intent_refused(intent.intent_id, intent.strategy, intent.symbol, intent.role, "r", "", "", ""),
            )  # fmt: skip
        closed = IntentClosed(
            intent.intent_id, intent.strategy, intent.symbol, intent.side, intent.role,
            quantity, filled, Decimal(100), "done",
        )  # fmt: skip
        if not filled:
            return (closed,)
        fill = OrderFilled(
            "o", "b", "e", intent.intent_id, intent.strategy, intent.symbol, intent.side, intent.role,
            filled, Decimal(100) + rng.randint(-9, 9), filled, filled, 0,
        )  # fmt: skip
        return (fill, closed)

    def _event(self) -> Message:
        rng = self._rng
        strategy, symbol = rng.choice(["sma", "mom"]), rng.choice(SYMBOLS)
        coin = Decimal("0.01")
        return rng.choice([
            LevelChanged(rng.choice(list(Level)), ()),
            LevelChanged(Level.NORMAL, ()),
            SessionChanged(Market.US_EQUITY, rng.choice(list(Session)), 0),
            SessionChanged(Market.US_EQUITY, Session.REGULAR, 0),
            FeedStale(symbol, 0),
            FeedRecovered(symbol),
            FeeCharged("f", "o", strategy, "BTC/USD", "BTC", coin, 0),
            TradeBusted("o", "e", strategy, symbol, Side.BUY, coin, Decimal(99)),
            CorporateAction("c", "IBM", "split", Decimal(2)),
            BookAdopted(Decimal(1), (BrokerPosition("KO", Decimal(1), Decimal(1)),), "accepted"),
            OperatorAsked(rng.choice(list(Ask)), "ann", "why", strategy),
        ])  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_applying_the_order_log_gives_the_same_state_at_every_step(seed: int) -> None:
    world, live, recovered = World(seed), a_core(), a_core()
    received, intents = kit.START, 0
    for now in range(1500):
        for message in received:
            for each in (message, *live.handle(message, now * 10**8)):
                world.handle(each)
                intents += isinstance(each, Intent)
                if type(each) not in MARKET_DATA:
                    recovered.apply(each, now * 10**8)
        assert recovered.save() == live.save(), f"seed {seed}, step {now}"
        received = world.next()
    assert intents > 20
    loaded = a_core()
    loaded.load(live.save())
    assert loaded.save() == live.save()


def test_ids_continue_after_a_restart_and_an_open_intent_still_blocks() -> None:
    core = a_core()
    kit.start(core)
    emitted: list[Message] = []
    for bid in (100.0, 100.0, 100.0, 100.0, 101.0):
        emitted += core.handle(Quote("BTC/USD", bid, 1.0, bid, 1.0, 0), 0)
    (intent,) = [each for each in emitted if isinstance(each, Intent) and each.strategy == "sma"]
    again = a_core()
    again.load(core.save())
    kit.start(again)
    for bid in (100.0, 100.0, 100.0, 100.0, 101.0):
        assert not any(
            isinstance(each, Intent) and each.strategy == "sma"
            for each in again.handle(Quote("BTC/USD", bid, 1.0, bid, 1.0, 0), 0)
        )
    again.handle(
        intent_refused(intent.intent_id, "sma", "BTC/USD", intent.role, "restart", "", "", ""), 0
    )
    emitted = list(again.handle(Quote("BTC/USD", 102.0, 1.0, 102.0, 1.0, 0), 10**12))
    assert [each.intent_id for each in emitted if isinstance(each, Intent)] == ["gen-e-sma-2"]
