"""Every fault that the daemon owes an answer to stands in the name of a test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
FAULTS = range(1, 94)
NUMBERS = re.compile(r"^test_faults?_(\d\d(?:_(?:and_|to_)?\d\d)*)")


def numbers() -> Iterator[int]:
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found = NUMBERS.match(node.name)
                yield from map(int, re.findall(r"\d\d", found.group(1))) if found else ()


def test_every_fault_is_named_by_a_test() -> None:
    missing = set(FAULTS) - set(numbers())
    assert not missing, f"no test is named for {sorted(missing)}"
