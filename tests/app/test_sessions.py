"""Whole sessions of the real system in virtual time: flat at the end, equal to the cent, replayed exactly."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.app.virtual import again, play
from tradingd.log.replay import ReplayOutcome
from tradingd.messages import (
    Core,
    EquityMarked,
    Intent,
    Message,
    OrderApproved,
    OrderFilled,
    OrderSent,
    RunStopped,
)
from tradingd.portfolio.core import PortfolioCore

SEEDS = (1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_session_ends_flat_and_agrees_with_the_account_to_the_cent(seed: int) -> None:
    session = play(seed, minutes=6)
    local = session.published(EquityMarked)[-1].equity_usd
    assert session.published(OrderFilled), f"seed {seed}: nothing traded"
    assert session.account_positions == 0, f"seed {seed}"
    assert session.account_orders == 0, f"seed {seed}"
    assert local == session.account_equity, f"seed {seed}"
    assert session.published(RunStopped)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_session_decides_itself_again_exactly(seed: int) -> None:
    session = play(seed, minutes=6)
    verdicts = again(session)
    assert len(verdicts) == 7
    for verdict in verdicts:
        assert verdict.outcome is ReplayOutcome.EXACT, f"seed {seed}: {verdict}"
        assert verdict.compared > 0, f"seed {seed}: {verdict.actor} said nothing"


def test_the_order_of_events_differs_between_seeds_and_not_between_runs() -> None:
    first, same, other = play(1, minutes=3), play(1, minutes=3), play(2, minutes=3)
    assert first.log == same.log
    assert first.log != other.log


class _Peeking:
    """A strategy core that cheats: it reads the portfolio's object in place of hearing its words."""

    def __init__(self, honest: Core, portfolio: PortfolioCore) -> None:
        self._honest = honest
        self._portfolio = portfolio

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        emitted = self._honest.handle(message, now)
        if self._portfolio.ledger.positions.open:
            return [each for each in emitted if not isinstance(each, Intent)]
        return emitted

    def apply(self, message: Message, now: int) -> None:
        self._honest.apply(message, now)

    def save(self) -> bytes:
        return self._honest.save()

    def load(self, state: bytes) -> None:
        self._honest.load(state)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_station_that_reads_another_ones_object_is_caught(seed: int) -> None:
    def tamper(cores: dict[str, Core]) -> None:
        portfolio = cores["portfolio"]
        assert isinstance(portfolio, PortfolioCore)
        cores["strategy"] = _Peeking(cores["strategy"], portfolio)

    session = play(seed, minutes=6, tamper=tamper)
    outcomes: dict[str, ReplayOutcome] = {v.actor: v.outcome for v in again(session)}
    assert outcomes.pop("strategy") is ReplayOutcome.DIVERGED, f"seed {seed}"
    assert set(outcomes.values()) == {ReplayOutcome.EXACT}, (
        f"seed {seed}: only the cheater is named"
    )


def test_every_order_on_the_wire_was_approved_and_durable_before() -> None:
    session = play(7, minutes=6)
    approved_at = {
        e.message.order_id: e.seq for e in session.log if isinstance(e.message, OrderApproved)
    }
    sent = [(e.seq, e.message.order_id) for e in session.log if isinstance(e.message, OrderSent)]
    assert sent
    for seq, order_id in sent:
        assert approved_at[order_id] < seq
