"""Rules, dashboard and scrape example: they parse, they fire, and they name metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradingd.observability.meters import FAMILIES

FOLDER = Path(__file__).parents[2] / "config/observability"
RULES = FOLDER / "rules.yml"
DASHBOARD = FOLDER / "grafana.json"
SERIES = {name for row in FAMILIES.values() for name in row.series}
SERIES -= {"tradingd_fill_slippage_ratio_sum"}  # the client leaves the sum of signed values out
LABELS = {label for row in FAMILIES.values() for label in row.labels}
LABELS |= {"instance", "job", "le"}
ROWS = ["Money", "Risk", "Orders", "Streams", "Actors", "Broker", "System"]


def promtool(*values: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed")
    return subprocess.run(  # noqa: S603 - a fixed program on our own files
        [program, *values], cwd=FOLDER, capture_output=True, text=True, check=False
    )


def panels() -> list[dict[str, object]]:
    board = json.loads(DASHBOARD.read_text())
    found: list[dict[str, object]] = board["panels"]
    return found


def expressions() -> Iterator[str]:
    """Yield every query of the dashboard, its variables filled in."""
    board = json.loads(DASHBOARD.read_text())
    targets = [one for panel in board["panels"] for one in panel.get("targets", ())]
    for one in (*targets, *board["annotations"]["list"]):
        yield one["expr"].replace("$__rate_interval", "5m").replace("$instance", "a")


def named(text: str) -> set[str]:
    return set(re.findall(r"\btradingd_[a-z_]+", text))


def test_the_rules_are_valid() -> None:
    done = promtool("check", "rules", "rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "19 rules" in done.stdout


def test_the_rules_fire_when_they_must_and_only_then() -> None:
    done = promtool("test", "rules", "rules_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_is_tested() -> None:
    tested = (FOLDER / "rules_test.yml").read_text()
    names = re.findall(r"- alert: (\w+)", RULES.read_text())
    assert len(names) == len(set(names)) == 19
    assert not [name for name in names if name not in tested]


def test_every_rule_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in RULES.read_text().split("- alert: ")[1:]:
        assert re.search(r"severity: (critical|warning|info)\b", rule), rule
        assert "summary: " in rule, rule
        assert "action: " in rule, rule


def test_the_scrape_example_is_valid() -> None:
    done = promtool("check", "config", "--syntax-only", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "credentials_file" in (FOLDER / "prometheus.yml").read_text()


def test_what_rules_and_dashboard_name_exists() -> None:
    tested = (FOLDER / "rules_test.yml").read_text()
    for text in (RULES.read_text(), tested, *expressions()):
        assert named(text) <= SERIES


def test_rules_and_dashboard_use_labels_that_exist() -> None:
    for text in (RULES.read_text(), *expressions()):
        inside = re.findall(r"\{([^{}]*=[^{}]*)\}", text)
        labels = {name for part in inside for name in re.findall(r"(\w+)\s*(?:=|!=)", part)}
        assert labels <= LABELS, labels - LABELS
        grouped = {
            label
            for part in re.findall(r"\b(?:by|on) \(([^)]*)\)", text)
            for label in part.split(", ")
        }
        assert grouped <= LABELS, grouped - LABELS


def test_every_query_of_the_dashboard_parses(tmp_path: Path) -> None:
    rows = [
        f"      - record: a:b{n}\n        expr: |\n          {q}"
        for n, q in enumerate(expressions())
    ]
    file = tmp_path / "queries.yml"
    file.write_text("groups:\n  - name: dashboard\n    rules:\n" + "\n".join(rows) + "\n")
    done = promtool("check", "rules", "--lint=none", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_has_its_rows_and_a_variable_data_source() -> None:
    assert [panel["title"] for panel in panels() if panel["type"] == "row"] == ROWS
    board = json.loads(DASHBOARD.read_text())
    assert [one["name"] for one in board["templating"]["list"]] == ["datasource", "instance"]
    sources = re.findall(r'"uid": "([^"]+)"', DASHBOARD.read_text())
    assert set(sources) == {"tradingd", "${datasource}"}
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        assert isinstance(place, dict)
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_metric_is_on_the_dashboard_or_in_a_rule() -> None:
    shown = named(RULES.read_text()).union(*(named(text) for text in expressions()))
    unseen = {row.name for row in FAMILIES.values() if not shown.intersection(row.series)}
    assert unseen == NOT_DRAWN


NOT_DRAWN = {
    "tradingd_start_time_seconds", "tradingd_process_start_time_seconds",
    "tradingd_process_virtual_memory_bytes", "tradingd_process_open_fds",
    "tradingd_process_max_fds", "tradingd_fills_total",
    "tradingd_stream_frames_total", "tradingd_next_session_timestamp_seconds",
    "tradingd_broker_facts_ignored_total", "tradingd_broker_external_events_total",
    "tradingd_broker_budget_requests_total", "tradingd_broker_budget_waits_total",
    "tradingd_broker_budget_room", "tradingd_broker_unrecognized_values_total",
    "tradingd_broker_rate_limited_total", "tradingd_broker_orders_watched",
    "tradingd_broker_budget_waiting", "tradingd_broker_budget_kept_back_total",
    "tradingd_stream_gaps_total", "tradingd_stream_gap_bars_total",
    "tradingd_stream_refused_changes_total",
    "tradingd_reconcile_runs_total", "tradingd_events_total", "tradingd_db_rows_total",
    "tradingd_db_pending_rows", "tradingd_alert_pings_total",
}  # fmt: skip
"""For those who look closer: not worth a panel."""
