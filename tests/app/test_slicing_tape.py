"""Large orders on recorded days, through the drained backtest: ten thousand IBM, five thousand AIG."""

from __future__ import annotations

import dataclasses
import os
from decimal import Decimal
from pathlib import Path

import pytest

from tests.app.large_orders import Once, check_children
from tests.support.settings import router_settings
from tradingd.config import load
from tradingd.config.mapping import core_settings
from tradingd.instruments.calendar import ns_of
from tradingd.log.replay import ReplayOutcome, replay
from tradingd.messages import (
    Envelope,
    IntentApproved,
    IntentClosed,
    Market,
    OrderApproved,
    OrderFilled,
    Quote,
    Role,
)
from tradingd.quotes.filter import QuoteFilter
from tradingd.research.backtest import Backtest, BacktestSettings
from tradingd.research.run import Playing, days_around
from tradingd.router.settings import RouterSettings
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.tape import RecordedTape
from tradingd.strategy.settings import StrategySettings
from tradingd.wiring import WIRING, build_cores

DATA = Path(os.environ.get("TRADINGD_DATA", "nowhere"))
ROOT = Path(__file__).parents[2]
DAY = "2013-10-07"

pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif(
        not (DATA / "quotes/us_tick_IBM_20131007.parquet").exists(),
        reason="TRADINGD_DATA has no recorded quotes",
    ),
]


def settings_of(
    symbol: str, quantity: int, algorithm: str, router: RouterSettings
) -> BacktestSettings:
    cores = core_settings(load(ROOT / "config" / "mock.toml"))
    strategy = StrategySettings(
        name="once",
        kind="once",
        symbols=(symbol,),
        params={"quantity": quantity, "algorithm": algorithm},
        when="quote",
        refusal_wait_s=1,
    )
    risk = dataclasses.replace(
        cores.risk,
        symbols=(symbol,),
        order_value_usd_max=Decimal(5_000_000),
        order_quantity_max=Decimal(10_000),
        position_pct_max=Decimal(80),
        exposure_pct_max=Decimal(80),
        reach_pct=Decimal(1),
    )
    supervisor = dataclasses.replace(
        cores.supervisor, markets=(Market.US_EQUITY,), daily_loss_usd=None
    )
    cores = dataclasses.replace(
        cores,
        quotes=dataclasses.replace(cores.quotes, symbols=(symbol,)),
        strategies=(strategy,),
        kinds={"once": Once},
        risk=risk,
        router=router,
        supervisor=supervisor,
    )
    exchange = ExchangeSettings(cash_usd=Decimal(10_000_000), latency_ms=50)
    return BacktestSettings(cores=cores, exchange=exchange)


class Played:
    """One recorded morning, and what the system did in it."""

    def __init__(
        self,
        symbol: str,
        quantity: int,
        algorithm: str,
        *,
        hours: tuple[str, str] = ("09:30", "10:00"),
        router: RouterSettings | None = None,
    ) -> None:
        self.log: list[Envelope] = []
        self.tape: list[Envelope] = []
        self.settings = settings_of(symbol, quantity, algorithm, router or router_settings())
        recorded = RecordedTape(
            [DATA / f"quotes/us_tick_{symbol}_20131007.parquet"],
            symbols=(symbol,),
            start_ns=ns_of(DAY, hours[0]),
            end_ns=ns_of(DAY, hours[1]),
        )
        days = days_around(recorded.start_ns, recorded.end_ns)
        backtest = Backtest(self.settings, days, log=self.log.append, tape=self.tape.append)
        backtest.run(Playing(recorded.events(), QuoteFilter((symbol,))))
        backtest.system.run_until(ns_of(DAY, hours[1]))
        self.digest = backtest.system.digest()
        check_children(self.log)

    @property
    def closed(self) -> IntentClosed:
        (one,) = [
            e.message
            for e in self.log
            if isinstance(e.message, IntentClosed) and e.message.role is Role.ENTRY
        ]
        return one

    @property
    def approved(self) -> IntentApproved:
        return next(e.message for e in self.log if isinstance(e.message, IntentApproved))

    @property
    def children(self) -> list[OrderApproved]:
        return [e.message for e in self.log if isinstance(e.message, OrderApproved)]

    def spent_over_mid(self) -> float:
        """Return what the fills cost over the middle of the latest mark, in dollars a share."""
        mid, cost, shares = 0.0, 0.0, 0.0
        for envelope in sorted(self.log + self.tape, key=lambda e: e.seq):
            message = envelope.message
            if isinstance(message, Quote):
                mid = (message.bid + message.ask) / 2
            elif isinstance(message, OrderFilled):
                cost += float(message.quantity) * (float(message.price) - mid)
                shares += float(message.quantity)
        return cost / shares

    def seconds(self) -> list[float]:
        begun = next(e.at for e in self.log if isinstance(e.message, IntentApproved))
        return [(e.at - begun) / 1e9 for e in self.log if isinstance(e.message, OrderApproved)]


@pytest.mark.parametrize("algorithm", ["twap:600:20", "twap:1200:60"])
def test_ten_thousand_ibm_by_twap(algorithm: str) -> None:
    played = Played("IBM", 10_000, algorithm)
    closed, children = played.closed, played.children

    assert closed.filled == 10_000 or closed.reason == "schedule over"
    assert closed.filled >= 9_500
    slices = int(algorithm.rpartition(":")[2])
    assert slices <= len(children) <= slices + 3
    assert max(each.order.quantity for each in children) <= 2 * 10_000 // slices + 1
    limits = [each.order.limit_price for each in children]
    assert all(price is not None and price <= played.approved.limit_price for price in limits)
    assert len(set(limits)) > 5, "each slice is priced from its own mark"
    interval = int(algorithm.split(":")[1]) / slices
    gaps = [b - a for a, b in zip(played.seconds(), played.seconds()[1:], strict=False)]
    assert min(gaps[: slices - 1]) > interval * 0.9


@pytest.mark.parametrize("algorithm", ["iceberg:500:30", "iceberg:200:0"])
def test_five_thousand_aig_by_iceberg(algorithm: str) -> None:
    played = Played("AIG", 5_000, algorithm)
    closed, children = played.closed, played.children
    display = int(algorithm.split(":")[1])

    assert (closed.filled, closed.reason) == (Decimal(5_000), "filled")
    assert max(each.order.quantity for each in children) <= display
    assert sum(each.order.quantity for each in children) >= 5_000
    assert len(children) >= 5_000 // display


def test_joining_the_touch_is_cheaper_than_crossing_it_where_it_fills() -> None:
    passive = Played("AIG", 5_000, "iceberg:500:30", router=router_settings(slice_price="passive"))
    crossing = Played("AIG", 5_000, "iceberg:500:30")

    assert passive.closed.filled == 5_000
    assert passive.spent_over_mid() < crossing.spent_over_mid()


def test_the_close_of_the_session_ends_a_plan_with_its_rest_reported() -> None:
    played = Played("IBM", 10_000, "twap:1800:60", hours=("15:50", "16:05"))

    assert played.closed.reason == "session closed"
    assert 0 < played.closed.filled < 10_000
    assert played.seconds()[-1] < 600


def test_the_same_tape_is_the_same_log_and_decides_itself_again() -> None:
    first, second = (Played("IBM", 10_000, "twap:600:20") for _ in range(2))
    assert first.digest == second.digest
    verdicts = replay(first.log, first.tape, lambda _: build_cores(first.settings.cores), WIRING)
    assert {verdict.outcome for verdict in verdicts} == {ReplayOutcome.EXACT}
