"""`tradingd doctor`: everything that trading alone needs, asked before it does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradingd.app.exit_codes import Exit
from tradingd.cli.shared import config_option, fail, json_option, load_or_exit, print_json

if TYPE_CHECKING:
    from tradingd.app.preflight import Check, Report
    from tradingd.config import Settings
    from tradingd.runtime.ports import Network

_MARKS = {"ok": "ok", "warn": "WARN", "fail": "FAIL", "skip": "skip"}
_COLORS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "bright_black"}


@click.command()
@config_option
@json_option
@click.option("--no-alerts", is_flag=True, help="Send no test alert.")
def doctor(file: Path, as_json: bool, no_alerts: bool) -> None:
    """Ask everything that trading alone needs, and say what to do about what is wrong.

    Configuration, keys and account, clock, calendar, data plan, disk, folder, limits in dollars, alert
    channels, strange orders and positions, time to be flat. No order is sent. Live mode starts only with
    a passing answer of the same configuration, build and account that is younger than 7 days; it is kept
    in doctor.json in the state folder. Exit 0 when nothing failed, 1 when something did, 78 for a
    configuration that cannot be used.
    """
    settings = load_or_exit(file, needs_keys=True)
    report = examine_now(settings, file, with_alerts=not no_alerts)
    if as_json:
        print_json({**report.record(), "account": f"...{report.account[-4:]}"})
    else:
        _show(report)
    if not report.has_passed:
        raise SystemExit(Exit.FAILURE)


def examine_now(
    settings: Settings,
    file: Path,
    *,
    with_alerts: bool,
    connect: Callable[[], Network] | None = None,
) -> Report:
    """Examine, keep the answer, and return it; ends the process where that cannot even begin."""
    from tradingd.app.endpoints import EndpointsUnreachable
    from tradingd.app.preflight import keep
    from tradingd.app.state_directory import FolderUnusable, StateFiles
    from tradingd.config import ConfigError

    files = StateFiles(settings.state_dir)
    os.umask(0o077)
    try:
        files.make()
        report = asyncio.run(_examine(settings, file, connect, with_alerts=with_alerts))
        keep(report, files.doctor)
    except ConfigError as error:
        fail(str(error), Exit.CONFIG)
    except (EndpointsUnreachable, FolderUnusable, OSError) as error:
        fail(str(error), Exit.FAILURE)
    return report


async def _examine(
    settings: Settings,
    file: Path,
    connect: Callable[[], Network] | None,
    *,
    with_alerts: bool,
) -> Report:
    from tradingd.app.endpoints import open_endpoints
    from tradingd.app.preflight import Subject, examine
    from tradingd.config.mapping import core_settings, warmup_of
    from tradingd.observability import logs
    from tradingd.runtime.network import AiohttpNetwork

    logs.silence()
    network = (connect or AiohttpNetwork)()
    try:
        endpoints = await open_endpoints(settings, warmup_of(core_settings(settings)), network)
        try:
            subject = Subject(
                settings=settings,
                config_file=file,
                endpoints=endpoints,
                network=network,
                with_alerts=with_alerts,
            )
            return await examine(subject)
        finally:
            await endpoints.close()
    finally:
        await network.close()


def _show(report: Report) -> None:
    width = max(len(check.name) for check in report.checks)
    for check in report.checks:
        _show_one(check, width)
    failed = sum(check.result == "fail" for check in report.checks)
    warned = sum(check.result == "warn" for check in report.checks)
    verdict = "passed" if report.has_passed else f"{failed} failed"
    click.echo(f"\n{verdict}, {warned} to look at; mode {report.mode}, build {report.build}")


def _show_one(check: Check, width: int) -> None:
    mark = click.style(f"{_MARKS[check.result]:<4}", fg=_COLORS[check.result])
    click.echo(f"{mark}  {check.name:<{width}}  {check.found}")
    if check.remedy:
        click.echo(f"{'':<4}  {'':<{width}}  -> {check.remedy}")
