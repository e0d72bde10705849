"""Builds the API of a run: what it may read of the system, and the desk through which it commands.

Beside `daemon.py`, because here alone configuration, system and API are seen at once.
"""

from __future__ import annotations

from tradingd.api.http import HttpApi
from tradingd.api.operator import SOURCE, Commands, Controls, Stop
from tradingd.api.routing import ApiContext
from tradingd.api.stream import EventStream
from tradingd.config import Settings, public
from tradingd.config.mapping import limits_shown
from tradingd.messages import AlertRaised, Severity
from tradingd.observability.metrics import Metrics
from tradingd.runtime.bus import Bus
from tradingd.views.system_view import SystemView


def build_api(
    settings: Settings,
    bus: Bus,
    *,
    view: SystemView,
    metrics: Metrics,
    stream: EventStream,
    instance_id: str,
    stop: Stop,
) -> HttpApi:
    """Return the API, not yet listening. The view has applied the earlier log: ids go on from there."""
    context = ApiContext(
        view=view,
        metrics=metrics,
        commands=Commands(bus, view, Controls(instance_id, stop)),
        stream=stream,
        limits=limits_shown(settings),
        strategies=tuple(settings.strategies),
        settings=public(settings),
    )

    def report_lockout(peer: str) -> None:
        text = f"{peer} showed wrong tokens and is locked out of the API"
        bus.publish(SOURCE, AlertRaised(SOURCE, Severity.WARNING, "auth_failures", text))

    return HttpApi(context, report_lockout)
