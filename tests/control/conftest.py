"""The API over a small real house."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.control.kit import Kit, served


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    async with served(tmp_path) as kit:
        yield kit
