"""A key of an earlier release is refused with the name it has now, and the process ends with 78."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tradingd.app.exit_codes import Exit
from tradingd.cli import cli
from tradingd.config import Settings, renamed
from tradingd.instruments.settings import fields_of
from tradingd.strategy.settings import StrategySettings

MOCK = Path(__file__).parents[2] / "config/mock.toml"


@pytest.mark.parametrize(
    ("table", "header"), [("supervisor", "[supervisor]"), ("strategies", "[strategies.sma]")]
)
def test_the_remedy_is_the_name_of_now(
    table: str, header: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renamed, "RENAMED", {(table, "was_so"): "is_so"})
    file = tmp_path / "mock.toml"
    file.write_text(MOCK.read_text().replace(f"{header}\n", f"{header}\nwas_so = 1\n"))
    done = CliRunner().invoke(cli, ["check", "-c", str(file)])
    assert done.exit_code == Exit.CONFIG
    assert f"{header} was_so = 1: is not known. It is called is_so now" in done.output


def test_the_table_names_keys_that_are() -> None:
    for (table, old), new in renamed.RENAMED.items():
        kind = Settings.model_fields[table].annotation
        known = fields_of(StrategySettings if table == "strategies" else kind)  # type: ignore[arg-type]
        assert new in known
        assert old not in known
