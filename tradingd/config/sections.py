"""The sections that no single actor owns: the run, the simulator, the broker's addresses, the API."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tradingd.instruments.settings import Money, settings
from tradingd.quotes.feed_settings import DATA_URL, PAPER_URL, STREAM_URL

EMBEDDED = "embedded"


def _checked_start(text: str) -> str:
    datetime.strptime(text, "%Y-%m-%d %H:%M")  # noqa: DTZ007 - New York wall time, by definition
    return text


def _checked_url(schemes: tuple[str, ...]) -> AfterValidator:
    def check(url: str) -> str:
        if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)) or url.endswith("/"):
            raise ValueError(f"an address begins with {' or '.join(schemes)}:// and ends without /")
        return url

    return AfterValidator(check)


def _checked_simulator(text: str) -> str:
    if text != EMBEDDED and (not text.startswith("http://") or text.endswith("/")):
        raise ValueError('write "embedded" or http://127.0.0.1:PORT without / at the end')
    return text


HttpUrl = Annotated[str, _checked_url(("https", "http"))]
SocketUrl = Annotated[str, _checked_url(("wss", "ws"))]


@settings
class Run:
    """The run itself."""

    mode: Literal["mock", "paper", "live"]
    state_dir: Annotated[str, Field(min_length=1)]
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    on_stop: Literal["flatten", "keep_if_protected", "keep"] = "flatten"
    stop_ceiling_s: Annotated[float, Field(ge=1, le=300)] = 60
    stop_before_close_min: Annotated[float, Field(ge=0, le=60)] = 5
    log_bytes_max: Annotated[int, Field(ge=1024**2, le=64 * 1024**3)] = 512 * 1024**2
    order_log_keep_years: Annotated[int, Field(ge=7, le=100)] = 10


@settings
class Mock:
    """The simulator behind `mode = "mock"`."""

    simulator: Annotated[str, AfterValidator(_checked_simulator)] = EMBEDDED
    scenario: Literal["calm", "trend", "crash"] = "calm"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 7
    speed: Annotated[float, Field(gt=0, le=60)] = 60
    start: Annotated[str, AfterValidator(_checked_start)] = "2024-03-05 09:30"
    minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    cash: Money = Decimal(100_000)
    faults: Annotated[str, Field(max_length=200)] = ""


@settings
class Alpaca:
    """Where the broker is. In mock mode the simulator's addresses stand in for these."""

    account_id: str = ""
    feed: Literal["iex", "sip", "delayed_sip", "test"] = "iex"
    trading_url: HttpUrl = PAPER_URL
    trading_stream_url: SocketUrl = "wss://paper-api.alpaca.markets/stream"
    data_url: HttpUrl = DATA_URL
    data_stream_url: SocketUrl = STREAM_URL
    request_deadline_s: Annotated[float, Field(ge=1, le=60)] = 10
    requests_per_min_max: Annotated[int, Field(ge=20, le=1000)] = 180
    data_requests_per_min_max: Annotated[int, Field(ge=20, le=10_000)] = 180


@settings
class ApiSection:
    """The HTTP API: a unix socket always, TCP on loopback beside it."""

    bind: Literal["127.0.0.1", "::1"] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8787
