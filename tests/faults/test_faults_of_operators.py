"""Faults 80 and 84: a halt pressed again and again with the network down, and keys that are revoked while it trades."""

from __future__ import annotations

from pathlib import Path

from tests.faults.environment import Scene, day, patient, pause
from tradingd.messages import Ask, BrokerLost, CancelOrder, Level, OrderSent

RESTING = 6
ATTEMPTS_A_MINUTE_MAX = 30
"""Requests of a system whose keys are refused: looks at the account, and the order stream's own attempts."""


def test_fault_80_a_halt_with_the_network_down_blocks_at_once_and_cancels_when_it_is_back(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        parents = [scene.buy(2, "-1.8") for _ in range(RESTING)]
        await scene.until(lambda: len(scene.town.exchange.open_orders()) == RESTING)
        scene.trouble("refuse")
        scene.trouble("close", code=1006)

        first = scene.life.ask(Ask.HALT, "enough")
        await scene.until(lambda: scene.life.is_at(Level.HALTED), 0.1)
        assert "enough" in scene.town.halt_file.read_text()
        late = scene.buy(2, "1")
        for _ in range(3):
            scene.life.ask(Ask.HALT, "enough, I said")
            await pause(1)
        assert scene.life.causes.count("halt") == 1
        assert len(scene.town.exchange.open_orders()) == RESTING, "nothing can reach the broker"

        await pause(30)
        scene.calm()
        await scene.until(lambda: not scene.town.exchange.open_orders(), 60)
        asked = [each.order_id for each in scene.life.published(CancelOrder)]
        assert len(set(asked)) == RESTING, "each is called back, and none forgotten"
        assert scene.posts(late) == 0
        assert scene.life.published(OrderSent, first) == []
        assert {parent: scene.filled(parent) for parent in parents} == dict.fromkeys(parents, 0)
        scene.life.ask(Ask.RESUME, "the network is back")
        await scene.normal()

    day(tmp_path, story, retell=patient)


def test_fault_84_revoked_keys_halt_without_a_storm_and_call_a_person(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        held = scene.buy(10)
        await scene.until(lambda: scene.held() == 10)
        scene.trouble("status", path="/v2", status=401, body='{"message": "unauthorized."}')
        scene.trouble("status", path="/stream", status=401)
        scene.trouble("close", code=1006)
        await scene.until(lambda: scene.life.is_at(Level.HALTED), 90)
        assert "broker_refused" in scene.life.causes
        assert scene.life.published(BrokerLost)[-1].is_fatal
        assert "level" in scene.life.alerts(), (
            "a critical alert of its own: the person who must act"
        )

        before, sent = requests(scene), len(scene.life.published(OrderSent))
        scene.buy(10)
        await pause(120)
        assert requests(scene) - before <= 2 * ATTEMPTS_A_MINUTE_MAX
        assert len(scene.life.published(OrderSent)) == sent
        assert scene.filled(held) == 10

        scene.calm()
        await scene.normal(300)  # the keys are good again: no latch, the cause has cleared

    day(tmp_path, story, retell=patient)


def requests(scene: Scene) -> int:
    """Return how many requests the edge has made."""
    return sum(scene.life.system.broker.requests.values())
