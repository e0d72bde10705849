"""The sections of the configuration but for risk and router: types, units and safe ranges.

Every model is frozen and refuses keys it does not know: a typo must never mean "no limit".
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tradingd.instruments.symbols import market_of
from tradingd.messages import Market

EMBEDDED = "embedded"
_SYMBOL = re.compile(r"[A-Z][A-Z0-9.]{0,9}(/USD)?")
_STRATEGY = re.compile(r"[a-z0-9_]{1,16}")


def _checked_symbols(symbols: tuple[str, ...]) -> tuple[str, ...]:
    for symbol in symbols:
        if not _SYMBOL.fullmatch(symbol):
            raise ValueError(f'"{symbol}" is no symbol; write IBM or BTC/USD')
    if len(set(symbols)) != len(symbols):
        raise ValueError("a symbol stands twice")
    return symbols


def _checked_name(name: str) -> str:
    if not _STRATEGY.fullmatch(name) or name == "external":
        raise ValueError("a strategy's name is 1 to 16 of a-z 0-9 _ and not external")
    return name


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


def _as_tuple(value: object) -> object:
    """Let `IBM,AIG` of a variable be the list it means."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


Money = Annotated[Decimal, Field(gt=0, le=Decimal(10) ** 12, allow_inf_nan=False)]
HttpUrl = Annotated[str, _checked_url(("https", "http"))]
SocketUrl = Annotated[str, _checked_url(("wss", "ws"))]
Symbols = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_tuple),
    Field(min_length=1, max_length=500),
    AfterValidator(_checked_symbols),
]
StrategyName = Annotated[str, AfterValidator(_checked_name)]


class Section(BaseModel):
    """One table of the TOML file."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Run(Section):
    """The run itself."""

    mode: Literal["mock", "paper", "live"]
    state_dir: str = Field(min_length=1)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    on_stop: Literal["flatten", "keep_if_protected", "keep"] = "flatten"
    stop_ceiling_s: float = Field(default=60, ge=1, le=300)
    stop_before_close_min: float = Field(default=5, ge=0, le=60)
    log_bytes_max: int = Field(default=512 * 1024**2, ge=1024**2, le=64 * 1024**3)
    order_log_keep_years: int = Field(default=10, ge=7, le=100)


class Mock(Section):
    """The simulator behind `mode = "mock"`."""

    simulator: Annotated[str, AfterValidator(_checked_simulator)] = EMBEDDED
    scenario: Literal["calm", "trend", "crash"] = "calm"
    seed: int = Field(default=7, ge=0, le=2**31 - 1)
    speed: float = Field(default=60, gt=0, le=60)
    start: Annotated[str, AfterValidator(_checked_start)] = "2024-03-05 09:30"
    minutes: int = Field(default=60, ge=1, le=1440)
    cash: Money = Decimal(100_000)
    faults: str = Field(default="", max_length=200)


class Alpaca(Section):
    """Where the broker is. In mock mode the simulator's addresses stand in for these."""

    account_id: str = ""
    feed: Literal["iex", "sip", "delayed_sip", "test"] = "iex"
    trading_url: HttpUrl = "https://paper-api.alpaca.markets"
    trading_stream_url: SocketUrl = "wss://paper-api.alpaca.markets/stream"
    data_url: HttpUrl = "https://data.alpaca.markets"
    data_stream_url: SocketUrl = "wss://stream.data.alpaca.markets"
    request_deadline_s: float = Field(default=10, ge=1, le=60)
    requests_per_min_max: int = Field(default=180, ge=20, le=1000)
    data_requests_per_min_max: int = Field(default=180, ge=20, le=10_000)


class Quotes(Section):
    """What is watched, and how closely."""

    symbols: Symbols
    stale_after_s: float = Field(default=30, ge=1, le=3600)
    mark_interval_ms: int = Field(default=1000, ge=10, le=60_000)
    mark_move_bps: float = Field(default=10, gt=0, le=1000)
    bar_spans_s: tuple[Annotated[int, Field(ge=1, le=86_400)], ...] = (60,)

    def markets(self) -> tuple[Market, ...]:
        """Return the markets the symbols trade in, in the order of first use."""
        return tuple(dict.fromkeys(market_of(symbol) for symbol in self.symbols))


class Strategy(Section):
    """One strategy. `params` are the strategy's own and checked by it."""

    kind: str = Field(min_length=1, max_length=200)
    symbols: Symbols
    when: Literal["quote", "bar", "every"] = "bar"
    span_s: int = Field(default=60, ge=1, le=86_400)
    refusal_wait_s: float = Field(default=60, ge=0, le=86_400)
    exit_wait_s: float = Field(default=5, ge=0, le=86_400)
    params: dict[str, int | Decimal | bool | str] = Field(default_factory=dict, max_length=64)


class Portfolio(Section):
    """How the account is marked."""

    mark_stale_s: float = Field(default=60, ge=1, le=3600)
    equity_interval_s: float = Field(default=1, ge=1, le=60)


class Supervisor(Section):
    """When everything stops."""

    daily_loss_pct: Decimal = Field(gt=0, le=50)
    daily_loss_usd: Money | None = None
    reconcile_interval_s: float = Field(default=60, ge=5, le=3600)
    foreign: Literal["halt", "adopt", "ignore"] = "halt"
    flatten_check_s: float = Field(default=1, ge=1, le=60)
    strategy_executions_max: int = Field(default=200, ge=1, le=100_000)
    strategy_rejects_max: int = Field(default=20, ge=1, le=100_000)
    strategy_window_min: float = Field(default=10, ge=1, le=1440)


class Api(Section):
    """The HTTP API: a unix socket always, TCP on loopback beside it."""

    bind: Literal["127.0.0.1", "::1"] = "127.0.0.1"
    port: int = Field(default=8787, ge=0, le=65_535)
