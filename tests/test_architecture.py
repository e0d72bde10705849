"""The system as a test: purity, the direction of imports, sizes, one publisher per message, README's tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import msgspec
import pytest

from tradingd import messages
from tradingd.messages import Message
from tradingd.runtime.routing import ANYONE_PUBLISHES
from tradingd.wiring import WIRING

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tradingd"
SOURCES = sorted(PACKAGE.rglob("*.py"))

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

DECISION_PLACES = (
    "strategy", "risk", "router", "portfolio", "supervisor", "reconciler",
    "runtime/rate_budget",
    "quotes/core", "quotes/door", "quotes/bars", "quotes/sessions", "quotes/staleness", "quotes/marks",
    "notify/rules", "notify/limits", "notify/outbox", "notify/day",
    "simulator/exchange", "instruments", "messages", "state", "wiring",
)  # fmt: skip
"""Where decisions live. Named edges inside these packages are listed next, each with its reason."""

EDGES_INSIDE = {
    "supervisor/heartbeat.py": "feels the loop and the stations",
    "supervisor/latch.py": "keeps the halt file",
    "portfolio/records.py": "writes trade files",
    "portfolio/trade_files.py": "writes trade files",
    "strategy/load.py": "reads a user's strategy file at start",
}

FORBIDDEN_IN_DECISIONS = {
    "asyncio", "aiohttp", "aiosqlite", "sqlite3", "time", "os", "logging", "structlog", "uuid", "secrets",
    "threading", "socket", "subprocess", "pandas", "alpaca",
}  # fmt: skip

DECISION_IMPORTS = {"instruments", "messages", "state"}
EDGE_IMPORTS = {"instruments", "messages", "state", "runtime", "log"}

LAYERS: dict[str, set[str]] = {
    "messages": set(),
    "instruments": {"messages"},
    "state": {"messages", "instruments"},
    "runtime": {"messages", "instruments"},
    "log": {"instruments", "messages", "state", "runtime"},
    "quotes": {"instruments", "messages", "runtime"},
    "strategy": DECISION_IMPORTS,
    "risk": DECISION_IMPORTS,
    "router": DECISION_IMPORTS,
    "portfolio": DECISION_IMPORTS,
    "reconciler": DECISION_IMPORTS,
    "supervisor": {"instruments", "messages", "state", "runtime"},
    "broker": EDGE_IMPORTS,
    "simulator": {"instruments", "messages", "runtime"},
    "views": {"instruments", "messages", "state", "portfolio", "risk", "supervisor"},
    "observability": {"instruments", "messages", "state", "runtime", "log", "views"},
    "api": {"instruments", "messages", "state", "runtime", "portfolio", "views", "observability"},
    "notify": {"instruments", "messages", "state", "runtime", "portfolio", "observability"},
    "wiring": {
        "messages", "runtime", "quotes", "strategy", "risk", "router", "reconciler", "portfolio", "supervisor",
    },
    "app": {
        "messages", "instruments", "state", "runtime", "log", "quotes", "strategy", "risk", "router", "broker",
        "reconciler", "portfolio", "supervisor", "wiring", "config", "api", "views", "observability", "notify",
        "simulator",
    },
}  # fmt: skip
"""Package -> what it may import. config, cli and research see both sides and are not listed."""


def _is_decision(path: Path) -> bool:
    name = path.relative_to(PACKAGE).as_posix()
    if name in EDGES_INSIDE:
        return False
    return any(name == f"{place}.py" or name.startswith(f"{place}/") for place in DECISION_PLACES)


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _modules_imported(tree: ast.AST, modules: set[str]) -> set[str]:
    """Return what a module imports of ours, for type checking or inside a function included."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (
                (inner & modules) if inner <= modules else (inner & modules) | {str(node.module)}
            )
    return found & modules


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [path for path in SOURCES if _is_decision(path)], ids=_name)
def test_decisions_do_no_io_and_know_no_clock(path: Path) -> None:
    tree = ast.parse(path.read_text())
    roots = {name.partition(".")[0] for name in _imports(tree)}
    assert not roots & FORBIDDEN_IN_DECISIONS
    waits = [n for n in ast.walk(tree) if isinstance(n, ast.Await | ast.AsyncFunctionDef)]
    assert not waits, f"a decision waits at line {waits[0].lineno}"
    text = path.read_text()
    assert "datetime.now(" not in text
    assert not re.search(r"\brandom\.(random|randint|choice|gauss|uniform)\(", text), (
        "global random"
    )


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_imports_point_downwards(path: Path) -> None:
    package = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if package not in LAYERS:
        return
    seen = {
        name.split(".")[1]
        for name in _imports(ast.parse(path.read_text()))
        if name.startswith("tradingd.")
    }
    known = {p.stem if p.suffix else p.name for p in PACKAGE.iterdir()}
    assert (seen & known) <= LAYERS[package] | {package}, (
        f"{package} may import {sorted(LAYERS[package])} only"
    )


def test_no_import_goes_in_a_circle() -> None:
    modules = {_module(path): path for path in SOURCES}
    graph = {
        name: _modules_imported(ast.parse(path.read_text()), set(modules)) - {name}
        for name, path in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports go in a circle: {' <- '.join(error.args[1])}")


def test_the_runtime_knows_no_trading() -> None:
    for path in (PACKAGE / "runtime").rglob("*.py"):
        names = set(_imports(ast.parse(path.read_text())))
        known = {name for name in names if name.startswith("tradingd.instruments")}
        units = "tradingd.instruments.units"
        assert all(name.startswith(units) for name in known), f"{_name(path)}: {sorted(known)}"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    lines = text.count("\n")
    assert lines <= FILE_LINES_MAX, f"{lines} lines: split it where its idea splits"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            assert size <= FUNCTION_LINES_MAX, f"{node.name} at {node.lineno} has {size} lines"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "a module begins with its one sentence"


def _all_messages() -> list[type[Message]]:
    values = [getattr(messages, name) for name in messages.__all__]
    return [
        v for v in values if isinstance(v, type) and issubclass(v, Message) and v is not Message
    ]


PARTS_OF_MESSAGES = {messages.TradingDay, messages.BrokerPosition, messages.BrokerOrder}
"""Structs that only travel inside another message."""


def test_every_message_has_exactly_one_speaker() -> None:
    for kind in set(_all_messages()) - PARTS_OF_MESSAGES:
        publishers = [row.actor for row in WIRING.values() if kind in row.publishes]
        assert len(publishers) == (0 if kind in ANYONE_PUBLISHES else 1), (
            f"{kind.__name__}: {publishers}"
        )


def test_every_message_that_is_heard_is_said() -> None:
    emitted = {kind for row in WIRING.values() for kind in row.publishes} | ANYONE_PUBLISHES
    for row in WIRING.values():
        assert row.subscribes <= emitted, f"{row.actor} waits for what nobody says"


def test_every_message_is_in_the_closed_union_under_its_own_name() -> None:
    union = set(messages.AnyMessage.__args__)
    assert union == set(_all_messages())
    for kind in union:
        assert msgspec.structs.fields(kind) is not None
        assert kind.__struct_config__.tag == kind.__name__
        assert kind.__struct_config__.frozen


def test_only_the_gate_approves() -> None:
    pattern = re.compile(r"\bOrderApproved\(")
    makers = {_name(p) for p in SOURCES if pattern.search(p.read_text())}
    makers -= {"tradingd/messages/orders.py"}
    assert makers <= {"tradingd/risk/gate.py"}, f"an approval is made outside the gate: {makers}"


NO_IDS_OF_ORDERS = {
    "tradingd/state/ids.py",
    "tradingd/api/stream.py",  # the number of an event of the stream
}


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_ids_are_taken_apart_in_one_place(path: Path) -> None:
    if _name(path) in NO_IDS_OF_ORDERS:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = {ast.unparse(argument)[-2:-1] for argument in node.args}
            takes_apart = node.func.attr in {"split", "rsplit", "partition", "rpartition"}
            takes_apart |= node.func.attr == "startswith" and "{" in ast.unparse(node)
            assert not (takes_apart and "-" in given), f"line {node.lineno}: state/ids.py does that"


READS_RATIO = {
    "tradingd/state/positions.py",
    "tradingd/broker/splits.py",  # makes the message
    "tradingd/notify/rules.py",  # shows it
}


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_corporate_action_is_applied_in_one_place(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0]
    if _name(path) in READS_RATIO or part in {"simulator", "observability", "api"}:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        is_read = isinstance(node, ast.Attribute) and node.attr == "ratio"
        assert not is_read, f"line {getattr(node, 'lineno', 0)}: state/positions.py does that"


SAYS_WHAT_MAY_BE_DONE = ("messages", "state", "supervisor", "quotes", "simulator")
"""Where levels and sessions are defined, kept, decided and published."""

KEEPS_LEVEL = re.compile(r"\b(Level|Session)\.[A-Z_]+$|\.(level|session|causes)$")


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_what_may_be_done_is_kept_in_one_place(path: Path) -> None:
    """Nobody but state/permissions.py remembers a `LevelChanged` or a `SessionChanged`."""
    if path.relative_to(PACKAGE).parts[0] in SAYS_WHAT_MAY_BE_DONE:
        return
    tree = ast.parse(path.read_text())
    if "tradingd.messages" not in _imports(tree) and "tradingd" not in _imports(tree):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            is_kept = any(isinstance(each, ast.Attribute | ast.Subscript) for each in node.targets)
            found = is_kept and KEEPS_LEVEL.search(ast.unparse(node.value))
        elif isinstance(node, ast.AnnAssign):
            found = re.search(r"\b(Level|Session)\b", ast.unparse(node.annotation))
        else:
            continue
        assert not found, f"line {node.lineno}: state/permissions.py keeps that"


def test_the_words_of_unfinished_work_are_absent() -> None:
    for path in SOURCES:
        found = re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", path.read_text())
        assert not found, f"{_name(path)}: {found.group()}"


def test_the_tree_in_the_readme_is_the_real_one() -> None:
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"```\ntradingd/\n(.*?)```", readme, re.DOTALL)
    assert block, "README shows the tree of the package"
    listed = re.findall(r"^ {2}([\w.]+/?) +\S", block.group(1), re.MULTILINE)
    real = [
        f"{p.name}/" if p.is_dir() else p.name
        for p in PACKAGE.iterdir()
        if p.name != "__pycache__" and (p.is_dir() or p.suffix == ".py" or p.name == "py.typed")
    ]
    assert sorted(listed) == sorted(real)


def test_no_test_module_imports_another() -> None:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        taken = [
            name
            for name in _imports(ast.parse(path.read_text()))
            if re.search(r"^tests\.(\w+\.)*test_", name)
        ]
        assert not taken, (
            f"{_name(path)}: what tests share lives in tests/support or a kit: {taken}"
        )


def test_decimal_fields_never_mix_with_floats_of_the_market() -> None:
    market = {messages.Quote, messages.Trade, messages.BarReceived, messages.Bar, messages.Mark}
    for kind in _all_messages():
        for field in msgspec.structs.fields(kind):
            if field.type is float:
                assert kind in market or field.name in {"confidence", "bid", "ask"}, (
                    f"{kind.__name__}.{field.name} counts money as float"
                )


def test_one_class_name_means_one_thing() -> None:
    modules: dict[str, set[str]] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                modules.setdefault(node.name, set()).add(_name(path))
    found = {name: sorted(paths) for name, paths in modules.items() if len(paths) > 1}
    assert not found, "a class name is taken: choose another"
