"""The client of `bench.wire` and `bench.path`: the whole system, with a strategy that orders when it is told to."""

from __future__ import annotations

import random
from decimal import Decimal

from bench.wire_server import DATA_PATH, SYMBOL, TRIGGER_SIZE, UPDATES_PATH
from tests.support.settings import beyond, risk_limits, router_settings, supervisor_settings
from tradingd.app.endpoints import Endpoints
from tradingd.app.system import TradingSystem
from tradingd.broker.settings import AlpacaSettings
from tradingd.log.memory_tape import NullTape
from tradingd.log.recovery import recover
from tradingd.messages import IntentClosed, Market, Quote, RunStarted, Side
from tradingd.portfolio.core import PortfolioSettings
from tradingd.quotes.feed_settings import FeedSettings
from tradingd.quotes.settings import QuotesSettings
from tradingd.reconciler.core import ReconcilerSettings
from tradingd.runtime.clock import SystemClock
from tradingd.runtime.network import AiohttpNetwork
from tradingd.runtime.ports import LogStore
from tradingd.strategy.core import StrategySettings
from tradingd.strategy.protocol import PositionView, Signal, Strategy
from tradingd.wiring import WIRING, CoreSettings, build_cores

KEY = "-"


class Trigger(Strategy):
    """Signals for one coin whenever the size of the bid says so."""

    def on_quote(self, quote: Quote, view: PositionView) -> Signal | None:
        """Look at the size."""
        if quote.bid_size != TRIGGER_SIZE:
            return None
        return Signal(side=Side.BUY, reason="trigger", quantity=Decimal(1))


STRATEGY = StrategySettings(
    name="trigger", kind="trigger", symbols=(SYMBOL,), when="quote", refusal_wait_s=0
)
CORES = CoreSettings(
    quotes=QuotesSettings(symbols=(SYMBOL,)),
    strategies=(STRATEGY,),
    kinds={"trigger": Trigger},
    risk=beyond(
        risk_limits(
            symbols=(SYMBOL,),
            order_value_usd_max=Decimal(1_000),
            order_quantity_max=Decimal(1_000),
        ),
        orders_per_minute_max=1_000_000,
    ),
    router=router_settings(),
    reconciler=ReconcilerSettings(),
    portfolio=PortfolioSettings(),
    supervisor=supervisor_settings(markets=(Market.CRYPTO,), reconcile_interval_s=3600),
)


async def trade(port: int, orders: int, store: LogStore) -> None:
    """Run the system until so many intents are closed."""
    await store.open()
    cores = build_cores(CORES)
    rng = random.Random(1)
    recovered = await recover(store, cores, WIRING, rng)
    network = AiohttpNetwork()
    system = TradingSystem(
        cores, recovered, _endpoints(port), store=store, tape=NullTape(), network=network, rng=rng
    )
    closed = system.bus.watch("bench", (IntentClosed,))
    system.start()
    system.bus.publish("daemon", RunStarted(recovered.instance_id, "bench", "", "", "paper"))
    system.open_market()
    for _ in range(orders):
        await closed.get()
    await system.stop()
    await network.close()
    await store.close()


def _endpoints(port: int) -> Endpoints:
    broker = AlpacaSettings(
        trading_url=f"http://127.0.0.1:{port}",
        trading_stream_url=f"ws://127.0.0.1:{port}{UPDATES_PATH}",
        key_id=KEY,
        secret_key=KEY,
    )
    feed = FeedSettings(
        symbols=(SYMBOL,),
        key_id=KEY,
        secret_key=KEY,
        crypto_stream_url=f"ws://127.0.0.1:{port}{DATA_PATH}",
        channels=("quotes",),
    )
    return Endpoints(SystemClock(), broker, feed)
