"""What is wrong with a configuration: every fault at once, each with file, key, value and remedy.

A person mends a file once, not once per fault; so nothing here stops at the first.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradingd.observability.secret import MASK

_SECRET_NAMES = ("key", "secret", "token", "password", "passphrase", "notify")
_VALUE_CHARS_MAX = 80
_SENTENCE_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class ConfigFault:
    """One thing to mend."""

    where: str
    """The file or environment variable that holds it, or should."""
    key: str
    value: str
    """What stands there now, as written; empty when nothing does, stars when it may be a secret."""
    wrong: str
    remedy: str

    def __str__(self) -> str:
        value = f" = {self.value}" if self.value else ""
        return f"{self.where}: {self.key}{value}: {_readable(self.wrong)}. {self.remedy}"


class ConfigError(Exception):
    """The configuration cannot be used; the process ends with 78 and nothing was sent anywhere."""

    def __init__(self, faults: list[ConfigFault]) -> None:
        self.faults = tuple(faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        lines = [f"the configuration has {count}:", *(f"  {fault}" for fault in faults)]
        super().__init__("\n".join(lines))


def shown(key: str, value: object) -> str:
    """Return a value as a person may see it: cut, on one line, masked where it may be a secret."""
    if is_secret_name(key):
        return MASK
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = text.encode("unicode_escape").decode("ascii")
    return text if len(text) <= _VALUE_CHARS_MAX else text[: _VALUE_CHARS_MAX - 3] + "..."


def _readable(text: str) -> str:
    """Return a sentence that may quote a value: on one line, bounded, nothing in it that turns or hides."""
    if text.isprintable() and len(text) <= _SENTENCE_CHARS_MAX:
        return text
    text = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
    return text if len(text) <= _SENTENCE_CHARS_MAX else text[: _SENTENCE_CHARS_MAX - 3] + "..."


def is_secret_name(key: str) -> bool:
    """Tell whether a key's name suggests that its value is a secret."""
    return any(value in key.lower() for value in _SECRET_NAMES)


def dotted(path: tuple[str | int, ...]) -> str:
    """Return a path as a person finds it in the file: `[risk] exposure_pct_max`."""
    values = [str(value) for value in path]
    if len(values) == 1:
        return f"[{values[0]}]"
    if values[0] == "strategies" and len(values) > 2:
        return f"[strategies.{values[1]}] {'.'.join(values[2:])}"
    return f"[{values[0]}] {'.'.join(values[1:])}"
