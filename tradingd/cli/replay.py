"""`tradingd replay`: the audit of an order log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradingd.app.exit_codes import Exit
from tradingd.cli.journal import log_or_exit, settings_or_exit, store_errors, warn_of_other_settings
from tradingd.cli.shared import config_option, json_option, load_or_exit, print_json, print_table

if TYPE_CHECKING:
    from tradingd.log.replay import ReplayVerdict
    from tradingd.messages import Envelope


@click.command()
@click.argument("journal", type=click.Path(path_type=Path), required=False)
@config_option
@json_option
def replay(journal: Path | None, file: Path, as_json: bool) -> None:
    """Decide an order log again, actor by actor, and compare with what was said.

    JOURNAL is an order log (orders.db) or the folder that holds it; without it, the one of the
    configuration. The market tape beside it is read too. Use the configuration the run had: what it
    was told is part of its decisions. Exit 0 when every actor agrees, 1 when one diverges.
    """
    from tradingd.log.replay import replay as replay_log
    from tradingd.wiring import WIRING, build_cores

    settings = load_or_exit(file)
    log_file = log_or_exit(journal, file)
    given = settings_or_exit(settings)
    log, tape = _read(log_file)
    warn_of_other_settings(log, settings)
    verdicts = replay_log(log, tape, lambda _: build_cores(given), WIRING)
    if as_json:
        print_json([_row(verdict) for verdict in verdicts])
    else:
        _show(verdicts)
    if any(verdict.divergence is not None for verdict in verdicts):
        raise SystemExit(Exit.FAILURE)


def _read(log_file: Path) -> tuple[list[Envelope], list[Envelope]]:
    from tradingd.log.order_log import OrderLog
    from tradingd.log.tape import read_tape

    log = OrderLog(log_file, is_read_only=True)
    with store_errors():
        log.open()
        try:
            return log.read(), list(read_tape(log_file.parent / "tape"))
        finally:
            log.close()


def _row(verdict: ReplayVerdict) -> dict[str, object]:
    found = verdict.divergence
    return {
        "run": verdict.run,
        "actor": verdict.actor,
        "outcome": verdict.outcome.value,
        "received": verdict.received,
        "compared": verdict.compared,
        "unsaid": verdict.unpublished,
        "note": verdict.note,
        "divergence": None
        if found is None
        else {
            "seq": found.seq,
            "logged": repr(found.logged),
            "said": repr(found.published),
            "error": found.error,
        },
    }


def _show(verdicts: list[ReplayVerdict]) -> None:
    head = ("run", "actor", "outcome", "note", "received", "compared")
    rows = [
        (str(v.run), v.actor, v.outcome.value, v.note, str(v.received), str(v.compared))
        for v in verdicts
    ]
    print_table(head, rows, numbers=2)
    for verdict in verdicts:
        if verdict.divergence is not None:
            found = verdict.divergence
            click.echo(f"\n{verdict.actor} diverges at seq {found.seq}: {found.error}")
            click.echo(f"  logged {found.logged!r}\n  said   {found.published!r}")
