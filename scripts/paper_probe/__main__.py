"""`scripts/probe-paper`: the open questions, asked of a real paper account."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradingd.app.exit_codes import Exit
from tradingd.cli.shared import config_option, fail, json_option, load_or_exit, print_json

if TYPE_CHECKING:
    from scripts.paper_probe import Answer, PaperSettings
    from tradingd.config import Settings

DEFAULT_OUT = Path("tests/fixtures/alpaca")


@click.command()
@config_option
@json_option
@click.option("--out", type=click.Path(path_type=Path), default=DEFAULT_OUT, show_default=True,
              help="Folder for the answers and their redacted frames.")  # fmt: skip
@click.option("--only", multiple=True, help="Ask these questions only (repeatable).")
@click.option("--list", "shows", is_flag=True, help="Name the questions and ask nothing.")
def probe(file: Path, as_json: bool, out: Path, only: tuple[str, ...], *, shows: bool) -> None:
    """Ask a paper account what the documents leave open, and keep its answers.

    Reads, and places single small purchases (of the first equity and the first pair that the
    configuration watches, else AAPL and BTC/USD) at half the market's price, which are canceled at once;
    each question takes back what it did before the next begins. Live accounts are refused, and no order
    is placed on an account that holds anything or has an order open. Run it with `-c config/paper.toml`
    while no daemon uses the account; the answers become fixtures that the simulator's tests compare
    with. Exit 20 when something could not be taken back.
    """
    from scripts.paper_probe import NOT_ASKED, QUESTIONS

    if shows:
        for name, (question, _) in QUESTIONS.items():
            click.echo(f"{name:<20} {question}")
        for name, reason in NOT_ASKED.items():
            click.echo(f"{name:<20} not asked: {reason}")
        return
    if unknown := [name for name in only if name not in QUESTIONS]:
        fail(f"no question {', '.join(unknown)}; see --list", Exit.USAGE)
    settings = load_or_exit(file, needs_keys=True)
    if settings.run.mode != "paper":
        fail(f"mode is {settings.run.mode}: only a paper account is asked", Exit.CONFIG)
    from scripts.paper_probe import keep

    with _alone(settings):
        answers = _ask(settings, only, as_json=as_json)
    paths = keep(answers, out, datetime.now(UTC).date().isoformat())
    if as_json:
        print_json(
            [{"name": a.name, "answer": a.answer, "is_answered": a.is_answered} for a in answers]
        )
    else:
        click.echo(
            f"\n{sum(a.is_answered for a in answers)} of {len(paths)} answered; kept in {out}"
        )
    if not all(answer.is_clean for answer in answers):
        fail("something was left at the broker; see above", Exit.NOT_FLAT)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the state folder's lock: a daemon on the same account would take our orders for a stranger's."""
    from tradingd.app.lock import AlreadyRunning, InstanceLock
    from tradingd.app.state_directory import FolderUnusable, StateFiles

    folder = settings.state_dir
    try:
        StateFiles(folder).make()
        with InstanceLock(folder):
            yield
    except AlreadyRunning as error:
        fail(f"{error}: stop the daemon first", Exit.LOCKED)
    except FolderUnusable as error:
        fail(str(error), Exit.CONFIG)


def _ask(settings: Settings, only: tuple[str, ...], *, as_json: bool) -> list[Answer]:
    from scripts.paper_probe import QUESTIONS, NotPaper, Paper, ask_all
    from scripts.paper_probe.paper import Unanswered
    from tradingd.observability import logs
    from tradingd.runtime.clock import SystemClock
    from tradingd.runtime.network import AiohttpNetwork

    logs.silence()
    chosen = {name: row for name, row in QUESTIONS.items() if not only or name in only}

    async def ask() -> list[Answer]:
        network = AiohttpNetwork()
        try:
            prefix = f"probe-{secrets.token_hex(4)}"
            paper = Paper(network, SystemClock(), _paper_settings(settings), prefix)
            return await ask_all(paper, chosen, _quiet if as_json else _show)
        finally:
            await network.close()

    try:
        return asyncio.run(ask())
    except NotPaper as refusal:
        fail(str(refusal), Exit.CONFIG)
    except (Unanswered, OSError) as error:
        fail(str(error), Exit.FAILURE)


def _paper_settings(settings: Settings) -> PaperSettings:
    from scripts.paper_probe import PaperSettings
    from scripts.paper_probe.paper import EQUITY, PAIR
    from tradingd.broker.settings import AlpacaSettings

    alpaca = settings.alpaca
    broker = AlpacaSettings(
        trading_url=alpaca.trading_url,
        trading_stream_url=alpaca.trading_stream_url,
        data_url=alpaca.data_url,
        key_id=settings.key.reveal(),
        secret_key=settings.secret.reveal(),
    )
    equities = [symbol for symbol in settings.quotes.symbols if "/" not in symbol]
    pairs = [symbol for symbol in settings.quotes.symbols if "/" in symbol]
    return PaperSettings(
        broker=broker,
        data_stream_url=alpaca.data_stream_url,
        feed=alpaca.feed,
        equity=next(iter(equities), EQUITY),
        crypto=next(iter(pairs), PAIR),
    )


def _show(answer: Answer) -> None:
    mark = "" if answer.is_answered else "not answered: "
    click.echo(f"{answer.question}\n    {mark}{answer.answer}")


def _quiet(answer: Answer) -> None:
    del answer
