"""A test alert through every channel: an alert that does not arrive is found now, not on the night it matters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from tradingd.app.preflight.check import Check, fail, ok, warn
from tradingd.messages import Severity
from tradingd.notify import (
    Notification,
    NotifyRefused,
    NotifySettings,
    Sink,
    open_sinks,
)
from tradingd.notify.settings import COMMAND, FILE

NAME = "alerts"


async def check_alerts(settings: NotifySettings, mode: str, run_id: str) -> Check:
    """Return which channels took a test alert."""
    try:
        sinks = await open_sinks(settings)
    except NotifyRefused as error:
        return fail(NAME, str(error), "Mend the address, or remove the channel")
    lost = await _send_all(sinks, _test(mode, run_id), settings.send_deadline_s)
    if lost:
        found = "; ".join(f"{name}: {why}" for name, why in lost.items())
        return fail(NAME, f"not delivered by {found}", "Mend the channel: docs/alerts.md")
    names = ", ".join(sinks) or "none"
    if not set(sinks) - {FILE, COMMAND}:
        remedy = "Add a channel that reaches you: [notify] urls (docs/alerts.md)"
        return warn(NAME, f"delivered by {names}; none leaves this machine by itself", remedy)
    return ok(NAME, f"delivered by {names}")


async def _send_all(
    sinks: Mapping[str, Sink], alert: Notification, deadline_s: float
) -> dict[str, str]:
    found = await asyncio.gather(*(_send(sink, alert, deadline_s) for sink in sinks.values()))
    return {name: why for name, why in zip(sinks, found, strict=True) if why}


async def _send(sink: Sink, alert: Notification, deadline_s: float) -> str:
    try:
        async with asyncio.timeout(deadline_s):
            await sink.send(alert)
    except TimeoutError:
        return f"no answer within {deadline_s:.0f} s"
    except Exception as error:  # noqa: BLE001 - quarantine: whatever a sink raises is its channel's answer
        return str(error) or type(error).__name__
    return ""


def _test(mode: str, run_id: str) -> Notification:
    return Notification(
        alert_id=f"{run_id}-doctor",
        severity=Severity.INFO,
        kind="doctor_test",
        publisher="doctor",
        text="This is a test by `tradingd doctor`. Nothing is wrong.",
        at=time.time_ns(),
        raised_at=time.monotonic_ns(),
        mode=mode,
        run_id=run_id,
    )
