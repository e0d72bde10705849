"""What the notify actor is told: channels, routes, limits, the summary and the dead-man's switch.

Whoever knows a channel's address can write to the owner in our name, so no value of this section is
repeated in a fault, and addresses show as stars like the broker's keys.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator

from tradingd.instruments.settings import INTERNAL, settings
from tradingd.messages import Severity
from tradingd.notify.alert import RANK
from tradingd.observability.secret import MASK, Secret

FILE, COMMAND = "file", "command"
"""The channels that need no address."""

MIB = 1024**2
_BUILT_IN = (FILE, COMMAND)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CHANNEL = re.compile(r"[a-z0-9_]{1,16}")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d|close|off")
_PART_CHARS_MIN = 8
_PLAIN = frozenset({"json", "xml", "form"})
"""Webhooks without TLS; on this machine they are nobody else's to read."""


def _as_secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("an address is text")  # noqa: TRY004 - pydantic reads ValueErrors
    return Secret(value.strip())


def _checked_channel(name: str) -> str:
    if not _CHANNEL.fullmatch(name) or name in _BUILT_IN:
        raise ValueError("a channel's name is 1 to 16 of a-z 0-9 _ and not file or command")
    return name


def _checked_address(address: Secret) -> Secret:
    if "://" not in address.reveal():
        raise ValueError("an address has the form SERVICE://...")
    parts = urlsplit(address.reveal())
    if parts.scheme in _PLAIN and parts.hostname not in _LOOPBACK:
        raise ValueError(f"alerts would leave in the clear: write {parts.scheme}s://...")
    return address


def _checked_ping(address: Secret) -> Secret:
    parts = urlsplit(address.reveal())
    is_near = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if address and parts.scheme != "https" and not is_near:
        raise ValueError("the address of the dead-man's switch begins with https://")
    return address


def _checked_command(argv: tuple[str, ...]) -> tuple[str, ...]:
    if argv and not argv[0].startswith("/"):
        raise ValueError("a command begins with the absolute path of its program")
    return argv


def _checked_file(name: str) -> str:
    if "/" in name or name in (".", ".."):
        raise ValueError("the file lies in the state folder: write a name without /")
    return name


def _checked_time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise ValueError('write HH:MM, "close" or "off"')
    return text


SecretText = Annotated[
    Secret,
    PlainValidator(_as_secret),
    PlainSerializer(lambda secret: MASK if secret else "", return_type=str),
]
Address = Annotated[SecretText, AfterValidator(_checked_address)]
Channel = Annotated[str, AfterValidator(_checked_channel)]


@settings
class AlertRoute:
    """Alerts of this severity or worse whose kind matches a pattern go to these channels."""

    severity: Annotated[Severity, Field(description="The mildest severity that goes this way.")] = (
        Severity.INFO
    )
    kinds: Annotated[
        tuple[str, ...],
        Field(
            min_length=1, max_length=64, description="Patterns of kinds, * and ? as in file names."
        ),
    ] = ("*",)
    channels: Annotated[
        tuple[str, ...],
        Field(min_length=1, max_length=16, description="Names under urls, file or command."),
    ] = (FILE,)

    def takes(self, severity: Severity, kind: str) -> bool:
        """Tell whether an alert goes this way."""
        if RANK[severity] < RANK[self.severity]:
            return False
        return any(fnmatchcase(kind, pattern) for pattern in self.kinds)


@settings
class NotifySettings:
    """Where alerts go, how often, and who is told that we live."""

    file: Annotated[str, AfterValidator(_checked_file)] = "alerts.jsonl"
    file_bytes_max: Annotated[int, Field(ge=64 * 1024, le=1024**3)] = 16 * MIB
    command: Annotated[tuple[str, ...], AfterValidator(_checked_command), Field(max_length=64)] = ()
    urls: Annotated[dict[Channel, Address], Field(max_length=16)] = Field(default_factory=dict)
    """Channel name -> address of apprise."""
    routes: Annotated[tuple[AlertRoute, ...], Field(min_length=1, max_length=64)] = (AlertRoute(),)
    send_deadline_s: Annotated[float, Field(ge=1, le=60)] = 10
    """Seconds here are real time, but for the window of rejects."""
    repeat_after_s: Annotated[float, Field(ge=1, le=86_400)] = 300
    """The same kind and text is not sent again within this."""
    rate_per_minute_max: Annotated[int, Field(ge=1, le=600)] = 10
    """Messages of a channel in a minute, critical ones and others apart; what is beyond becomes a digest."""
    summary_at: Annotated[str, AfterValidator(_checked_time)] = "16:15"
    """New York `HH:MM`, `close` or `off`."""
    alert_fills: bool = False
    rejects_max: Annotated[int, Field(ge=2, le=1000)] = 10
    rejects_window_s: Annotated[float, Field(ge=1, le=86_400)] = 300
    """Market time."""
    disk_free_mib_min: Annotated[int, Field(ge=1, le=1024**2)] = 1024
    ping_url: Annotated[SecretText, AfterValidator(_checked_ping)] = Secret("")
    ping_interval_s: Annotated[float, Field(ge=10, le=3600)] = 60

    state_dir: Annotated[Path, INTERNAL] = Path()
    symbols: Annotated[tuple[str, ...], INTERNAL] = ()
    """What is watched: a market is stale when all its symbols are."""
    secrets: tuple[str, ...] = Field(default=(), exclude=True, repr=False)
    """What may stand in no text that leaves: keys, addresses and their parts."""

    def channels(self) -> tuple[str, ...]:
        """Return the names of the channels that exist."""
        built_in = [name for name in _BUILT_IN if getattr(self, name)]
        return (*built_in, *self.urls)

    def address_parts(self) -> tuple[str, ...]:
        """Return what may be written nowhere: each address, and each part of one that may be a token."""
        addresses = [secret.reveal() for secret in (*self.urls.values(), self.ping_url) if secret]
        return tuple(part for address in addresses for part in (address, *_parts(address)))


def _parts(address: str) -> list[str]:
    values = re.split(r"[/:@?&=,+]+", address.partition("://")[2])
    return [
        form
        for value in values
        for form in dict.fromkeys((value, unquote(value)))
        if len(form) >= _PART_CHARS_MIN and form not in _LOOPBACK
    ]
