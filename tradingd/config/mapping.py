"""From the configuration to what the stations are told: one frozen dataclass per package.

The packages check once more when their settings are made; what they refuse is a fault like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import TypeVar

from tradingd.config.faults import ConfigError, Fault
from tradingd.config.load import Settings
from tradingd.messages import Severity
from tradingd.notify.settings import NotifySettings, Route
from tradingd.portfolio.settings import PortfolioSettings
from tradingd.quotes.settings import MINUTE_S, QuotesSettings
from tradingd.reconciler.core import ReconcilerSettings
from tradingd.risk.limits import RiskLimits
from tradingd.router.settings import RouterSettings, SlicingSettings
from tradingd.strategy import STRATEGIES
from tradingd.strategy.load import kinds_of
from tradingd.strategy.settings import StrategySettings
from tradingd.supervisor.settings import SupervisorSettings
from tradingd.views.limits import Limits
from tradingd.wiring import CoreSettings, build_cores

Made = TypeVar("Made")


def core_settings(settings: Settings) -> CoreSettings:
    """Return what the deciding stations are told; raises `ConfigError` with every fault."""
    faults: list[Fault] = []
    names = [strategy.kind for strategy in settings.strategies.values()]
    found = _make(faults, "[strategies]", lambda: kinds_of(names))
    parts = {
        "kinds": found[0] if found else STRATEGIES,
        "quotes": _make(faults, "[quotes]", lambda: _quotes(settings)),
        "strategies": tuple(
            _make(faults, f"[strategies.{name}]", lambda name=name: _strategy(settings, name))  # type: ignore[misc]
            for name in settings.strategies
        ),
        "risk": _make(faults, "[risk]", lambda: _risk(settings)),
        "router": _make(faults, "[router]", lambda: _router(settings)),
        "reconciler": _make(
            faults, "[supervisor]", lambda: ReconcilerSettings(foreign=settings.supervisor.foreign)
        ),
        "portfolio": _make(
            faults, "[portfolio]", lambda: PortfolioSettings(**settings.portfolio.model_dump())
        ),
        "supervisor": _make(faults, "[supervisor]", lambda: _supervisor(settings)),
    }
    if faults:
        raise ConfigError(faults)
    told = CoreSettings(**parts)  # type: ignore[arg-type]  # no fault, so no part is None
    _make(faults, "[strategies]", lambda: build_cores(told))
    if faults:
        raise ConfigError(faults)
    return told


def _make(faults: list[Fault], where: str, make: Callable[[], Made]) -> Made | None:
    try:
        return make()
    except (ValueError, TypeError, ImportError, OSError) as error:
        faults.append(Fault("configuration", where, "", str(error), "Mend it there"))
        return None


def _quotes(settings: Settings) -> QuotesSettings:
    return QuotesSettings(**settings.quotes.model_dump())


def _strategy(settings: Settings, name: str) -> StrategySettings:
    table = settings.strategies[name].model_dump()
    return StrategySettings(name=name, **{**table, "params": _params(table["params"])})


def _params(params: Mapping[str, object]) -> dict[str, object]:
    """Market numbers are floats; only what counts money or quantity stays exact."""
    return {
        name: float(value) if isinstance(value, Decimal) and name != "quantity" else value
        for name, value in params.items()
    }


def _risk(settings: Settings) -> RiskLimits:
    table = settings.risk.model_dump()
    return RiskLimits(**{**table, "symbols": frozenset(settings.risk.symbols)})


def _router(settings: Settings) -> RouterSettings:
    router = settings.router
    return RouterSettings(
        stop_loss_pct=_or_off(router.stop_loss_pct),
        take_profit_pct=_or_off(router.take_profit_pct),
        order_timeout_s=router.order_timeout_s,
        flatten_closed=router.flatten_closed,
        slicing=_slicing(settings),
    )


def _slicing(settings: Settings) -> SlicingSettings:
    """The rest of [router] has the names of the slicing; what the gate calls too old a slice is not priced by."""
    table = settings.router.model_dump()
    names = {each.name for each in fields(SlicingSettings)} & table.keys()
    given = {name: table[name] for name in names}
    return SlicingSettings(**given, quote_age_s_max=settings.risk.quote_age_s_max)


def _or_off(value: Decimal | str) -> Decimal | None:
    return value if isinstance(value, Decimal) else None


def _supervisor(settings: Settings) -> SupervisorSettings:
    told = {
        **settings.supervisor.model_dump(exclude={"foreign"}),  # the reconciler's
        "on_stop": settings.run.on_stop,
        "markets": settings.quotes.markets(),
    }
    known = {each.name for each in fields(SupervisorSettings)}
    assert told.keys() <= known, "every key of [supervisor] is one of the station's settings"
    return SupervisorSettings(**told)


def limits_shown(settings: Settings) -> Limits:
    """Return the limits whose use is shown; the stations are told theirs by `core_settings`."""
    risk, supervisor = settings.risk, settings.supervisor
    return Limits(
        order_value_usd_max=risk.order_value_usd_max,
        order_quantity_max=risk.order_quantity_max,
        position_pct_max=risk.position_pct_max,
        exposure_pct_max=risk.exposure_pct_max,
        positions_max=risk.positions_max,
        orders_open_max=risk.orders_open_max,
        orders_per_minute_max=risk.orders_per_minute_max,
        daily_loss_pct=supervisor.daily_loss_pct,
        daily_loss_usd=supervisor.daily_loss_usd,
        confidence_min=risk.confidence_min,
        collar_pct=risk.collar_pct,
        quote_age_s_max=risk.quote_age_s_max,
    )


def warmup_of(told: CoreSettings) -> tuple[tuple[str, int, int], ...]:
    """Return (symbol, span in seconds, bars) that the strategies want of the time before the run.

    The broker's history begins at minutes: strategies on shorter bars warm up on the live market.
    """
    wanted: dict[tuple[str, int], int] = {}
    for strategy in told.strategies:
        if strategy.when == "bar" and strategy.span_s % MINUTE_S == 0:
            bars = told.kinds[strategy.kind](**strategy.params).warmup
            for symbol in strategy.symbols:
                key = (symbol, strategy.span_s)
                wanted[key] = max(bars, wanted.get(key, 0))
    return tuple((symbol, span_s, bars) for (symbol, span_s), bars in wanted.items())


def notify_settings(settings: Settings) -> NotifySettings:
    """Return what the notify station is told, addresses revealed."""
    notify = settings.notify
    return NotifySettings(
        file=settings.state_dir / notify.file if notify.file else None,
        file_bytes_max=notify.file_bytes_max,
        command=notify.command,
        urls={name: address.reveal() for name, address in notify.urls.items()},
        routes=tuple(
            Route(severity=Severity(each.severity), kinds=each.kinds, channels=each.channels)
            for each in notify.routes
        ),
        send_deadline_s=notify.send_deadline_s,
        repeat_after_s=notify.repeat_after_s,
        rate_per_minute_max=notify.rate_per_minute_max,
        summary_at=notify.summary_at,
        tell_fills=notify.tell_fills,
        rejects_max=notify.rejects_max,
        rejects_window_s=notify.rejects_window_s,
        state_dir=settings.state_dir,
        disk_free_bytes_min=notify.disk_free_mib_min * 1024**2,
        symbols=settings.quotes.symbols,
        ping_url=notify.ping_url.reveal(),
        ping_interval_s=notify.ping_interval_s,
        secrets=secrets_of(settings),
    )


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return everything that no log and no alert may hold."""
    return (settings.key.reveal(), settings.secret.reveal(), *settings.notify.secrets())
