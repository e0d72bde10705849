"""Names of a run: a sortable run id, and which code it runs."""

from __future__ import annotations

import hashlib
import secrets
import time
from pathlib import Path

from tradingd import __version__

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_run_id() -> str:
    """Return a ULID: 48 bits of milliseconds, 80 bits of chance, 26 characters that sort by time."""
    number = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def build() -> str:
    """Return the version and a digest of the code itself, so that a log names what decided it."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(file.relative_to(package).as_posix().encode())
        digest.update(file.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"
