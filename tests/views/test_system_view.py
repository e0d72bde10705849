"""What the read model makes of messages: signals, sums, limits; bounded whatever comes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.api.kit import AT, LIMITS, MORNING, D
from tests.support.verdicts import intent_refused
from tradingd import messages as m
from tradingd.api import replies, reports
from tradingd.instruments.money import plain
from tradingd.messages import Envelope, Message, Role, Side
from tradingd.views import activity, limits
from tradingd.views.system_view import SystemView

SECOND = 10**9


def view_of(*messages: Message, step_ns: int = 0) -> SystemView:
    view = SystemView()
    for seq, message in enumerate(messages):
        view.apply(Envelope(seq, AT + seq * step_ns, "any", message))  # type: ignore[arg-type]
    return view


def intent(number: int) -> m.Intent:
    return m.Intent(f"g-e-sma-{number}", "sma", "IBM", Side.BUY, Role.ENTRY, None, "why", 0.9, 1.0, 1.0, AT)  # fmt: skip


def test_a_signal_is_followed_to_its_end() -> None:
    refused = intent_refused("g-e-sma-2", "sma", "IBM", Role.ENTRY, "exposure", "90", "80", "full")
    closed = m.IntentClosed("g-e-sma-1", "sma", "IBM", Side.BUY, Role.ENTRY, D(10), D(10), D(100), "filled")  # fmt: skip
    newest, oldest = reports.signals(view_of(intent(1), intent(2), refused, closed)).signals
    assert (newest.verdict, newest.rule, newest.value, newest.limit, newest.why_not) == ("refused", "exposure", "90", "80", "full")  # fmt: skip
    assert (oldest.verdict, oldest.filled) == ("closed", "10")


def test_profit_is_summed_by_day_symbol_and_strategy() -> None:
    won = m.PositionChanged("sma", "IBM", D(0), D(0), D(5), D(1), "fill", D(5), D(1))
    settings = reports.performance(view_of(*MORNING, won))
    for sums, name in ((settings.by_day, "2024-03-05"), (settings.by_symbol, "IBM"), (settings.by_strategy, "sma")):  # fmt: skip
        (one,) = sums
        assert (one.name, one.fills, one.volume_usd, one.pnl_usd) == (name, 2, "1006.00", "4.00")
    assert (settings.trades, settings.wins) == (1, 1)


def test_every_limit_is_shown_with_its_use() -> None:
    settings = {one.name: one for one in limits.risk(view_of(*MORNING), LIMITS).limits}
    assert (settings["positions"].used, settings["positions"].limit) == ("1.00", "20.00")
    assert settings["orders_open"].used == "1.00"
    assert settings["orders_per_minute"].used == "2.00"
    assert settings["order_value"].used == "502.50"
    assert settings["daily_loss"].limit == "5000.00"
    assert settings["exposure"].used == "1.02"
    assert settings["collar"].used is None


def test_the_order_rate_forgets_what_is_older_than_a_minute() -> None:
    sent = [m.OrderSent(str(number)) for number in range(10)]
    settings = {
        one.name: one for one in limits.risk(view_of(*sent, step_ns=20 * SECOND), LIMITS).limits
    }
    assert settings["orders_per_minute"].used == "4.00"


def test_positions_by_symbol_are_those_of_all_strategies() -> None:
    other = m.PositionChanged("momentum", "IBM", D(5), D(99), D(0), D(0), "fill")
    (one,) = replies.position_list(view_of(*MORNING, other)).positions
    assert (one.quantity, one.strategies) == ("15", ("momentum", "sma"))
    assert one.market_value_usd == "1530.00"


def test_a_strategy_is_cold_until_it_says_otherwise() -> None:
    states = [one.state for one in reports.strategies(view_of(), ("sma",)).strategies]
    assert states == ["cold"]
    stopped = m.StrategyStopped("sma", "asked")
    states = [one.state for one in reports.strategies(view_of(*MORNING, stopped), ("sma",)).strategies]  # fmt: skip
    assert states == ["stopped"]


def test_the_view_is_bounded_whatever_comes() -> None:
    marked = MORNING[-1]
    flood = [intent(number) for number in range(2 * activity.SIGNALS_MAX)]
    view = view_of(*flood, *[marked] * (3 * activity.POINTS_MAX), step_ns=60 * SECOND)
    assert len(view.activity.signals) == activity.SIGNALS_MAX
    points = view.activity.equity.points()
    assert len(points) < activity.POINTS_MAX
    first, last = points[0], points[-1]
    assert last.at - first.at > activity.POINTS_MAX * 60 * SECOND, "it spans the whole log"


@pytest.mark.parametrize("number", ["1", "1.50", "100", "0", "0.000000001", "12345678901234567890.1"])  # fmt: skip
def test_numbers_are_written_plain(number: str) -> None:
    text = plain(Decimal(number))
    assert Decimal(text) == Decimal(number)
    assert "E" not in text
