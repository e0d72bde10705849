"""The API over a small real system, on plain asyncio; where sockets are treated roughly, on uvloop too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.kit import Kit, served
from tests.support.loops import BOTH, PLAIN, LoopFactories

ON_BOTH = ("test_hostile", "test_stream", "test_commands")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> LoopFactories:
    return BOTH if Path(item.path).stem in ON_BOTH else PLAIN


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    async with served(tmp_path) as kit:
        yield kit
