"""The machine: Python and packages as locked, a disk that is large, fast and ours alone.

The disk is asked for what the order log asks of it: a commit that survives a power cut.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import stat
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from tradingd.app.preflight.check import Check, fail, ok, warn
from tradingd.app.state_directory import StateFiles

MIB = 1024**2
FREE_MIB_MIN = 100
"""Below this the log of one busy day may not fit."""

COMMITS = 9
COMMIT_MS_WARN, COMMIT_MS_MAX = 50.0, 1000.0
"""Median of a FULL commit: every entry waits for one."""

_PRIVATE = 0o077
_PIN = re.compile(r"^([a-z0-9._-]+)==([^ ;\\]+)", re.IGNORECASE)
_SHOWN = ("aiohttp", "aiosqlite", "msgspec", "pydantic", "uvloop")


def check_versions(locks: Path) -> Check:
    """Return whether Python and the installed packages are what the lock says; `locks` may be absent."""
    running = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    if sys.version_info < (3, 11):  # noqa: UP036 - an installation may have been moved to another one
        return fail("versions", running, "Install Python 3.11 or later")
    pins = _pins(locks)
    wrong = [
        f"{name} {found or 'missing'} (locked {pin})"
        for name, pin in pins.items()
        if (found := _version(name)) != pin
    ]
    shown = ", ".join(f"{name} {_version(name)}" for name in _SHOWN)
    if wrong:
        remedy = "Install from the lock: pip install --require-hashes -r requirements/run.txt"
        return warn("versions", f"{running}; not as locked: {', '.join(wrong)}", remedy)
    locked = f"{len(pins)} packages as locked" if pins else shown
    return ok("versions", f"{running}, {locked}", python=platform.python_version())


def _pins(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    found = [match for line in lines if (match := _PIN.match(line)) and ";" not in line]
    return {match[1]: match[2] for match in found}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def check_disk(folder: Path, wanted_mib: int) -> Check:
    """Return whether there is room, and how long a commit takes that a power cut cannot undo."""
    try:
        free_mib = shutil.disk_usage(folder).free // MIB
        took_ms = _commit_ms(folder / "doctor-commit.db")
    except (OSError, sqlite3.Error) as error:
        return fail("disk", f"{folder} cannot be written: {error}", "Mend the disk or its mount")
    found = f"{free_mib:,} MiB free, a commit takes {took_ms:.1f} ms"
    details = {"free_mib": str(free_mib), "commit_ms": f"{took_ms:.3f}"}
    if free_mib < FREE_MIB_MIN:
        return fail("disk", found, f"Free at least {wanted_mib:,} MiB", **details)
    if took_ms > COMMIT_MS_MAX:
        return fail("disk", found, "Use a disk that commits within milliseconds", **details)
    if free_mib < wanted_mib:
        return warn("disk", found, f"Free at least {wanted_mib:,} MiB", **details)
    if took_ms > COMMIT_MS_WARN:
        return warn("disk", found, "Every entry waits this long: use a faster disk", **details)
    return ok("disk", found, **details)


def _commit_ms(file: Path) -> float:
    spent = []
    try:
        connection = sqlite3.connect(file, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("CREATE TABLE rows (body BLOB)")
            for _ in range(COMMITS):
                began = time.perf_counter()
                connection.execute("INSERT INTO rows VALUES (zeroblob(512))")
                spent.append(time.perf_counter() - began)
        finally:
            connection.close()
    finally:
        for suffix in ("", "-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
    return median(spent) * 1000


def check_folder(folder: Path) -> Check:
    """Return whether the state folder and what lies in it are its owner's alone."""
    faults = faults_of_folder(folder)
    if faults:
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        remedy = f"chown -R {os.geteuid()} {folder}; chmod -R go= {folder}"
        return fail("state folder", f"{faults[0]}{more}", remedy)
    return ok("state folder", f"{folder} is for uid {os.geteuid()} alone")


def faults_of_folder(folder: Path) -> list[str]:
    """Return what others may read or write, or own, of the state folder and the files in it.

    But for the halt file: root may have touched it in an emergency, and it is to halt the start, not to bar it.
    """
    faults = []
    halt = StateFiles(folder).halt
    for path in (folder, *(each for each in sorted(folder.glob("*")) if each != halt)):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue  # gone since it was listed
        if status.st_uid != os.geteuid():
            faults.append(f"{path} belongs to uid {status.st_uid}, not to {os.geteuid()}")
        elif not stat.S_ISLNK(status.st_mode) and status.st_mode & _PRIVATE:
            faults.append(f"{path} has mode {stat.S_IMODE(status.st_mode):04o}: others may use it")
    return faults


def check_config_file(file: Path, *, is_guarded: bool) -> Check:
    """Return whether anyone but root could loosen a limit: always a fault where it must be guarded.

    Elsewhere, a checkout that its owner edits and runs, only what others may write is worth a word.
    """
    name = "configuration file"
    try:
        faults = faults_of_config(file, is_guarded=is_guarded)
    except OSError as error:
        return fail(name, f"{file} cannot be read: {error.strerror}", "Name it with -c FILE")
    if faults:
        found, remedy = faults[0]
        return (fail if is_guarded else warn)(name, found, remedy)
    whom = "anyone but root" if is_guarded else "others"
    return ok(name, f"{file} cannot be changed by {whom}")


def faults_of_config(file: Path, *, is_guarded: bool) -> list[tuple[str, str]]:
    """Return who may change a file that decides, as (fault, remedy), the most open first.

    The owner counts, not only the mode: who owns a file may open it to himself, and who may write its
    folder may put another in its place. Raises `OSError` where there is nothing to look at.
    """
    faults = []
    for path in (file, file.resolve().parent) if is_guarded else (file,):
        status = path.stat()
        loose = stat.S_IMODE(status.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
        if loose and not status.st_mode & stat.S_ISVTX:
            faults.append((f"{path} can be written by others", f"chmod go-w {path}"))
        elif is_guarded and status.st_uid != 0:
            remedy = f"chown root {path}: the user that trades must not be able to loosen a limit"
            faults.append((f"{path} belongs to uid {status.st_uid}, not to root", remedy))
        elif is_guarded and os.geteuid() != 0 and os.access(path, os.W_OK):
            remedy = f"setfacl -b {path}: the user that trades must not be able to loosen a limit"
            faults.append((f"{path} can be written by the user that trades", remedy))
    return faults


def is_service(environ: Mapping[str, str], pid: int) -> bool:
    """Tell whether systemd itself started this very process; what it starts in turn inherits the words."""
    return environ.get("SYSTEMD_EXEC_PID") == str(pid)
