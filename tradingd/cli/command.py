"""`pause`, `resume`, `flatten`, `halt`, `cancel`, `submit`, `stop`: command the running daemon.

Exit 0 when the system has confirmed it, 4 when it refuses, 5 when it took the command and has not
confirmed it in time, 6 when it refuses because it is halted.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

import click

from tradingd.app.exit_codes import Exit
from tradingd.cli.shared import config_option, fail, json_option, load_or_exit, print_json
from tradingd.cli.talk import SOCKET_FILE, ApiReply, NotRunning, ask, call, command

if TYPE_CHECKING:
    from tradingd.messages import RunStopped

LOG_FILE = "orders.db"
FROM_SHELL = "from the command line"
AFTER_CEILING_REAL_S = 30.0
"""How long `stop` waits beyond the daemon's own ceiling: the last books, the log, the API."""

LOOK_REAL_S = 0.25
_reason_option = click.option("--reason", default=FROM_SHELL, show_default=True, help="For the log and the audit trail.")  # fmt: skip


@click.command()
@click.argument("strategy", required=False)
@_reason_option
@config_option
@json_option
def pause(strategy: str | None, reason: str, file: Path, as_json: bool) -> None:
    """Take no entries until a resume, or have one STRATEGY say no more; positions stay protected."""
    path = f"/api/strategies/{quote(strategy, safe='')}/stop" if strategy else "/api/control/pause"
    print_result(command(file, path, {"reason": reason}), as_json=as_json)


@click.command()
@click.argument("strategy", required=False)
@click.option("--reason", required=True, help="Why it is safe to go on.")
@config_option
@json_option
def resume(strategy: str | None, reason: str, file: Path, as_json: bool) -> None:
    """Go on after a pause or a halt, or let one STRATEGY speak again. The system may refuse, and says why."""
    path = (
        f"/api/strategies/{quote(strategy, safe='')}/start" if strategy else "/api/control/resume"
    )
    print_result(command(file, path, {"reason": reason}), as_json=as_json)


@click.command()
@click.argument("symbol", required=False)
@_reason_option
@config_option
@json_option
def flatten(symbol: str | None, reason: str, file: Path, as_json: bool) -> None:
    """Sell everything and halt, or sell all of one SYMBOL and go on."""
    body = {"reason": reason, **({"symbol": symbol} if symbol else {})}
    print_result(command(file, "/api/control/flatten", body), as_json=as_json)


@click.command()
@click.argument("reason")
@config_option
@json_option
def halt(reason: str, file: Path, as_json: bool) -> None:
    """Emergency stop: opening orders are canceled, none leaves any more, protection stays. Latched."""
    print_result(command(file, "/api/risk/emergency-stop", {"reason": reason}), as_json=as_json)


@click.command()
@click.argument("order_id", required=False)
@click.option("--all", "is_all", is_flag=True, help="Every working order.")
@_reason_option
@config_option
@json_option
def cancel(order_id: str | None, is_all: bool, reason: str, file: Path, as_json: bool) -> None:
    """Cancel one working order by its ORDER_ID, or all of them."""
    if is_all == (order_id is not None):
        raise click.UsageError("name an order, or say --all")
    path = f"/api/orders/{quote(order_id or 'all', safe='')}/cancel"
    print_result(command(file, path, {"reason": reason}), as_json=as_json)


@click.command()
@click.argument("symbol")
@click.argument("side", type=click.Choice(["buy", "sell"]))
@click.argument("quantity")
@click.option("--limit", "limit_price", help="The worst price; without it, the gate's collar.")
@click.option("--strategy", help="Whose position a sale reduces first.")
@_reason_option
@config_option
@json_option
def submit(
    *,
    symbol: str,
    side: str,
    quantity: str,
    limit_price: str | None,
    strategy: str | None,
    reason: str,
    file: Path,
    as_json: bool,
) -> None:
    """Order by hand: QUANTITY of SYMBOL, through the same gate as every strategy. A sale reduces a position."""
    body: dict[str, Any] = {
        "symbol": symbol,
        "side": side,
        "quantity": quantity,
        "reason": reason,
        "limit_price": limit_price,
        "strategy": strategy,
    }
    reply = command(file, "/api/orders", body)
    emitted = reply.body
    if as_json:
        print_json(emitted)
    verdict = emitted.get("verdict")
    if verdict == "approved":
        if not as_json:
            price = emitted["limit_price"]
            click.echo(f"approved: {side} {emitted['quantity']} {symbol} within {price}, {emitted['intent_id']}")  # fmt: skip
        return
    if verdict == "pending":
        fail(
            f"no verdict in time; look for {emitted['intent_id']} in `tradingd signals`",
            Exit.TIMEOUT,
        )
    if verdict == "refused":
        is_halted = emitted["rule"] == "level" and "halted" in emitted["value"]
        text = f"refused by {emitted['rule']} ({emitted['value']}, limit {emitted['limit']}): {emitted['reason']}"
        fail(text, Exit.HALTED if is_halted else Exit.REFUSED)
    _fail_by_code(reply)


@click.command()
@click.option("--keep", is_flag=True, help="Leave positions as they are.")
@_reason_option
@config_option
@json_option
def stop(keep: bool, reason: str, file: Path, as_json: bool) -> None:
    """End the run in order, by `on_stop` or keeping positions, and wait until the daemon is gone."""
    settings = load_or_exit(file)
    run_id = ask(file, "/api/health")["run_id"]
    reply = command(file, "/api/control/stop", {"reason": reason, "keep": keep})
    if reply.status != 202:
        _fail_by_code(reply)
    timeout_s = settings.run.stop_ceiling_s + AFTER_CEILING_REAL_S
    if not _is_gone(settings.state_dir / SOCKET_FILE, timeout_s):
        fail(f"still running after {timeout_s:.0f} s; it goes on stopping", Exit.TIMEOUT)
    end = asyncio.run(_end_of(settings.state_dir / LOG_FILE, run_id))
    is_flat = end is not None and end.is_flat
    if as_json:
        print_json({"is_stopped": True, "is_flat": is_flat})
    if end is None or not (end.is_flat or end.is_kept):
        fail("stopped, but NOT FLAT: look at the account", Exit.NOT_FLAT)
    if not as_json:
        click.echo(f"stopped, {'flat' if is_flat else 'positions kept'}")


def _is_gone(address: Path, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            call(address, "GET", "/api/health")
        except NotRunning:
            return True
        except TimeoutError:
            continue
        time.sleep(LOOK_REAL_S)
    return False


async def _end_of(log: Path, run_id: str) -> RunStopped | None:
    """Return what a run said of its end, as its order log has it; None where it said nothing."""
    from tradingd.log.sqlite_store import SqliteStore, StoreError
    from tradingd.messages import RunStopped

    store = SqliteStore(log, is_read_only=True)
    try:
        await store.open()
        endpoints = [each.message for each in await store.read_types((RunStopped,))]
    except StoreError as error:
        fail(f"stopped; its order log cannot be read: {error}", Exit.FAILURE)
    finally:
        await store.close()
    local = [end for end in endpoints if isinstance(end, RunStopped) and end.run_id == run_id]
    return local[-1] if local else None


def print_result(reply: ApiReply, *, as_json: bool) -> None:
    """Print where a command left the system; ends the process unless it was done."""
    emitted = reply.body
    if as_json:
        print_json(emitted)
    if reply.status != 202:
        _fail_by_code(reply)
    causes = f" ({', '.join(emitted['causes'])})" if emitted["causes"] else ""
    if not emitted["is_done"]:
        fail(
            f"the command was taken, not yet confirmed; level {emitted['level']}{causes}",
            Exit.TIMEOUT,
        )
    if not as_json:
        click.echo(f"done; level {emitted['level']}{causes}")


def _fail_by_code(reply: ApiReply) -> NoReturn:
    emitted = reply.body
    text = (
        f"{emitted.get('code')}: {emitted['reason']}"
        if "reason" in emitted
        else str(emitted.get("code"))
    )
    code = Exit.REFUSED if reply.status == 409 else Exit.FAILURE
    if reply.status == 400:
        text, code = "the daemon did not understand one of the arguments", Exit.USAGE
    fail(text, code)
