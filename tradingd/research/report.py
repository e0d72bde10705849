"""What a backtest says of itself: the basic result and its trades, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal

from tradingd.instruments.money import cents
from tradingd.portfolio.performance import ClosedTrade, Performance, performance
from tradingd.research.collector import Collector

TRADES_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestReport:
    """The result of one run. Equal runs give equal reports, digest and all."""

    digest: str
    """SHA-256 over every order-log envelope of the run."""
    events: int
    """Market events played."""
    fills: int
    refusals: dict[str, int]
    """Rule -> how often it refused."""
    start_equity_usd: Decimal
    end_equity_usd: Decimal
    result: Performance
    trades: tuple[ClosedTrade, ...]
    open_positions: tuple[tuple[str, str, Decimal], ...]
    """(strategy, symbol, quantity) held at the end, valued at the last marks."""

    def as_json(self) -> dict[str, object]:
        """Return plain values; money as strings."""
        return {**asdict(self), "result": asdict(self.result)}

    def as_text(self) -> str:
        """Return the page a person reads."""
        return "\n".join([*self._trade_lines(), "", *self._result_lines()])

    def _trade_lines(self) -> list[str]:
        lines = [f"{'strategy':<16} {'symbol':<10} {'P&L $':>12} {'fees $':>10}  reason"]
        lines += [
            f"{trade.strategy:<16} {trade.symbol:<10} {cents(trade.pnl_usd):>12} "
            f"{cents(trade.fees_usd):>10}  {trade.reason}"
            for trade in self.trades[:TRADES_SHOWN_MAX]
        ]
        hidden = len(self.trades) - TRADES_SHOWN_MAX
        if hidden > 0:
            lines.append(f"... and {hidden} more (--out DIR writes them all)")
        return lines

    def _result_lines(self) -> list[str]:
        result = self.result
        rows = [
            ("events", f"{self.events}"),
            ("fills", f"{self.fills}"),
            ("trades", f"{result.trades}  ({result.wins} won, {result.losses} lost)"),
            ("win rate", _pct(result.win_rate_pct)),
            ("P&L", f"${cents(result.pnl_usd)}  ({_pct(result.return_pct)})"),
            ("fees", f"${cents(result.fees_usd)}"),
            ("average win", _usd(result.average_win_usd)),
            ("average loss", _usd(result.average_loss_usd)),
            ("profit factor", _number(result.profit_factor)),
            (
                "max drawdown",
                f"${cents(result.max_drawdown_usd)}  ({_pct(result.max_drawdown_pct)})",
            ),
            ("time in market", _pct(result.exposure_pct)),
            ("refusals", ", ".join(f"{k} {v}" for k, v in self.refusals.items()) or "none"),
            (
                "open at the end",
                ", ".join(f"{q} {s} ({n})" for n, s, q in self.open_positions) or "flat",
            ),
            ("digest", self.digest),
        ]
        return [f"{name:<16} {value}" for name, value in rows]


def make_report(collected: Collector, digest: str, events: int) -> BacktestReport:
    """Return the report of a finished run."""
    series = collected.equity.points()
    result = performance(collected.trips.closed, series, drawdown=collected.equity.drawdown)
    return BacktestReport(
        digest=digest,
        events=events,
        fills=collected.fills,
        refusals=dict(sorted(collected.refusals.items())),
        start_equity_usd=series[0].equity_usd if series else Decimal(0),
        end_equity_usd=series[-1].equity_usd if series else Decimal(0),
        result=result,
        trades=collected.trips.closed,
        open_positions=tuple(
            (strategy, symbol, position.quantity)
            for (strategy, symbol), position in sorted(collected.positions.items())
            if position.quantity
        ),
    )


def _pct(value: Decimal | None) -> str:
    return "-" if value is None else f"{value:.2f} %"


def _usd(value: Decimal | None) -> str:
    return "-" if value is None else f"${cents(value)}"


def _number(value: Decimal | None) -> str:
    return "-" if value is None else f"{value:.2f}"
