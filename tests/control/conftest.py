"""The API over a small real house, on plain asyncio; where sockets are treated roughly, on uvloop too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from tests.control.kit import Kit, served

ON_BOTH = ("test_hostile", "test_stream", "test_commands")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    plain: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if Path(item.path).stem not in ON_BOTH:
        return plain
    return {**plain, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    async with served(tmp_path) as kit:
        yield kit
