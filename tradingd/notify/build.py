"""Builds the notify actor from its settings: sinks into channels, channels behind routes."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tradingd.messages import ActorFailed
from tradingd.notify.alert import Notification
from tradingd.notify.channel import Channel, Count
from tradingd.notify.notifier import Notifier
from tradingd.notify.ping import DeadMan
from tradingd.notify.settings import COMMAND, FILE, NotifySettings
from tradingd.notify.sinks import Sink, SinkFailed
from tradingd.notify.sinks.command import CommandSink
from tradingd.notify.sinks.file import FileSink
from tradingd.notify.sinks.service import ServiceSink
from tradingd.runtime.bus import Bus
from tradingd.runtime.ports import Clock, Network


class NotifyRefused(Exception):  # noqa: N818 - it names the state of affairs
    """A channel cannot work as configured: found at the start, not when it is needed."""


async def build_notify(
    settings: NotifySettings,
    bus: Bus,
    clock: Clock,
    network: Network,
    *,
    run_id: str,
    mode: str,
    rng: random.Random,
    count: Count,
    count_ping: Callable[[str], None],
    is_healthy: Callable[[], bool],
    on_failure: Callable[[ActorFailed], None],
) -> Notifier:
    """Return the actor, not started; raises `NotifyRefused` for an address that cannot be used."""
    sinks = await open_sinks(settings)
    ping = None
    if settings.ping_url:
        ping = DeadMan(
            network,
            settings.ping_url.reveal(),
            settings.ping_interval_s,
            is_healthy=is_healthy,
            count=count_ping,
        )

    def given_up(channel: str, alert: Notification, reason: str) -> None:
        notify.given_up(channel, alert, reason)

    notify = Notifier(
        bus,
        clock,
        settings,
        {
            name: Channel(
                name,
                sink,
                clock,
                rng,
                rate_per_minute_max=None if name == FILE else settings.rate_per_minute_max,
                deadline_s=settings.send_deadline_s,
                count=count,
                on_given_up=given_up,
            )
            for name, sink in sinks.items()
        },
        run_id=run_id,
        mode=mode,
        free_bytes=lambda: _free_bytes(settings.state_dir),
        on_repeated=lambda severity: count(severity, "", "repeated"),
        on_failure=on_failure,
        ping=ping,
    )
    return notify


async def open_sinks(settings: NotifySettings) -> dict[str, Sink]:
    """Return every channel's sink by name; raises `NotifyRefused` for an address that cannot be used."""
    sinks = dict(_near(settings))
    for name, url in settings.urls.items():
        sinks[name] = await _opened(name, url.reveal())
    return sinks


def _near(settings: NotifySettings) -> Iterator[tuple[str, Sink]]:
    if settings.file:
        yield FILE, FileSink(settings.state_dir / settings.file, settings.file_bytes_max)
    if settings.command:
        yield COMMAND, CommandSink(settings.command)


async def _opened(name: str, url: str) -> Sink:
    sink = ServiceSink(name, url)
    try:
        await sink.open()
    except SinkFailed as error:
        raise NotifyRefused(f"[notify] urls.{name}: {error}") from error
    return sink


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
