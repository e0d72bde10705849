"""Every asynchronous test of the floor runs on plain asyncio and on uvloop."""

from __future__ import annotations

import pytest

from tests.support.loops import BOTH, LoopFactories


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> LoopFactories:
    return BOTH
