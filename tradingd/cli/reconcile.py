"""`tradingd reconcile`: what our books and the broker's differ by, and a person's word that the broker is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tradingd.cli.command import print_result
from tradingd.cli.shared import config_option, json_option, print_json, print_table
from tradingd.cli.talk import ask, command

PATH = "/api/control/reconcile"


@click.command()
@click.option("--accept", "is_accepted", is_flag=True, help="Take over what the broker has.")
@click.option("--reason", help="Whose the difference is, and why it is right; needed to accept.")
@config_option
@json_option
def reconcile(*, is_accepted: bool, reason: str | None, file: Path, as_json: bool) -> None:
    """Show what our books and the broker's differ by; no entries until it is settled.

    With --accept and a --reason the broker's cash and positions become our books. A position whose
    quantity differed belongs to nobody then: it is protected, and sold when everything is.
    """
    if is_accepted:
        if not (reason or "").strip():
            raise click.UsageError("to accept needs a --reason")
        print_result(command(file, PATH, {"reason": reason}), as_json=as_json)
        return
    found = ask(file, "/api/reconcile")
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    if found["is_agreed"]:
        click.echo(f"the books agree, read {found['read_at']}")
        return
    if not found["differences"]:
        click.echo("the books were not compared yet")
        return
    heads = ("kind", "symbol", "local", "broker", "published at")
    rows = [(row["kind"], row["symbol"], row["local"], row["reported"], row["published_at"])
            for row in found["differences"]]  # fmt: skip
    print_table(heads, rows)
    click.echo("no entries until they agree, or `tradingd reconcile --accept --reason R`")
