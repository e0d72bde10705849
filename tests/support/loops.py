"""On which event loops an asynchronous test runs: plain asyncio, and uvloop, the loop of `run`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import uvloop

LoopFactories = dict[str, Callable[[], asyncio.AbstractEventLoop]]

BOTH: LoopFactories = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
PLAIN: LoopFactories = {"asyncio": asyncio.new_event_loop}
