"""Alerts to a service by an address of apprise: mail, Slack, Telegram, PagerDuty, SMS and many more.

apprise is imported in the sink's own thread and only if an address is configured: it costs a quarter of
a second and 14 MiB. Its plug-ins are called directly, past its pools, whose threads would be waited for
at the end of the process.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from tradingd.messages import Severity
from tradingd.notify.alert import Notification
from tradingd.notify.sinks import SinkFailed
from tradingd.notify.sinks.thread import SinkThread

if TYPE_CHECKING:
    from apprise import NotifyBase

_TYPES = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}


class ServiceSink:
    """One address, one plug-in, one thread."""

    def __init__(self, name: str, url: str) -> None:
        self._name = name
        self._url = url
        self._thread = SinkThread(name)
        self._plugin: NotifyBase | None = None

    async def open(self) -> None:
        """Import apprise and read the address; raises `SinkFailed` when it cannot be used."""
        if find_spec("apprise") is None:
            raise SinkFailed(
                "apprise is not installed: pip install --require-hashes -r requirements/alerts.txt"
            )
        await self._thread.call(self._understand)

    async def send(self, alert: Notification) -> None:
        """Have the service take it; raises SinkFailed when it does not."""
        if not await self._thread.call(lambda: self._notify(alert)):
            raise SinkFailed("the service did not take it (apprise's own line in the log says why)")

    def _understand(self) -> None:
        from apprise import Apprise, AppriseAsset  # noqa: PLC0415 - see above

        asset = AppriseAsset(
            app_id="tradingd", secure_logging=True, storage_mode="memory", http_redirects=False
        )
        self._plugin = Apprise.instantiate(self._url, asset=asset)
        if self._plugin is None:
            raise SinkFailed(f"the address of channel {self._name} is none that apprise knows")

    def _notify(self, alert: Notification) -> bool:
        from apprise import NotifyType  # noqa: PLC0415 - see above

        if self._plugin is None:
            self._understand()
        assert self._plugin is not None
        kind = NotifyType(_TYPES[alert.severity])
        return bool(self._plugin.notify(body=alert.body, title=alert.title, notify_type=kind))
