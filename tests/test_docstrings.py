"""Who raises says so: a public function names its own exceptions in its docstring, a constructor in its class's.

Commands are left out, whose docstrings are their help and whose exit codes are in `docs/cli.md`; so is the simulator.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "tradingd"
SOURCES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in {"simulator", "cli"}
]
CONSTRUCTORS = {"__init__", "__post_init__"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def raised(node: ast.AST) -> Iterator[str]:
    """Yield the classes that a body raises itself: nothing caught and raised again, no function inside."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(child, ast.Raise) and child.exc is not None:
            exc = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
            name = ast.unparse(exc).rpartition(".")[2]
            if name[:1].isupper():
                yield name
        yield from raised(child)


def documented(tree: ast.AST, around: str = "") -> Iterator[tuple[Function, str]]:
    """Yield each public function and constructor with the docstring that speaks for it."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from documented(child, ast.get_docstring(child) or "")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            own = ast.get_docstring(child) or ""
            if child.name in CONSTRUCTORS:
                yield child, f"{around} {own}"
            elif not child.name.startswith("_"):
                yield child, own


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_what_is_raised_is_said(path: Path) -> None:
    for function, docstring in documented(ast.parse(path.read_text())):
        names = set(raised(function))
        missing = {name for name in names if not re.search(rf"\b{name}\b", docstring)}
        assert not missing, f"{function.name} at line {function.lineno} raises {missing}"
        assert not names or re.search(r"\braises?\b", docstring, re.IGNORECASE), function.name
