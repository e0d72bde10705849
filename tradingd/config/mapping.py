"""What the actors are told that stands in more than one section, or is read from a strategy's code."""

from __future__ import annotations

from dataclasses import replace

from tradingd.config.faults import ConfigError, ConfigFault
from tradingd.config.settings import Settings
from tradingd.notify.settings import NotifySettings
from tradingd.quotes.settings import MINUTE_S
from tradingd.reconciler.core import ReconcilerSettings
from tradingd.strategy.load import kinds_of
from tradingd.views.limits import Limits
from tradingd.wiring import CoreSettings, build_cores


def core_settings(settings: Settings) -> CoreSettings:
    """Return what the deciding actors are told; raises `ConfigError` for a strategy that cannot be made."""
    supervisor = settings.supervisor
    try:
        kinds, _ = kinds_of([strategy.kind for strategy in settings.strategies.values()])
        given = CoreSettings(
            kinds=kinds,
            quotes=settings.quotes,
            strategies=tuple(settings.strategies.values()),
            risk=settings.risk,
            router=replace(settings.router, quote_age_s_max=settings.risk.quote_age_s_max),
            reconciler=ReconcilerSettings(external=supervisor.external),
            portfolio=settings.portfolio,
            supervisor=replace(
                supervisor, on_stop=settings.run.on_stop, markets=settings.quotes.markets()
            ),
        )
        build_cores(given)
    except (ValueError, TypeError, ImportError, OSError) as error:
        fault = ConfigFault("configuration", "[strategies]", "", str(error), "Mend it there")
        raise ConfigError([fault]) from error
    return given


def limits_shown(settings: Settings) -> Limits:
    """Return the limits whose use is shown."""
    return Limits(settings.risk, settings.supervisor)


def warmup_of(settings: CoreSettings) -> tuple[tuple[str, int, int], ...]:
    """Return (symbol, span in seconds, bars) that the strategies want of the time before the run.

    The broker's history begins at minutes: strategies on shorter bars warm up on the live market.
    """
    wanted: dict[tuple[str, int], int] = {}
    for strategy in settings.strategies:
        if strategy.when == "bar" and strategy.span_s % MINUTE_S == 0:
            bars = settings.kinds[strategy.kind](**strategy.arguments()).warmup
            for symbol in strategy.symbols:
                key = (symbol, strategy.span_s)
                wanted[key] = max(bars, wanted.get(key, 0))
    return tuple((symbol, span_s, bars) for (symbol, span_s), bars in wanted.items())


def notify_settings(settings: Settings) -> NotifySettings:
    """Return what the notify actor is told: its section, and what it watches and must keep to itself."""
    return replace(
        settings.notify,
        state_dir=settings.state_dir,
        symbols=settings.quotes.symbols,
        secrets=secrets_of(settings),
    )


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return everything that no log and no alert may hold."""
    return (settings.key.reveal(), settings.secret.reveal(), *settings.notify.address_parts())
