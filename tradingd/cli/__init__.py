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
    "doctor": ("tradingd.cli.doctor", "Preflight: what stands in the way of trading."),
    "drill": ("tradingd.cli.drill", "Rehearse an emergency, and measure it."),
    "config": ("tradingd.cli.settings", "Show the resolved configuration, secrets masked."),
    "status": ("tradingd.cli.ask", "What the running daemon may do, and why."),
    "positions": ("tradingd.cli.ask", "What it holds."),
    "orders": ("tradingd.cli.ask", "Its open orders, then the latest closed ones."),
    "fills": ("tradingd.cli.ask", "Its latest executions."),
    "pnl": ("tradingd.cli.ask", "What trading came to, also by day, symbol or strategy."),
    "risk": ("tradingd.cli.ask", "Every limit as used over limit."),
    "signals": ("tradingd.cli.ask", "What was wished for, and the gate's verdict."),
    "alerts": ("tradingd.cli.ask", "The latest alerts."),
    "strategies": ("tradingd.cli.ask", "Which strategies run."),
    "pause": ("tradingd.cli.command", "No entries, or one strategy silent, until a resume."),
    "resume": ("tradingd.cli.command", "Go on after a pause or a halt; needs a reason."),
    "flatten": ("tradingd.cli.command", "Sell everything, or one symbol."),
    "halt": ("tradingd.cli.command", "Emergency stop: halted until a resume."),
    "cancel": ("tradingd.cli.command", "Cancel one working order, or all."),
    "submit": ("tradingd.cli.command", "An order of your own, through the gate."),
    "reconcile": ("tradingd.cli.reconcile", "What differs from the broker's books; accept it."),
    "stop": ("tradingd.cli.command", "End the run in order, and wait for it."),
    "audit": ("tradingd.cli.audit", "Check the trail of commands."),
    "replay": ("tradingd.cli.replay", "Decide an order log again and compare."),
    "explain": ("tradingd.cli.explain", "Why there is an order, and what became of it."),
    "verify": ("tradingd.cli.verify", "Whether an order log is whole."),
    "backup": ("tradingd.cli.backup", "Copy the order log, while it is written."),
    "restore": ("tradingd.cli.restore", "Take up a backup of the order log."),
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
    "Exit codes: 0 ok, 1 failure, 2 usage, 3 daemon not running, 4 refused, 5 time-out, 6 halted, "
    "20 stopped but NOT FLAT, 65 state directory in use, 78 configuration.",
)
def cli() -> None:
    """A trading daemon that a person can leave alone with real money."""


def main() -> None:
    """Enter from the console script."""
    cli(prog_name="tradingd")
