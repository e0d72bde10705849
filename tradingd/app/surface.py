"""Builds the API of a run: what it may read of the house, and the desk through which it commands.

Beside `daemon.py`, because here alone configuration, house and API are seen at once.
"""

from __future__ import annotations

from tradingd.api.http import Api
from tradingd.api.operator import SOURCE, Controls, Desk, Stop
from tradingd.api.routing import Surface
from tradingd.api.stream import Stream
from tradingd.config import Settings, public
from tradingd.config.mapping import limits_shown
from tradingd.messages import AlertRaised, Severity
from tradingd.observability.metrics import Metrics
from tradingd.runtime.bus import Bus
from tradingd.views.system_view import HouseView


def build_api(
    settings: Settings,
    bus: Bus,
    *,
    view: HouseView,
    metrics: Metrics,
    stream: Stream,
    genesis: str,
    stop: Stop,
) -> Api:
    """Return the API, not yet listening. The view has folded the earlier log: ids go on from there."""
    surface = Surface(
        view=view,
        metrics=metrics,
        desk=Desk(bus, view, Controls(genesis, stop)),
        stream=stream,
        limits=limits_shown(settings),
        strategies=tuple(settings.strategies),
        settings=public(settings),
    )

    def tell_lockout(peer: str) -> None:
        text = f"{peer} showed wrong tokens and is locked out of the API"
        bus.publish(SOURCE, AlertRaised(SOURCE, Severity.WARNING, "auth_failures", text))

    return Api(surface, tell_lockout)
