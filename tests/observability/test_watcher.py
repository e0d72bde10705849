"""The read-only edge goes on behind what it cannot take, and says once that it could not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.api.kit import D, Kit
from tradingd import messages as m
from tradingd.app.recorder import Recorder
from tradingd.messages import Envelope

SENT = m.OrderSent("g-e-sma-1-1")
HELD = m.PositionChanged("sma", "IBM", D(10), D(100), D(0), D(0), "fill")


@asynccontextmanager
async def watched(kit: Kit) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(kit.watcher.run())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("reader", ["view", "metrics", "log"])
async def test_one_message_that_cannot_be_read_blinds_nobody_and_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    kit = Kit(tmp_path)
    owner, name = {
        "view": (kit.view, "apply"),
        "metrics": (kit.watcher._metrics, "apply"),
        "log": (kit.watcher._narrator, "render"),
    }[reader]
    is_read = getattr(owner, name)

    def read(settings: object, *more: object) -> object:
        message = settings.message if isinstance(settings, Envelope) else settings
        if isinstance(message, m.OrderSent):
            raise KeyError("no such order")
        return is_read(settings, *more)

    monkeypatch.setattr(owner, name, read)
    async with watched(kit) as task:
        kit.publish(SENT, SENT, HELD)
        await turns()
        assert not task.done()
        assert kit.view.held(), "what came behind it is shown"
        (failed,) = kit.failures
        assert failed.actor == "control"
        assert failed.error.startswith(f"{reader}: KeyError: 'no such order' (on OrderSent")
        assert "read" in failed.traceback


async def test_a_failure_that_cannot_be_read_either_is_no_circle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = Kit(tmp_path)

    def report(failed: m.ActorFailed) -> None:
        kit.failures.append(failed)
        kit.publish(failed)

    monkeypatch.setattr(kit.watcher, "_on_failure", report)

    def refuse(_: Envelope) -> None:
        raise RuntimeError("nothing can be read")

    monkeypatch.setattr(kit.view, "apply", refuse)
    async with watched(kit) as task:
        kit.publish(SENT)
        await turns()
        assert not task.done()
    assert len(kit.failures) == 1


async def test_the_last_words_are_read_past_what_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = Kit(tmp_path)
    monkeypatch.setattr(kit.watcher._narrator, "render", lambda *_: 1 / 0)
    kit.publish(SENT, HELD)
    kit.watcher.drain()
    assert kit.view.held()
    assert len(kit.failures) == 1


async def test_a_recorder_that_raised_half_way_writes_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = Kit(tmp_path)
    recorder = Recorder(kit.bus, tmp_path / "records")
    received: list[Envelope] = []

    def refuse(envelope: Envelope) -> None:
        received.append(envelope)
        raise ValueError("no such column")

    monkeypatch.setattr(recorder._records, "handle", refuse)
    kit.publish(SENT)
    with pytest.raises(ValueError, match="no such column"):
        await recorder.run()
    kit.publish(HELD)
    await recorder.finish()
    assert len(received) == 1
