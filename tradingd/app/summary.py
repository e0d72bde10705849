"""The closing words of a session: what was done, what it brought, and whether the broker agrees."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradingd.instruments.money import cents
from tradingd.portfolio.summary import DaySummary
from tradingd.views.system_view import SystemView

COUNTED = ("intents", "approved", "orders", "fills", "partial_fills", "canceled", "rejected")


@dataclass(frozen=True, slots=True)
class Books:
    """Our account and the broker's at one end of the session."""

    local: Decimal
    reported: Decimal


@dataclass(frozen=True, slots=True)
class Summary:
    """What a session came to."""

    counts: DaySummary
    """Of the session."""
    pnl_usd: Decimal
    broker_pnl_usd: Decimal
    realized_usd: Decimal
    fees_usd: Decimal
    equity_usd: Decimal
    positions: tuple[str, ...]
    is_flat: bool
    is_kept: bool
    """What is left was left on purpose."""
    reason: str

    @property
    def agrees(self) -> bool:
        """True when our profit is the broker's, to the cent."""
        return cents(self.pnl_usd) == cents(self.broker_pnl_usd)

    def record(self) -> dict[str, Any]:
        """Return the summary as the fields of one log record."""
        values = {name: getattr(self, name) for name in self.__slots__ if name != "counts"}
        counts = {name: getattr(self.counts, name) for name in COUNTED}
        return {**counts, "refused": self.refused, **values, "agrees": self.agrees}

    @property
    def refused(self) -> dict[str, int]:
        """Return how often each rule refused, the most frequent first."""
        return dict(self.counts.refusals_by_count())

    def line(self) -> str:
        """Return the summary in one line."""
        kept = "positions kept" if self.is_kept else "NOT FLAT"
        flat = "flat" if self.is_flat else kept
        check = "the broker agrees" if self.agrees else "THE BROKER DIFFERS"
        return f"{self.counts.fills} fills, profit {cents(self.pnl_usd):+} USD, {check}, {flat}"

    def text(self) -> str:
        """Return the summary for people."""
        counts = self.counts
        refused = ", ".join(f"{rule} {count}" for rule, count in self.refused.items()) or "none"
        verdict = "equal to the cent" if self.agrees else "THEY DIFFER"
        lines = [
            "",
            f"session ended: {self.reason}",
            (
                f"  intents    {counts.intents}, approved {counts.approved}, "
                f"refused {sum(self.refused.values())} ({refused})"
            ),
            f"  orders     {counts.orders} sent, {counts.canceled} canceled, {counts.rejected} rejected",
            f"  fills      {counts.fills}, {counts.partial_fills} of them partial",
            (
                f"  profit     {cents(self.pnl_usd):+} USD (realized {cents(self.realized_usd):+}, "
                f"fees {cents(self.fees_usd)})"
            ),
            f"  equity     {cents(self.equity_usd)} USD",
            (
                f"  check      our profit {cents(self.pnl_usd):+}, the broker's "
                f"{cents(self.broker_pnl_usd):+}: {verdict}"
            ),
            f"  positions  {', '.join(self.positions) or 'none'}",
        ]
        if not self.is_flat and not self.is_kept:
            lines.append("  NOT FLAT: look at the account")
        return "\n".join(lines)


def summarize(
    view: SystemView, start: Books, end: Books, *, is_flat: bool, is_kept: bool, reason: str
) -> Summary:
    """Return what the view and both ends of both books come to."""
    equity = view.equity
    zero = Decimal(0)
    return Summary(
        counts=view.counts,
        pnl_usd=end.local - start.local,
        broker_pnl_usd=end.reported - start.reported,
        realized_usd=equity.realized_usd if equity else zero,
        fees_usd=equity.fees_usd if equity else zero,
        equity_usd=end.local,
        positions=_positions(view),
        is_flat=is_flat,
        is_kept=is_kept,
        reason=reason,
    )


def _positions(view: SystemView) -> tuple[str, ...]:
    """Return what we hold, and what the broker holds that our books do not know."""
    held = view.held()
    known = {position.symbol for position in held}
    local = [f"{p.quantity:f} {p.symbol} ({p.strategy})" for p in held]
    reported = view.snapshot.positions if view.snapshot else ()
    strange = [f"{p.quantity:f} {p.symbol} (broker)" for p in reported if p.symbol not in known]
    return (*local, *strange)
