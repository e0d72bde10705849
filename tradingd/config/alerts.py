"""The section [notify]: channels, routes and limits of the alerts. Addresses in it are secrets.

Whoever knows a channel's address can write to the owner in our name, so no value of this section is
repeated in a fault, and addresses show as stars like the broker's keys.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from tradingd.config.faults import Fault, dotted
from tradingd.config.secret import MASK, Secret
from tradingd.config.sections import Section
from tradingd.config.sources import Gathered

if TYPE_CHECKING:
    from tradingd.config.load import Settings

_BUILT_IN = ("file", "command")
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
    BeforeValidator(_as_secret),
    PlainSerializer(lambda secret: MASK if secret else "", return_type=str),
]
Address = Annotated[SecretText, AfterValidator(_checked_address)]
Channel = Annotated[str, AfterValidator(_checked_channel)]


class Route(Section):
    """Alerts of this severity or worse whose kind matches a pattern go to these channels."""

    severity: Literal["info", "warning", "critical"] = Field(
        default="info", description="The mildest severity that goes this way."
    )
    kinds: tuple[str, ...] = Field(
        default=("*",),
        min_length=1,
        max_length=64,
        description="Patterns of kinds, * and ? as in file names.",
    )
    channels: tuple[str, ...] = Field(
        default=("file",),
        min_length=1,
        max_length=16,
        description="Names under urls, file or command.",
    )


class Notify(Section):
    """Where alerts go, how often, and who is told that we live."""

    file: Annotated[str, AfterValidator(_checked_file)] = "alerts.jsonl"
    file_bytes_max: int = Field(default=16 * 1024**2, ge=64 * 1024, le=1024**3)
    command: Annotated[tuple[str, ...], AfterValidator(_checked_command)] = Field(
        default=(), max_length=64
    )
    urls: dict[Channel, Address] = Field(default_factory=dict, max_length=16)
    routes: tuple[Route, ...] = Field(default=(Route(),), min_length=1, max_length=64)
    send_deadline_s: float = Field(default=10, ge=1, le=60)
    repeat_after_s: float = Field(default=300, ge=1, le=86_400)
    rate_per_minute_max: int = Field(default=10, ge=1, le=600)
    summary_at: Annotated[str, AfterValidator(_checked_time)] = "16:15"
    tell_fills: bool = False
    rejects_max: int = Field(default=10, ge=2, le=1000)
    rejects_window_s: float = Field(default=300, ge=1, le=86_400)
    disk_free_mib_min: int = Field(default=1024, ge=1, le=1024**2)
    ping_url: Annotated[SecretText, AfterValidator(_checked_ping)] = Secret("")
    ping_interval_s: float = Field(default=60, ge=10, le=3600)

    def channels(self) -> tuple[str, ...]:
        """Return the names of the channels that exist."""
        built_in = [name for name in _BUILT_IN if getattr(self, name)]
        return (*built_in, *self.urls)

    def secrets(self) -> tuple[str, ...]:
        """Return what may be written nowhere: each address, and each part of one that may be a token."""
        addresses = [secret.reveal() for secret in (*self.urls.values(), self.ping_url) if secret]
        return tuple(part for address in addresses for part in (address, *_parts(address)))


def _parts(address: str) -> list[str]:
    words = re.split(r"[/:@?&=,+]+", address.partition("://")[2])
    return [
        form
        for word in words
        for form in dict.fromkeys((word, unquote(word)))
        if len(form) >= _PART_CHARS_MIN and form not in _LOOPBACK
    ]


def faults_of_notify(settings: Settings, gathered: Gathered) -> list[Fault]:
    """Return what is wrong between channels and routes: an alert must not end nowhere, unnoticed."""
    notify = settings.notify
    exist = set(notify.channels())
    named = {name for route in notify.routes for name in route.channels}
    faults = [
        _fault(
            gathered, "routes", f"lead to channel {name}, which does not exist", "Add the channel"
        )
        for name in sorted(named - exist)
    ]
    faults += [
        _fault(gathered, "routes", f"none leads to channel {name}", "Add a route or remove it")
        for name in sorted(exist - named)
    ]
    if not any("*" in route.kinds for route in notify.routes):
        wrong = "some kinds of critical alerts reach no channel"
        faults.append(_fault(gathered, "routes", wrong, 'Add a route with kinds = ["*"]'))
    return faults + _addresses_in_file(settings, gathered)


def _addresses_in_file(settings: Settings, gathered: Gathered) -> list[Fault]:
    if settings.run.mode != "live":
        return []
    paths = [("notify", "urls", name) for name in settings.notify.urls]
    if settings.notify.ping_url:
        paths.append(("notify", "ping_url"))  # type: ignore[arg-type]  # paths differ in length
    return [
        Fault(
            gathered.file,
            dotted(path),
            "",
            "is a secret in a file; live mode takes it from credentials or the environment",
            "Move it to the credential notify_url_NAME or notify_ping_url",
        )
        for path in paths
        if gathered.origin(path) == gathered.file
    ]


def _fault(gathered: Gathered, key: str, wrong: str, remedy: str) -> Fault:
    path = ("notify", key)
    return Fault(gathered.origin(path), dotted(path), "", wrong, remedy)
