"""Where an alert goes at last: one method, so that a sink of one's own is one small class.

A sink raises `SinkFailed` (or anything else) when the alert did not get there; the channel around it
keeps the deadline, tries again and counts.
"""

from __future__ import annotations

from typing import Protocol

from tradingd.notify.alert import Notification


class SinkFailed(Exception):  # noqa: N818 - it names the state of affairs
    """The alert did not get there. The text names no address."""


class Sink(Protocol):
    """Sends one alert."""

    async def send(self, alert: Notification) -> None:
        """Return once it is delivered; raise if it is not. May be canceled at any await."""


__all__ = ["Sink", "SinkFailed"]
