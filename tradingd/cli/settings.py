"""`tradingd check` and `tradingd config show`: what a configuration says, before it is used."""

from __future__ import annotations

from pathlib import Path

import click

from tradingd.app.exit_codes import Exit
from tradingd.cli.shared import config_option, fail, json_option, load_or_exit, print_json


@click.command()
@config_option
@json_option
def check(file: Path, as_json: bool) -> None:
    """Name every fault of a configuration at once.

    Each fault comes with the file or variable that holds it, the key, the value and a remedy. Nothing
    is connected and nothing is sent. Exit 0 when sound, 78 when not.
    """
    from tradingd.config import ConfigError, config_hash, load
    from tradingd.config.mapping import core_settings

    try:
        settings = load(file)
        core_settings(settings)
    except ConfigError as error:
        if not as_json:
            fail(str(error), Exit.CONFIG)
        fields = ("where", "key", "value", "wrong", "remedy")
        print_json([{name: getattr(fault, name) for name in fields} for fault in error.faults])
        raise SystemExit(Exit.CONFIG) from None
    if as_json:
        print_json([])
    else:
        mode, digest = settings.run.mode, config_hash(settings)
        click.echo(f"{file} is sound: mode {mode}, configuration {digest}")


@click.group()
def config() -> None:
    """The resolved configuration."""


@config.command()
@config_option
@json_option
def show(file: Path, as_json: bool) -> None:
    """Show every setting as it is after all sources have spoken; secrets are stars."""
    from tradingd.config import config_hash, public

    settings = load_or_exit(file)
    table = public(settings)
    if as_json:
        print_json({**table, "hash": config_hash(settings)})
        return
    for section, keys in table.items():
        _show_section(section, keys)
    click.echo(f"\nconfiguration {config_hash(settings)}")


def _show_section(section: str, keys: dict[str, object]) -> None:
    click.echo(f"\n[{section}]")
    for name, value in keys.items():
        if isinstance(value, dict):
            inner = ", ".join(f"{key} = {one}" for key, one in value.items())
            click.echo(f"{name} = {{ {inner} }}")
        else:
            click.echo(f"{name} = {value}")
