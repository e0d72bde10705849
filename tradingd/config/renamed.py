"""Keys that had another name in an earlier release: whoever still writes it is told the one of now."""

from __future__ import annotations

from collections.abc import Mapping

RENAMED: Mapping[tuple[str, str], str] = {
    ("supervisor", "foreign"): "external",
    ("notify", "tell_fills"): "alert_fills",
}
"""By table and key of before: the key of the same table now. A strategy's table is `strategies`, whatever its name."""


def new_name(path: tuple[str | int, ...]) -> str:
    """Return what a key is called now; empty for one that never was."""
    return RENAMED.get((str(path[0]), str(path[-1])), "") if path else ""
