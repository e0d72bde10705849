"""The trace that is kept when something critical happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.broker.conftest import House
from tradingd.broker.postmortem import FILES_MAX, PostMortem
from tradingd.broker.ring import Ring
from tradingd.messages import AlertRaised, Severity
from tradingd.runtime.clock import ManualClock

CRITICAL = AlertRaised("broker", Severity.CRITICAL, "order id/clash", "text")


def test_a_critical_alert_is_followed_by_one_private_file_a_minute(tmp_path: Path) -> None:
    clock = ManualClock(1_700_000_000_000_000_000)
    ring = Ring(clock, ("geheim",))
    ring.note("<", "frame", "geheim order")
    folder = tmp_path / "traces"
    trace = PostMortem(str(folder), ring, clock)
    trace.hear(AlertRaised("broker", Severity.WARNING, "x", "y"))
    assert not folder.exists()
    trace.hear(CRITICAL)
    clock.advance(10)
    trace.hear(CRITICAL)
    (file,) = folder.iterdir()
    assert file.name == "1700000000000000000_order_id_clash.txt"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().splitlines() == [
        "broker order id/clash: text",
        "1700000000000000000 < frame *** order",
    ]


def test_old_files_make_room_for_new_ones(tmp_path: Path) -> None:
    clock = ManualClock(1_700_000_000_000_000_000)
    trace = PostMortem(str(tmp_path), Ring(clock), clock)
    for _ in range(FILES_MAX + 5):
        trace.hear(CRITICAL)
        clock.advance(61_000_000_000)
    assert len(list(tmp_path.iterdir())) == FILES_MAX


def kept(folder: Path) -> str:
    (file,) = folder.iterdir()
    return file.read_text()


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    clock = ManualClock(1_700_000_000_000_000_000)
    PostMortem(str(blocked / "traces"), Ring(clock), clock).hear(CRITICAL)


async def test_the_edge_keeps_its_trace_on_any_alert_of_the_house(
    houses: Callable[..., House], tmp_path: Path
) -> None:
    house = await houses(trace_folder=str(tmp_path)).connected()
    house.bus.publish("supervisor", CRITICAL)
    text = kept(tmp_path)
    assert "GET /v2/account" in text
    assert '{"action":"authenticate"' in text
    assert ':"***"}' in text
