"""`tradingd replay`: the audit of an order log."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradingd.cli.shared import (
    Exit,
    config_option,
    fail,
    json_option,
    load_or_exit,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from tradingd.messages import Envelope
    from tradingd.runtime.replay import Verdict


@click.command()
@click.argument("journal", type=click.Path(path_type=Path), required=False)
@config_option
@json_option
def replay(journal: Path | None, file: Path, as_json: bool) -> None:
    """Decide an order log again, station by station, and compare with what was said.

    JOURNAL is an order log (orders.db) or the folder that holds it; without it, the one of the
    configuration. The market tape beside it is read too. Use the configuration the run had: what it
    was told is part of its decisions. Exit 0 when every station agrees, 1 when one diverges.
    """
    from tradingd.config import ConfigError
    from tradingd.config.mapping import core_settings
    from tradingd.cores import build_cores
    from tradingd.runtime.replay import replay as replay_log

    settings = load_or_exit(file)
    folder = _folder(journal or settings.state_dir)
    try:
        told = core_settings(settings)
    except ConfigError as error:
        fail(str(error), Exit.CONFIG)
    log, tape = asyncio.run(_read(folder))
    _warn_of_other_settings(log, settings_hash=_hash(file))
    verdicts = replay_log(log, tape, lambda _: build_cores(told))
    if as_json:
        print_json([_row(verdict) for verdict in verdicts])
    else:
        _show(verdicts)
    if any(verdict.divergence is not None for verdict in verdicts):
        raise SystemExit(Exit.FAILURE)


def _folder(journal: Path) -> Path:
    folder = journal if journal.is_dir() else journal.parent
    if not (folder / "orders.db").exists():
        fail(f"there is no order log at {folder / 'orders.db'}", Exit.FAILURE)
    return folder


async def _read(folder: Path) -> tuple[list[Envelope], list[Envelope]]:
    from tradingd.runtime.sqlite_store import SqliteStore, StoreError
    from tradingd.runtime.tape import read_tape

    store = SqliteStore(folder / "orders.db", is_read_only=True)
    try:
        await store.open()
        log = await store.read()
    except StoreError as error:
        fail(str(error), Exit.FAILURE)
    finally:
        await store.close()
    return log, list(read_tape(folder / "tape"))


def _hash(file: Path) -> str:
    from tradingd.config import config_hash

    return config_hash(load_or_exit(file))


def _warn_of_other_settings(log: list[Envelope], settings_hash: str) -> None:
    from tradingd.identity import build
    from tradingd.messages import RunStarted

    runs = [e.message for e in log if isinstance(e.message, RunStarted)]
    if any(run.config_hash != settings_hash for run in runs):
        click.echo("note: a run of this log had another configuration", err=True)
    if any(run.build != build() for run in runs):
        click.echo("note: a run of this log was made by another build", err=True)


def _row(verdict: Verdict) -> dict[str, object]:
    found = verdict.divergence
    return {
        "run": verdict.run,
        "station": verdict.station,
        "outcome": verdict.outcome.value,
        "heard": verdict.heard,
        "compared": verdict.compared,
        "unsaid": verdict.unsaid,
        "note": verdict.note,
        "divergence": None
        if found is None
        else {
            "seq": found.seq,
            "logged": repr(found.logged),
            "said": repr(found.said),
            "error": found.error,
        },
    }


def _show(verdicts: list[Verdict]) -> None:
    head = ("run", "station", "outcome", "note", "heard", "compared")
    rows = [
        (str(v.run), v.station, v.outcome.value, v.note, str(v.heard), str(v.compared))
        for v in verdicts
    ]
    print_table(head, rows, numbers=2)
    for verdict in verdicts:
        if verdict.divergence is not None:
            found = verdict.divergence
            click.echo(f"\n{verdict.station} diverges at seq {found.seq}: {found.error}")
            click.echo(f"  logged {found.logged!r}\n  said   {found.said!r}")
