"""What no single key can tell: modes against endpoints and keys, strategies against symbols.

Three facts must agree before live money moves: the mode, the live endpoint and the typed account id.
A key's first letters only hint at its environment; the account read at start is the proof.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from tradingd.config.faults import ConfigFault, dotted, shown
from tradingd.config.settings import Settings
from tradingd.config.sources import Gathered

LIVE_HOST = "api.alpaca.markets"
LIVE_PREFIX, PAPER_PREFIX = "AK", "PK"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SOCKET_PATH_BYTES_MAX = 100
_STALE_AT_SPEED_S_MIN = 30
_SLICES_AT_SPEED_S_MIN = 10


def faults_of(settings: Settings, gathered: Gathered) -> list[ConfigFault]:
    """Return every fault between the keys of a configuration whose single keys are sound."""
    by_mode = {"mock": _mock, "paper": _paper, "live": _live}
    return [
        *_strategies(settings, gathered),
        *_state_dir(settings, gathered),
        *_routes(settings, gathered),
        *_addresses_in_file(settings, gathered),
        *by_mode[settings.run.mode](settings, gathered),
    ]


def _strategies(settings: Settings, gathered: Gathered) -> list[ConfigFault]:
    faults = []
    watched = set(settings.quotes.symbols)
    for name, strategy in settings.strategies.items():
        strange = [symbol for symbol in strategy.symbols if symbol not in watched]
        if strange:
            path = ("strategies", name, "symbols")
            wrong = f"trades {', '.join(strange)}, which nobody watches"
            remedy = "Add it to [quotes] symbols or remove it here"
            faults.append(_at(gathered, path, ", ".join(strategy.symbols), wrong, remedy))
        if strategy.when == "bar" and strategy.span_s not in settings.quotes.bar_spans_s:
            path = ("strategies", name, "span_s")
            wrong = "no bar of this span is made"
            remedy = "Add it to [quotes] bar_spans_s"
            faults.append(_at(gathered, path, str(strategy.span_s), wrong, remedy))
    return faults


def _state_dir(settings: Settings, gathered: Gathered) -> list[ConfigFault]:
    socket = str(settings.state_dir.absolute() / "api.sock").encode()
    if len(socket) <= _SOCKET_PATH_BYTES_MAX:
        return []
    wrong = f"is too long for the unix socket inside it ({len(socket)} bytes)"
    remedy = f"Choose a folder whose socket path has at most {_SOCKET_PATH_BYTES_MAX} bytes"
    return [_at(gathered, ("run", "state_dir"), settings.run.state_dir, wrong, remedy)]


def _routes(settings: Settings, gathered: Gathered) -> list[ConfigFault]:
    """Return what is wrong between channels and routes: an alert must not end nowhere, unnoticed."""
    notify = settings.notify
    exist = set(notify.channels())
    named = {name for route in notify.routes for name in route.channels}
    faults = [
        _of_notify(
            gathered, "routes", f"lead to channel {name}, which does not exist", "Add the channel"
        )
        for name in sorted(named - exist)
    ]
    faults += [
        _of_notify(gathered, "routes", f"none leads to channel {name}", "Add a route or remove it")
        for name in sorted(exist - named)
    ]
    if not any("*" in route.kinds for route in notify.routes):
        wrong = "some kinds of critical alerts reach no channel"
        faults.append(_of_notify(gathered, "routes", wrong, 'Add a route with kinds = ["*"]'))
    return faults


def _addresses_in_file(settings: Settings, gathered: Gathered) -> list[ConfigFault]:
    if settings.run.mode != "live":
        return []
    paths = [("notify", "urls", name) for name in settings.notify.urls]
    if settings.notify.ping_url:
        paths.append(("notify", "ping_url"))  # type: ignore[arg-type]  # paths differ in length
    return [
        ConfigFault(
            gathered.file,
            dotted(path),
            "",
            "is a secret in a file; live mode takes it from credentials or the environment",
            "Move it to the credential notify_url_NAME or notify_ping_url",
        )
        for path in paths
        if gathered.origin(path) == gathered.file
    ]


def _of_notify(gathered: Gathered, key: str, wrong: str, remedy: str) -> ConfigFault:
    path = ("notify", key)
    return ConfigFault(gathered.origin(path), dotted(path), "", wrong, remedy)


def _mock(settings: Settings, gathered: Gathered) -> list[ConfigFault]:
    if settings.mock.speed > 1 and settings.quotes.stale_after_s < _STALE_AT_SPEED_S_MIN:
        wrong = "is under a hiccup of the machine at this speed"
        remedy = (
            f"Write at least {_STALE_AT_SPEED_S_MIN} market seconds when [mock] speed is above 1"
        )
        value = str(settings.quotes.stale_after_s)
        return [_at(gathered, ("quotes", "stale_after_s"), value, wrong, remedy)]
    if settings.mock.speed > 1 and settings.router.twap_interval_s_min < _SLICES_AT_SPEED_S_MIN:
        wrong = "is under a hiccup of the machine at this speed"
        remedy = (
            f"Write at least {_SLICES_AT_SPEED_S_MIN} market seconds when [mock] speed is above 1"
        )
        value = str(settings.router.twap_interval_s_min)
        return [_at(gathered, ("router", "twap_interval_s_min"), value, wrong, remedy)]
    address = settings.mock.simulator
    if address != "embedded" and urlsplit(address).hostname not in _LOOPBACK:
        wrong = "is not on this machine; market clocks are shared over loopback only"
        return [_at(gathered, ("mock", "simulator"), address, wrong, "Write http://127.0.0.1:PORT")]
    return []


def _paper(settings: Settings, gathered: Gathered) -> list[ConfigFault]:
    faults = _keys(settings, gathered, LIVE_PREFIX, "live")
    for name, address in _trading_addresses(settings):
        parts = urlsplit(address)
        if parts.hostname == LIVE_HOST:
            wrong = "is the live endpoint, in paper mode"
            remedy = "Write paper-api.alpaca.markets"
            faults.append(_at(gathered, ("alpaca", name), address, wrong, remedy))
        elif parts.scheme in ("http", "ws") and parts.hostname not in _LOOPBACK:
            wrong = "would send the keys in the clear"
            faults.append(_at(gathered, ("alpaca", name), address, wrong, "Write https or wss"))
    return faults


def _live(settings: Settings, gathered: Gathered) -> list[ConfigFault]:
    faults = _keys(settings, gathered, PAPER_PREFIX, "paper")
    for name, address in _trading_addresses(settings):
        parts = urlsplit(address)
        if parts.hostname != LIVE_HOST or parts.scheme not in ("https", "wss"):
            wrong = "is not the live endpoint, in live mode"
            remedy = f'Write {LIVE_HOST}, or mode = "paper"'
            faults.append(_at(gathered, ("alpaca", name), address, wrong, remedy))
    if not settings.alpaca.account_id:
        wrong = "is missing, and live mode trades only on the account that is typed here"
        remedy = "Type the account number that Alpaca shows for the live account"
        faults.append(_at(gathered, ("alpaca", "account_id"), "", wrong, remedy))
    if gathered.needs_keys and settings.keys_from not in ("", "credentials"):
        wrong = f"come from {settings.keys_from}; live mode takes them from credentials only"
        remedy = "Unset them there and use LoadCredential in the unit"
        faults.append(ConfigFault(settings.keys_from, "the keys", "", wrong, remedy))
    return faults


def _trading_addresses(settings: Settings) -> tuple[tuple[str, str], ...]:
    alpaca = settings.alpaca
    return (
        ("trading_url", alpaca.trading_url),
        ("trading_stream_url", alpaca.trading_stream_url),
    )


def _keys(
    settings: Settings, gathered: Gathered, external: str, environment: str
) -> list[ConfigFault]:
    faults: list[ConfigFault] = []
    if not gathered.needs_keys:
        return faults
    mode = settings.run.mode
    missing = [
        name
        for name, secret in (
            ("ALPACA_API_KEY", settings.key),
            ("ALPACA_SECRET_KEY", settings.secret),
        )
        if not secret
    ]
    for name in missing:
        source = "systemd credentials" if mode == "live" else "environment or .env"
        wrong = f"is missing, and {mode} mode needs it"
        remedy = f'Set it ({source}), or trade without keys with mode = "mock"'
        faults.append(ConfigFault(source, name, "", wrong, remedy))
    if settings.key.reveal().startswith(external):
        wrong = f"looks like a {environment} key (it begins with {external}), in {mode} mode"
        remedy = f"Use the {mode} account's keys"
        faults.append(ConfigFault(settings.keys_from, "ALPACA_API_KEY", "", wrong, remedy))
    return faults


def _at(
    gathered: Gathered, path: tuple[str, ...], value: str, wrong: str, remedy: str
) -> ConfigFault:
    return ConfigFault(
        gathered.origin(path), dotted(path), shown(path[-1], value) if value else "", wrong, remedy
    )
