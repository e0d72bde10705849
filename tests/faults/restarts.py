"""A process that ends in the middle of a story, and what comes after it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.app.lives import Town, in_town
from tests.faults.environment import SYMBOL, Scene, patient, pause
from tradingd.messages import (
    BooksAgreed,
    Mark,
)
from tradingd.runtime.virtual_loop import VirtualLoop


async def again(scene: Scene) -> None:
    """Start the next life, and wait until it sees a market."""
    scene.life = await scene.town.live()
    await scene.until(lambda: any(mark.symbol == SYMBOL for mark in scene.life.published(Mark)), 30)


def lives(folder: Path, story: Callable[[Town, Scene], Awaitable[None]], *, seed: int = 3) -> None:
    """Let a story with more than one life happen."""

    async def playing(loop: VirtualLoop) -> None:
        town = Town(loop, seed, folder, retell=patient)
        scene = Scene(await town.live())
        await scene.normal(30)
        await scene.until(lambda: bool(scene.life.published(BooksAgreed)))
        await pause(2)
        await story(town, scene)

    in_town(seed, playing)
