"""The start of a run as the host hears it: the run, the session of crypto, a level."""

from __future__ import annotations

from tradingd.messages import (
    Level,
    LevelChanged,
    Market,
    Message,
    RunStarted,
    Session,
    SessionChanged,
)
from tradingd.strategy.core import StrategyCore

RUN = RunStarted("gen", "run", "build", "hash", "mock")

_ALLOWED = (
    SessionChanged(Market.CRYPTO, Session.REGULAR, 0),
    LevelChanged(Level.NORMAL, ()),
)
START: tuple[Message, ...] = (RUN, *_ALLOWED)


def start(core: StrategyCore) -> None:
    core.handle(RUN, 0)
    allow(core)


def allow(core: StrategyCore) -> None:
    for message in _ALLOWED:
        core.handle(message, 0)
