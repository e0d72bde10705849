"""The command line, one file per group of commands; a command is imported when it is asked for.

Exit codes: 0 ok, 1 failure, 2 usage, 3 daemon not running, 4 refused by risk, 5 time-out, 6 halted,
20 stopped but NOT FLAT, 65 another instance holds the state directory, 78 configuration.
"""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS = {
    "run": ("tradingd.cli.run", "Trade: the daemon in the foreground."),
    "simulator": ("tradingd.cli.simulator", "A local Alpaca to trade against."),
    "check": ("tradingd.cli.settings", "Name every fault of a configuration."),
    "config": ("tradingd.cli.settings", "Show the resolved configuration, secrets masked."),
    "status": ("tradingd.cli.ask", "What the running daemon may do, and why."),
    "positions": ("tradingd.cli.ask", "What it holds."),
    "orders": ("tradingd.cli.ask", "Its open orders, then the latest closed ones."),
    "replay": ("tradingd.cli.replay", "Decide an order log again and compare."),
    "backtest": ("tradingd.cli.backtest", "The same stations over recorded data."),
    "version": ("tradingd.cli.version", "The version."),
}
"""Command -> module and one line of help, so that --help imports none of them."""


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(_COMMANDS[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with `tradingd run`: a mock session without keys, a minute long. "
    "Exit codes: 0 ok, 1 failure, 2 usage, 3 daemon not running, 6 halted, 20 stopped but NOT FLAT, "
    "65 state directory in use, 78 configuration.",
)
def cli() -> None:
    """A trading daemon that a person can leave alone with real money."""


def main() -> None:
    """Enter from the console script."""
    cli(prog_name="tradingd")
