"""Alerts that leave the machine: what the sleeping owner should know, to where the owner is.

    rules      what needs an alert and is not said as one yet      pure
    limits     the same again, or too much of it                   pure
    outbox     what waits for one channel, and what goes first     pure
    day        the daily summary                                   pure
    channel    one sink with its outbox, retries and digest        edge
    sinks/     a file, a command, an address of apprise            edges
    ping       the dead-man's switch of somebody outside           edge
    actor    hears the system, sends each alert on its routes     edge

All spans here are real time, and no channel can hold up another: a sink that hangs hangs alone.
"""

from __future__ import annotations

from tradingd.notify.alert import Notification
from tradingd.notify.build import NotifyRefused, build_notify, open_sinks
from tradingd.notify.notifier import Notifier
from tradingd.notify.settings import AlertRoute, NotifySettings
from tradingd.notify.sinks import Sink, SinkFailed

__all__ = [
    "AlertRoute",
    "Notification",
    "Notifier",
    "NotifyRefused",
    "NotifySettings",
    "Sink",
    "SinkFailed",
    "build_notify",
    "open_sinks",
]
