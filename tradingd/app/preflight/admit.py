"""Whether a run may begin: asked by the daemon at its start, and answered with one sentence when it may not.

Only what a retry cannot cure stops the start. A broker that does not answer is waited for by the running
system itself, at a level that opens nothing: it never trades on what it remembers.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path

import structlog

from tradingd.app.identity import build
from tradingd.app.preflight.account import remedy_of_account, remedy_of_refusal, why_wrong_account
from tradingd.app.preflight.machine import check_config_file, faults_of_folder, is_service
from tradingd.app.preflight.passed import NotExamined, require
from tradingd.app.state_directory import StateFiles
from tradingd.broker.edge import AlpacaBroker
from tradingd.broker.rest import CallFailed
from tradingd.broker.settings import AccountIdentity, KeysRefused
from tradingd.config import Settings, config_hash

_LOG = structlog.get_logger()
_WAITED_FOR = frozenset({0, 408, 425, 429})
"""HTTP statuses (0: no answer at all) that pass by themselves; so does every 5xx."""


class NotAdmitted(Exception):  # noqa: N818 - it names the state of affairs
    """The run must not begin, and a person must change something before it can."""


def admit(settings: Settings, files: StateFiles, config_file: Path | None) -> None:
    """Check what can be checked alone; raises `NotAdmitted`. The state folder exists."""
    if settings.run.mode == "mock":
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the keys
    faults = faults_of_folder(files.folder)
    if faults:
        raise NotAdmitted(f"{faults[0]}; mend it with: chmod -R go= {files.folder}")
    is_live = settings.run.mode == "live"
    if is_live or is_service(os.environ, os.getpid()):
        _admit_guarded(settings, config_file)
    if is_live:
        _admit_examined(settings, files)


def _admit_guarded(settings: Settings, config_file: Path | None) -> None:
    """Refuse a service whose own user could loosen its limits, or change what its strategies do.

    Real money and every service: an intruder in the process must not outlive it in its configuration.
    Someone who runs paper by hand from a checkout owns all of it anyway, and is left alone.
    """
    own = [each.kind.rpartition(":")[0] for each in settings.strategies.values()]
    code = [Path(file) for file in own if file.endswith(".py")]
    for file in (*((config_file,) if config_file else ()), *code):
        check = check_config_file(file, is_guarded=True)
        if check.result == "fail":
            raise NotAdmitted(f"{check.found}. {check.remedy}")


def _admit_examined(settings: Settings, files: StateFiles) -> None:
    try:
        require(
            files.doctor,
            config_hash=config_hash(settings),
            build=build(),
            account=settings.alpaca.account_id,
        )
    except NotExamined as error:
        raise NotAdmitted(str(error)) from error


async def check_account(settings: Settings, broker: AlpacaBroker) -> None:
    """Ask whose account the keys open, before anything else is sent there; raises `NotAdmitted`.

    A broker that does not answer is no refusal: the edge asks again for as long as the system lives, and
    opens nothing before it knows.
    """
    mode = settings.run.mode
    if mode == "mock":
        return
    try:
        identity = await broker.verify()
    except KeysRefused as error:
        text = f"the broker refuses the keys ({error}). {remedy_of_refusal(mode)}"
        raise NotAdmitted(text) from error
    except CallFailed as failure:
        if failure.status not in _WAITED_FOR and failure.status < 500:
            url = settings.alpaca.trading_url
            raise NotAdmitted(f"{url} is no broker: {failure}. Mend [alpaca] trading_url") from None
        _LOG.error(
            "daemon.broker_unreachable", msg=f"{failure}; nothing is opened until it answers"
        )
        return
    _admit_account(identity, settings.alpaca.account_id, mode)


def _admit_account(identity: AccountIdentity, expected: str, mode: str) -> None:
    why = why_wrong_account(identity, expected, mode)
    if why:
        raise NotAdmitted(f"{why}. {remedy_of_account(expected, mode)}")
    if identity.is_blocked:
        shown = f"...{identity.account_number[-4:]}"
        raise NotAdmitted(f"the broker has blocked account {shown}. Ask the broker why")
