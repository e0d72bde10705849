"""`run`: take the state directory, recover, build the system, trade, stop in order, say what it came to.

    lock -> log -> recover -> ends -> system -> API -> RunStarted -> ... STOP ... -> RunStopped -> summary

SIGTERM and SIGINT only ask; the supervisor decides how the system comes down, and the daemon waits for it
or for its ceiling.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import random
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
import uvloop

from tradingd import __version__
from tradingd.api.replies import health
from tradingd.api.stream import EventStream
from tradingd.app.api_of_run import build_api
from tradingd.app.endpoints import EndpointsUnreachable, open_endpoints
from tradingd.app.exit_codes import Exit
from tradingd.app.history import restore_history
from tradingd.app.identity import build, new_run_id
from tradingd.app.lock import AlreadyRunning, InstanceLock
from tradingd.app.preflight.admit import NotAdmitted, admit, check_account
from tradingd.app.recorder import Recorder
from tradingd.app.sd_notify import ServiceNotifier
from tradingd.app.service import EARNED_REAL_S, Service
from tradingd.app.session import MINUTE_NS, TradingSession
from tradingd.app.state_directory import FolderUnusable, StateFiles
from tradingd.app.summary import Summary
from tradingd.app.system import TradingSystem
from tradingd.app.system_samples import SystemSamples
from tradingd.config import ConfigError, Settings, config_hash
from tradingd.config.mapping import (
    core_settings,
    limits_shown,
    notify_settings,
    secrets_of,
    warmup_of,
)
from tradingd.config.sections import EMBEDDED
from tradingd.log.recovery import Recovered, recover
from tradingd.log.sqlite_store import SqliteStore, StoreError
from tradingd.log.tape import MarketTape
from tradingd.messages import Core, RunStarted
from tradingd.notify import Notifier, NotifyRefused, build_notify
from tradingd.notify.day import TOLD
from tradingd.observability import logs
from tradingd.observability.meters import Meters
from tradingd.observability.metrics import Metrics
from tradingd.observability.outlet import STDOUT, LogWriter, to_descriptor
from tradingd.observability.watcher import Watcher
from tradingd.runtime.network import AiohttpNetwork
from tradingd.runtime.ports import Clock, Network
from tradingd.views.system_view import SystemView
from tradingd.wiring import WIRING, build_cores

_LOG = structlog.get_logger()
_LOG_CLOSE_REAL_S_MAX = 2.0


def run_daemon(
    settings: Settings, file: Path | None = None, connect: Callable[[], Network] = AiohttpNetwork
) -> int:
    """Run until stopped; returns the exit code. `file` is where the settings came from."""
    files = StateFiles(settings.state_dir)
    faulthandler.enable()  # what the watchdog aborts must name the line that hangs
    os.umask(0o077)  # whatever a run writes is its owner's alone
    try:
        files.make()
        with InstanceLock(files.folder):
            admit(settings, files, file)
            return uvloop.run(Daemon(settings, files, connect).run())
    except AlreadyRunning as error:
        return _refused(f"{error} {files.folder}", Exit.LOCKED)
    except (ConfigError, NotAdmitted, NotifyRefused) as error:
        return _refused(str(error), Exit.CONFIG)
    except StoreError as error:
        return _refused(f"the order log {error}. {error.remedy}", Exit.FAILURE)
    except (FolderUnusable, EndpointsUnreachable, ListenFailed, OSError) as error:
        return _refused(str(error), Exit.FAILURE)


class ListenFailed(Exception):  # noqa: N818 - it names the state of affairs
    """The API has no place to listen, and a run that cannot be commanded does not begin."""

    def __init__(self, bind: str, port: int, error: OSError) -> None:
        super().__init__(
            f"the API cannot listen on {bind}:{port}: {error.strerror or error}. "
            "Stop what listens there, or write another [api] port"
        )


def _refused(text: str, code: Exit) -> int:
    sys.stderr.write(f"tradingd: {text}\n")
    return code


class Daemon:
    """One run."""

    def __init__(
        self, settings: Settings, files: StateFiles, connect: Callable[[], Network]
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._times = logs.Times()
        self._outlet = LogWriter(to_descriptor(STDOUT))
        self._files = files
        self._core_settings = core_settings(settings)
        self._run_id = new_run_id()
        self._view = SystemView()
        markets = tuple(market.value for market in settings.quotes.markets())
        self._metrics = Metrics(
            Meters(__version__, settings.run.mode),
            self._view,
            tuple(settings.strategies),
            markets,
            limits=limits_shown(settings),
        )
        self._notifier = ServiceNotifier.of_environment(os.environ)

    async def run(self) -> int:
        """Do the whole run; returns the exit code."""
        self._configure_logs()
        me, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert me is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, me.cancel)
        try:
            return await self._run()
        except asyncio.CancelledError:
            return Exit.OK  # asked to stop before anything was begun
        finally:
            self._outlet.close(_LOG_CLOSE_REAL_S_MAX)

    async def _run(self) -> int:
        async with AsyncExitStack() as stack:
            stack.callback(self._notifier.close)
            self._notifier.extend(EARNED_REAL_S)
            self._notifier.status("reading the order log")
            cores = build_cores(self._core_settings)
            store, tape, recovered = await self._recover(stack, cores)
            network = self._connect()
            stack.push_async_callback(network.close)
            endpoints = await open_endpoints(
                self._settings, warmup_of(self._core_settings), network
            )
            stack.push_async_callback(endpoints.close)
            self._times.market_ns = endpoints.clock.now
            system = TradingSystem(
                cores,
                recovered,
                endpoints,
                store=store,
                tape=tape,
                network=network,
                rng=random.SystemRandom(),
                halt_file=self._files.halt,
            )
            files = {"order_log": self._files.log, "market_tape": self._files.tape}
            self._metrics.attach(SystemSamples(system, endpoints.clock, tape, files))
            await check_account(self._settings, system.broker)
            notify = await self._build_notify(system, endpoints.clock, network)
            readers = ((self._view, self._view.kinds), (notify, TOLD))
            await restore_history(store, recovered, system.broker, cores, readers)
            stream = EventStream(self._view)
            session = TradingSession(
                system,
                endpoints,
                watcher=Watcher(
                    system.bus,
                    self._view,
                    self._metrics,
                    stream.touch,
                    on_failure=system.publish_failed,
                ),
                recorder=Recorder(system.bus, self._files.records),
                view=self._view,
            )
            following = system.spawn_beside("clock", endpoints.follow(network, system.timers.rearm))
            stack.push_async_callback(_ended, following)
            await self._open_api(stack, system, stream, session, recovered.instance_id)
            notify.start()
            stack.push_async_callback(notify.close)
            self._open_service(stack, system, endpoints.clock)
            return await self._trade(session, recovered.instance_id)

    def _configure_logs(self) -> None:
        settings = self._settings
        logs.configure(
            self._outlet,
            run_id=self._run_id,
            mode=settings.run.mode,
            level=settings.run.log_level,
            secrets=secrets_of(settings),
            is_terminal=sys.stdout.isatty(),
            on_record=self._metrics.record,
            times=self._times,
        )
        self._outlet.on_dropped = lambda count: _LOG.warning("log.dropped", count=count)

    async def _recover(
        self, stack: AsyncExitStack, cores: Mapping[str, Core]
    ) -> tuple[SqliteStore, MarketTape, Recovered]:
        settings = self._settings
        if settings.run.mode == "mock" and settings.mock.simulator == EMBEDDED:
            self._files.set_aside()
        store = SqliteStore(self._files.log, keep_years=settings.run.order_log_keep_years)
        await store.open()
        stack.push_async_callback(store.close)
        tape = MarketTape(self._files.tape, settings.run.log_bytes_max)
        stack.push_async_callback(tape.close)
        recovered = await recover(store, cores, WIRING, random.SystemRandom(), tape.last_seq())
        return store, tape, recovered

    async def _build_notify(
        self, system: TradingSystem, clock: Clock, network: Network
    ) -> Notifier:
        """Build the way out for alerts; started when the API is, and closed before it."""
        return await build_notify(
            notify_settings(self._settings),
            system.bus,
            clock,
            network,
            run_id=self._run_id,
            mode=self._settings.run.mode,
            rng=random.SystemRandom(),
            count=self._metrics.alert_sent,
            count_ping=self._metrics.pinged,
            is_healthy=lambda: (
                health(self._view).is_healthy and system.heartbeat.is_fresh(system.bus.mailboxes)
            ),
            on_failure=system.publish_failed,
        )

    async def _open_api(
        self,
        stack: AsyncExitStack,
        system: TradingSystem,
        stream: EventStream,
        session: TradingSession,
        instance_id: str,
    ) -> None:
        """Open the API; registered so that it closes after the system: HTTP goes last."""
        api = build_api(
            self._settings,
            system.bus,
            view=self._view,
            metrics=self._metrics,
            stream=stream,
            instance_id=instance_id,
            stop=session.ask_stop,
        )
        stack.push_async_callback(api.close)
        settings = self._settings.api
        try:
            await api.start(self._files.folder, settings.bind, settings.port)
        except OSError as error:
            raise ListenFailed(settings.bind, settings.port, error) from error
        _LOG.info("daemon.listening", msg=f"API at {api.address}", url=api.address)

    def _open_service(self, stack: AsyncExitStack, system: TradingSystem, clock: Clock) -> None:
        """Tell the service manager of the run; its last word comes before the API closes."""
        service = Service(
            self._notifier,
            system.bus,
            clock,
            alive=system.heartbeat,
            view=self._view,
            stop_ceiling_s=self._settings.run.stop_ceiling_s,
        )
        telling = system.spawn_beside("service", service.run())
        stack.callback(service.end)
        stack.push_async_callback(_ended, telling)

    async def _trade(self, session: TradingSession, instance_id: str) -> int:
        run = RunStarted(
            instance_id, self._run_id, build(), config_hash(self._settings), self._settings.run.mode
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, session.ask_stop, "signal", number.name)
        # A lost terminal is a stop; a service has none, and reads configuration and keys at its start only.
        hangup = session.ask_stop if sys.stdout.isatty() else _pass_over
        loop.add_signal_handler(signal.SIGHUP, hangup, "signal", "SIGHUP")
        before_ns = int(self._settings.run.stop_before_close_min * MINUTE_NS)
        try:
            session.open(run, before_ns)
            summary = await session.close(
                self._settings.run.stop_ceiling_s,
                is_flat_wanted=self._settings.run.on_stop != "keep",
            )
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)  # one more changes nothing, to the very end
        self._write_summary(summary)
        return Exit.OK if summary.is_flat or summary.is_kept else Exit.NOT_FLAT

    def _write_summary(self, summary: Summary) -> None:
        _LOG.info("daemon.summary", msg=summary.line(), **summary.record())
        self._outlet.flush(_LOG_CLOSE_REAL_S_MAX)
        out = sys.stdout if sys.stdout.isatty() else sys.stderr
        out.write(summary.text() + "\n")
        out.flush()


def _pass_over(*_values: str) -> None:
    """Take a signal that means nothing here."""


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
